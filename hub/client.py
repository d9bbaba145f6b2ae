"""People's client of the hub: who I am (person.toml) and one call.

person.toml: hub = "host:port", authority, key, certificate = PEM files, relative to it. Found by --config or
ECOHUB_PERSON.
"""

import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ecowire import limits
from hub.records import Head
from hub.rpc import dial
from privacy.errors import Failure, Kind

ENVIRONMENT = "ECOHUB_PERSON"
FILE = "person.toml"
FIELDS = ("hub", "authority", "key", "certificate")
LONG_SECONDS = 300.0  # commands that wait for nodes or for the chain


class PersonInvalid(Failure):
    code = "PERSON_INVALID"
    kind = Kind.INVALID
    en = "the person's settings {file} are not usable: {why}; give --config PERSON.TOML or set ECOHUB_PERSON"
    zh = "人员配置 {file} 不可用：{why}；请用 --config PERSON.TOML 或环境变量 ECOHUB_PERSON 指定"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person's way to the hub: address and PEM contents."""

    hub: str
    authority: bytes
    key: bytes
    certificate: bytes
    certificate_file: Path | None = None


def load(path: Path | None = None) -> Person:
    """The person of a file, of ECOHUB_PERSON, or of ./person.toml. Raises PersonInvalid."""
    file = path or Path(os.environ.get(ENVIRONMENT, FILE))
    try:
        tree = tomllib.loads(file.read_text(encoding="utf-8"))
        if set(tree) != set(FIELDS) or not all(isinstance(tree[name], str) for name in FIELDS):
            raise PersonInvalid(
                file=str(file), why="hub, authority, key and certificate are expected, and nothing else"
            )
        found = {name: (file.parent / tree[name]).read_bytes() for name in FIELDS[1:]}
    except FileNotFoundError as error:
        raise PersonInvalid(file=str(file), why=f"{error.filename} is missing") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PersonInvalid(file=str(file), why=str(error)) from None
    return Person(hub=tree["hub"], certificate_file=file.parent / tree["certificate"], **found)


def call(
    person: Person, command: str, head: Head | None = None, *, idempotency_key: str = "", seconds: float = LONG_SECONDS
) -> tuple[Head, bytes]:
    """Carry out a command on the hub; the answer's head and body.

    A changing command needs a key: the same key again gets the same answer.
    Raises what the hub answers (RemoteFailure), HubUnreachable.
    """
    return dial.call(
        person.hub,
        person.authority,
        person.key,
        person.certificate,
        command,
        head or {},
        idempotency_key,
        max(seconds, float(limits.DEADLINE_SECONDS)),
    )
