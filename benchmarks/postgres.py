"""A PostgreSQL server for a benchmark: the one that ECOHUB_TEST_POSTGRES names, else one of its own in a new folder."""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVED = "ECOHUB_TEST_POSTGRES"
ACCOUNT = "postgres"  # PostgreSQL refuses to run as root: this account runs it then
PROGRAMS = ("initdb", "postgres", "pg_ctl")


def missing() -> str:
    """Why there is no server to measure; empty where there is one."""
    if os.environ.get(SERVED):
        return ""
    if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
        return f"no {absent[0]} on the path and {SERVED} names no server"
    if getpass.getuser() == "root" and ACCOUNT not in {entry.pw_name for entry in pwd.getpwall()}:
        return f"PostgreSQL does not run as root, and there is no account {ACCOUNT}"
    return ""


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database; a server of our own is stopped and removed at the end."""
    if named := os.environ.get(SERVED):
        yield named
        return
    user = ACCOUNT if getpass.getuser() == "root" else None
    with tempfile.TemporaryDirectory(prefix="ecohub-postgres-") as name:
        folder = Path(name)
        if user:
            shutil.chown(folder, user)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        data = folder / "data"
        _run(user, "initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "-E", "UTF8")
        settings = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder}"
        _run(user, "pg_ctl", "-D", str(data), "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        finally:
            _run(user, "pg_ctl", "-D", str(data), "-w", "-m", "fast", "stop")


def _run(user: str | None, program: str, *arguments: str) -> None:
    found = shutil.which(program)
    assert found is not None, f"{program} was looked for"
    subprocess.run([found, *arguments], check=True, capture_output=True, user=user, cwd="/")  # noqa: S603
