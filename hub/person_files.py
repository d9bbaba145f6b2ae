"""A person's folder: key, certificate, CA and person.toml. Imports little: people's commands start with it."""

from pathlib import Path

from ecowire.outputs import OutputExists, write_new

FILES = ("key.pem", "certificate.pem", "ca.pem", "person.toml")


def check_folder(folder: Path) -> None:
    """To be asked before a certificate is issued for it. Raises OutputExists where one of a person's files is there."""
    for path in (folder / name for name in FILES):
        if path.exists():
            raise OutputExists(path=str(path))
    if folder.exists() and not folder.is_dir():
        raise OutputExists(path=str(folder))


def replace_certificate(path: Path, pem: bytes) -> None:
    """Put a renewed certificate in place of the one that is about to end, whole or not at all."""
    draft = path.with_name(path.name + ".part")
    draft.write_bytes(pem)
    draft.chmod(0o644)
    draft.replace(path)


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
