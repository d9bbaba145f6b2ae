"""JSON Schema of agreements as a file, for editors and other systems: `python -m sandbox.agreement_schema FILE`.

Written from the declarations that `Agreement.from_body` reads by; a test compares the committed file with them.
"""

import json
import sys
from pathlib import Path

from revenue_share.agreement import agreement_schema


def text() -> str:
    """The file's content."""
    return json.dumps(agreement_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
