"""The chain's commands as people give them, over a real socket: a key file for each role."""

import json
from pathlib import Path

from contracts.keys import Address
from tests.support.sandbox_chain import CHAIN_ID, KEYS, PARTNER, Local, run

GROUPS = ("anchor", "governor")


class Desk:
    """Gives commands on a served chain; `contract` is the one that most of them are about."""

    group: tuple[str, ...] = ()  # of which all its commands are
    contract: Address

    def __init__(self, served: Local, folder: Path) -> None:
        self.served, self.folder = served, folder
        for role, key in KEYS.items():
            key.write(folder / f"{role}.key")

    def run(self, *arguments: str, by: str = "") -> tuple[int, str, str]:
        """(exit code, output, errors) of a command that the holder of a role's key gives."""
        words = (*self.group, *arguments)
        depth = 2 if words[0] in GROUPS else 1
        place = ("--endpoint", self.served.server.endpoint, "--chain-id", str(CHAIN_ID))
        key = ("--key", str(self.folder / f"{by}.key")) if by else ()
        found = run(*words[:depth], *place, *key, *words[depth:])
        return found.returncode, found.stdout, found.stderr

    def done(self, *arguments: str, by: str = "") -> dict:
        status, out, err = self.run(*arguments, by=by)
        assert status == 0, err
        return json.loads(out)

    def failure(self, *arguments: str, by: str = "") -> str:
        """The code of a refused command."""
        status, _, err = self.run(*arguments, by=by)
        assert status != 0
        return err.partition(":")[0]

    def partner(self) -> tuple[str, ...]:
        """The test partner's entry, as options name it."""
        return ("--contract", self.contract, "--partner", PARTNER.hex())

    def entry(self, command: str, *arguments: str, by: str = "") -> dict:
        """A command on the test partner's entry."""
        return self.done(command, *self.partner(), *arguments, by=by)
