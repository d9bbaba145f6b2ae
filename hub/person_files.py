"""New files that nothing overwrites, and a person's folder of them. Imports little: people's commands start with it."""

import os
from pathlib import Path

from privacy.errors import Failure, Kind


class OutputExists(Failure):
    code = "OUTPUT_EXISTS"
    kind = Kind.CONFLICT
    en = "{path} exists already and is not overwritten; give another place or move it away"
    zh = "{path} 已存在，不予覆盖；请另选位置或先移走"


def write_person(folder: Path, hub: str, authority_pem: bytes, key_pem: bytes, certificate_pem: bytes) -> Path:
    """A person's folder: key, certificate, CA and person.toml, which names them. Gives the path of person.toml."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    write_new(folder / "key.pem", key_pem)
    write_new(folder / "certificate.pem", certificate_pem, mode=0o644)
    write_new(folder / "ca.pem", authority_pem, mode=0o644)
    lines = [f'hub = "{hub}"', 'authority = "ca.pem"', 'key = "key.pem"', 'certificate = "certificate.pem"']
    path = folder / "person.toml"
    write_new(path, ("\n".join(lines) + "\n").encode(), mode=0o644)
    return path


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that must not exist yet. Raises OutputExists."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        raise OutputExists(path=str(path)) from None
    with os.fdopen(handle, "wb") as file:
        file.write(data)
