"""Payment and reconciliation: the list of what people of finance can ask for.

    details    where partners are paid, by four eyes                    hub.payment_details
    pay        the payment file, pain.001 or CSV                        hub.payment_file, hub.payment_pain
    bank       camt.053 and CSV come in                                 hub.bank_import, hub.bank_camt, hub.bank_csv
               what two files hold alike                                hub.bank_repeats
    reconcile  rules, exceptions, what a match does                     hub.payment_matching, revenue_share.reconcile
               what nothing matches yet, or two people explain          hub.payment_suspense
    match      by hand, by four eyes                                    hub.payment_manual
    export     statement, ledger, exceptions as CSV and XLSX            hub.payment_export

Each command that changes something has a rehearsal, NAME.dry: the real transaction, rolled back at its end.
"""

from datetime import datetime

from hub import bank_import, payment_details, payment_export, payment_file, payment_manual, payment_matching
from hub.identity import Caller
from hub.records import Head
from hub.services import FINANCE, REGULATOR, Command, InOneTransaction, Reply, Services, WithStore


def _rehearsed(run: InOneTransaction) -> WithStore:
    def rehearse(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
        return services.store.dry_run("rehearse", lambda tx: run(services, tx, caller, now, head))

    return rehearse


_CHANGING: dict[str, InOneTransaction] = {
    "details.propose": payment_details.propose,
    "details.decide": payment_details.decide,
    "pay": payment_file.pay,
    "bank.import": bank_import.take,
    "reconcile": payment_matching.run,
    "match.propose": payment_manual.propose,
    "match.decide": payment_manual.decide,
}
COMMANDS: dict[str, Command] = {
    **{name: Command(roles=(FINANCE,), run=run) for name, run in _CHANGING.items()},
    **{
        f"{name}.dry": Command(roles=(FINANCE,), call=_rehearsed(run), changes=False) for name, run in _CHANGING.items()
    },
    "details": Command(roles=(FINANCE,), run=payment_details.show, changes=False),
    "bank": Command(roles=(FINANCE,), run=bank_import.show, changes=False),
    "exceptions": Command(roles=(FINANCE,), run=payment_matching.exceptions, changes=False),
    "matches": Command(roles=(FINANCE, REGULATOR), run=payment_manual.show, changes=False),
    "export": Command(roles=(FINANCE,), run=payment_export.export, changes=False),
}
