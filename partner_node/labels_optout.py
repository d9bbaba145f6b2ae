"""Clients who want no labels (拒绝): noted under the key that consent is kept by, honoured at the next delivery."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ecowire.documents import Body
from partner_node import store_labels, times
from partner_node.arguments import optional_text, text
from partner_node.errors import CommandInvalid
from partner_node.grants import Gate
from partner_node.labels_errors import OptOutFileInvalid
from partner_node.node import Commands, Node
from privacy import canonical
from privacy.normalise import IdRejected, normalise

FILE_COLUMNS = ["client_id"]
RECORDS_MAX = 10_000_000


class OptOuts:
    """`gate` turns a client's id into its key."""

    def __init__(self, node: Node, gate: Gate) -> None:
        self._node = node
        self._gate = gate

    def commands(self) -> Commands:
        return {
            "labels.opt_out.add": lambda arguments: self._change(arguments, store_labels.ADD),
            "labels.opt_out.remove": lambda arguments: self._change(arguments, store_labels.REMOVE),
            "labels.opt_out.list": self.listed,
            "labels.opt_out.import": self.import_file,
        }

    def listed(self, arguments: Mapping[str, Any]) -> Body:
        """How many clients want no labels, and every change; of one client where one is named."""
        client = optional_text(arguments, "client_id")
        if client is None:
            total, changes = self._node.database.read(
                lambda session: (len(store_labels.opted_out(session)), store_labels.opt_out_changes(session))
            )
            every: list[canonical.Value] = [
                {"time": time, "action": action, "clients": count} for time, action, count in changes
            ]
            return {"opted_out": total, "changes": every}
        (key,) = self._keys([client], id_type(arguments))
        now, found = self._node.database.read(
            lambda session: (store_labels.opts_out(session, key), store_labels.opt_outs_of(session, key))
        )
        return {"opted_out": now, "changes": [{"time": time, "action": action} for action, time in found]}

    def import_file(self, arguments: Mapping[str, Any]) -> Body:
        """Note the opt-outs of a CSV file with the header client_id. All or nothing: raises OptOutFileInvalid."""
        path, kind = Path(text(arguments, "file")), id_type(arguments)
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                keys = self._read(lines, kind)
        except (OSError, UnicodeDecodeError) as error:
            raise OptOutFileInvalid(line=0, why=f"the file can't be read ({type(error).__name__})") from None
        return {"clients": len(keys), "changed": self._keep(keys, store_labels.ADD)}

    def _change(self, arguments: Mapping[str, Any], action: str) -> Body:
        clients = arguments.get("client_ids")
        if not isinstance(clients, list) or not clients or not all(isinstance(item, str) for item in clients):
            raise CommandInvalid(command=str(arguments.get("command", "")), what="client_ids")
        keys = self._keys(clients, id_type(arguments))
        return {"clients": len(clients), "changed": self._keep(keys, action)}

    def _keep(self, keys: Iterable[bytes], action: str) -> int:
        now = times.to_text(self._node.clock())
        return self._node.database.write(
            f"opt-out {action}", lambda session: store_labels.change_opt_outs(session, keys, action, now)
        )

    def _keys(self, clients: Iterable[str], kind: str) -> list[bytes]:
        return self._gate.row_keys([normalise(kind, client) for client in clients])

    def _read(self, lines: Iterable[str], kind: str) -> list[bytes]:
        reader = csv.reader(lines, strict=True)
        keys: dict[bytes, None] = {}
        try:
            if next(reader, None) != FILE_COLUMNS:
                raise OptOutFileInvalid(line=1, why="the header must be client_id, and nothing else")
            for row in reader:
                if not row:
                    continue
                if len(row) != 1:
                    raise OptOutFileInvalid(line=reader.line_num, why="one client id is expected")
                keys.update(dict.fromkeys(self._keys(row, kind)))
                if len(keys) > RECORDS_MAX:
                    raise OptOutFileInvalid(line=reader.line_num, why=f"more than {RECORDS_MAX} clients")
        except csv.Error as error:
            raise OptOutFileInvalid(line=reader.line_num, why=str(error)) from None
        except IdRejected as failure:
            raise OptOutFileInvalid(line=reader.line_num, why=failure.message()) from None
        if not keys:
            raise OptOutFileInvalid(line=1, why="the file has no client")
        return list(keys)


def id_type(arguments: Mapping[str, Any]) -> str:
    """How a command writes client ids."""
    return optional_text(arguments, "id_type") or "resident_id"
