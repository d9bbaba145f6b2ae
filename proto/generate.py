"""Regenerate the wire code: `python -P proto/generate.py [--check]`.

With --check the code is generated into a temporary folder and compared with what is committed.
"""

import filecmp
import sys
import tempfile
from pathlib import Path

from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent
SOURCES = sorted((PROTO / "ecowire" / "v1").glob("*.proto"))


def generate(out: Path) -> None:
    """Write *_pb2.py, *_pb2.pyi and *_pb2_grpc.py of every schema below `out`."""
    names = [str(path.relative_to(PROTO)) for path in SOURCES]
    flags = [f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}"]
    if protoc.main(["protoc", f"-I{PROTO}", *flags, *names]) != 0:
        raise SystemExit("protoc failed")


def check() -> int:
    """0 if the committed code is what the schemas give, else 1 with the stale files named."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = sorted(path.relative_to(folder) for path in Path(folder).rglob("*.py*"))
        stale = [
            str(p) for p in fresh if not (PROTO / p).exists() or not filecmp.cmp(Path(folder) / p, PROTO / p, False)
        ]
    print("stale: " + ", ".join(stale) if stale else "generated wire code is fresh")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(check()) if "--check" in sys.argv else generate(PROTO)
