"""Commands about this node itself: status, consent records, budgets spent, and its part of the parties' trust file."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from sqlalchemy.orm import Session

from ecowire import status
from ecowire.documents import Body
from partner_node import budget, match_book, moment_values, result_files, sessions, store
from partner_node.arguments import optional_text, text
from partner_node.consent import ConsentDesk
from partner_node.errors import CommandInvalid
from partner_node.node import Commands, Node
from partner_node.rpc import LinkState
from privacy import canonical


class Office:
    """`link` tells the state of the connection to the hub."""

    def __init__(self, node: Node, desk: ConsentDesk, link: Callable[[], LinkState]) -> None:
        self._node = node
        self._desk = desk
        self._link = link

    def commands(self) -> Commands:
        return {
            "status": self.status,
            "quota": self.quota,
            "budget": self.budget,
            "consent.import": self.consent_import,
            "consent.show": self.consent_show,
            "consent.withdraw": self.consent_withdraw,
            "trust.export": self.trust_export,
        }

    def status(self, _: Mapping[str, Any]) -> Body:
        """The connection, what waits for the hub, what runs, what was refused, files not yet written, alarms."""
        link = self._link()

        def body(session: Session) -> Body:
            running: list[canonical.Value] = [
                {"job": item.job, "kind": item.kind, "step": item.step} for item in sessions.running(session)
            ]
            refused: list[canonical.Value] = [
                {"request": identifier, "failure": head} for identifier, head in store.refused_requests(session)
            ]
            return {
                "partner": self._node.settings.partner,
                "connected": link.connected,
                "alliance": self._node.alliance,
                "failure": status.to_head(link.failure) if link.failure else None,
                "outbox": {**store.outbox_counts(session)},
                "refused": refused,
                "running": running,
                "peers": [*store.peers(session)],
                "receipts": len(store.receipts(session)),
                "results_waiting": [name for _, name in result_files.names(session)],
                "match_alarms": [alarm.partner for alarm in match_book.alarms(session) if alarm.cleared is None],
            }

        return self._node.database.read(body)

    def quota(self, _: Mapping[str, Any]) -> Body:
        """Score vectors disclosed over this node's lifetime, run by run. Any overlap of columns shares one budget.

        Also the runs that took moments of own columns: a further run over the same clients is counted with them.
        """
        lines = self._node.database.read(sessions.ledger)
        told = self._node.database.read(moment_values.ledger)
        return {
            "moments": [{"run": run, "time": time, "columns": [*columns]} for run, time, columns in told],
            "score_vectors": [
                {
                    "run": line.run,
                    "asset": line.asset,
                    "columns": [*sorted(line.columns)],
                    "label_holder": line.label_holder,
                    "disclosed": line.count,
                }
                for line in lines
            ],
        }

    def budget(self, _: Mapping[str, Any]) -> Body:
        """The privacy budget of each asset that has one or gave figures with noise; it never resets by itself.

        Epsilon is text with three decimals, rounded up. Raises AccountantMissing.
        """
        known, counts = self._node.database.read(lambda session: (budget.bookings(session), budget.counts(session)))
        used = {booking.asset for booking in known} | {count.asset for count in counts}
        return {
            "assets": [
                budget.report(
                    asset,
                    [booking for booking in known if booking.asset == asset.name],
                    [count for count in counts if count.asset == asset.name],
                )
                for asset in self._node.settings.assets
                if asset.privacy_budget or asset.name in used
            ]
        }

    def consent_import(self, arguments: Mapping[str, Any]) -> Body:
        """Take over a CSV file of consent records. Raises ConsentFileInvalid; then nothing was imported."""
        path = Path(text(arguments, "file"))
        try:
            with path.open(encoding="utf-8-sig", newline="") as lines:
                id_type = optional_text(arguments, "id_type") or "resident_id"
                count = self._desk.import_file(lines, id_type=id_type, now=self._node.clock())
        except (OSError, UnicodeDecodeError) as error:
            raise CommandInvalid(command="consent.import", what=f"the file ({type(error).__name__})") from None
        return {"imported": count}

    def consent_show(self, arguments: Mapping[str, Any]) -> Body:
        """Counts by purpose; the records of one client where one is named."""
        client = optional_text(arguments, "client_id")
        if client is None:
            counts = self._desk.summary(self._node.clock())
            return {
                "purposes": [
                    {"purpose": c.purpose, "valid": c.valid, "expired": c.expired, "withdrawn": c.withdrawn}
                    for c in counts
                ]
            }
        found = self._desk.of_client(client, id_type=optional_text(arguments, "id_type") or "resident_id")
        return {
            "records": [
                {"purpose": purpose, "until": until, "withdrawn": withdrawn} for purpose, until, withdrawn in found
            ]
        }

    def consent_withdraw(self, arguments: Mapping[str, Any]) -> Body:
        """End a client's consent to one purpose or to all."""
        count = self._desk.withdraw(
            text(arguments, "client_id"),
            purpose=optional_text(arguments, "purpose"),
            id_type=optional_text(arguments, "id_type") or "resident_id",
            now=self._node.clock(),
        )
        return {"withdrawn": count}

    def trust_export(self, _: Mapping[str, Any]) -> Body:
        """This party's part of trust.toml: what an examiner should believe because this party says so."""
        return {"toml": self._node.database.read(self._trust)}

    def _trust(self, session: Session) -> str:
        node, settings = self._node, self._node.settings
        authority = x509.load_pem_x509_certificate(settings.authority.read_bytes()).fingerprint(hashes.SHA256())
        card = node.card().body
        alliance = {
            "authority_sha256": authority.hex(),
            "log_key": node.log_key.hex(),
            "origin": f"ecohub/{node.alliance}/audit",
        }
        genesis = {"digest": settings.genesis, "chain_id": settings.chain_id, "contract": settings.contract}
        signer = {name: card[name] for name in ("partner", "signing", "sealing", "chain")}
        parts = [
            _table("[alliance]", alliance),
            _table("[genesis]", {name: value for name, value in genesis.items() if value}),
            _table("[[signer]]", signer),
        ]
        for log in ("audit", "chain"):
            last = store.last_cosigned(session, log)
            if last is not None:
                seen = {"partner": settings.partner, "log": log, "size": last.size, "root": last.root.hex()}
                parts.append(_table("[[cosigned]]", seen))
        return "\n".join(parts)


def _table(name: str, values: Mapping[str, Any]) -> str:
    """A TOML table of text and integers; JSON strings are TOML basic strings (TOML 1.0)."""
    return "\n".join([name, *(f"{key} = {json.dumps(value)}" for key, value in values.items())]) + "\n"
