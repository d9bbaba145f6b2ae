"""One examination: bundle and trust in, report out. Pure; `__main__` does the reading and printing."""

from collections.abc import Callable
from dataclasses import dataclass

from ecowire import evidence
from privacy.errors import Failure
from privacy.printable import printable
from sandbox.examine import chain, contributions, forms, ledger, logs, models, places, signatures, statements
from sandbox.examine.anchors import Anchored
from sandbox.examine.case import Case, open_case
from sandbox.examine.findings import Finding, Sheet
from sandbox.examine.payments import Paid
from sandbox.examine.trust import Trust

DAMAGES = {"altered": "ENTRY_ALTERED", "missing": "ENTRY_MISSING", "unlisted": "ENTRY_UNLISTED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What an examination found. `held` counts what was checked and held, by kind.

    `anchored`: by log, the last checkpoint that the hub anchored on the chain, beside the records of the bundle.
    """

    alliance: str
    period: str
    findings: tuple[Finding, ...]
    held: dict[str, int]
    anchored: dict[str, dict[str, str | int]]

    @property
    def clean(self) -> bool:
        """No finding of severity error."""
        return all(finding.severity != "error" for finding in self.findings)

    def to_value(self) -> dict[str, object]:
        """The stable JSON form."""
        return {
            "alliance": self.alliance,
            "period": self.period,
            "clean": self.clean,
            "findings": [finding.to_value() for finding in self.findings],
            "held": dict(sorted(self.held.items())),
            "anchored": self.anchored,
        }


def examine(data: bytes, trust: Trust) -> Report:
    """Examine a bundle's bytes against what the parties say. Raises BundleMalformed where none can be read."""
    bundle = evidence.read(data)
    sheet = Sheet()
    for damage in bundle.damages:
        sheet.add(DAMAGES[damage.why], damage.name)
    if not bundle.exact and not bundle.damages:
        sheet.add("BUNDLE_NOT_EXACT", "the archive")
    sheet.holds("files", len(bundle.entries) - sum(damage.why == "altered" for damage in bundle.damages))
    if trust.origin != f"ecohub/{bundle.alliance}/audit":
        sheet.add("OTHER_ALLIANCE", evidence.MANIFEST, found=bundle.alliance, expected=trust.origin)
    case = open_case(bundle, trust, sheet)
    _guard(case, "names", lambda: forms.check(case))
    _guard(case, "signatures", lambda: signatures.check(case))
    _guard(case, "audit log", lambda: logs.check(case))
    _guard(case, "contributions", lambda: contributions.check(case))
    _guard(case, "models", lambda: models.check(case))
    settled: list[statements.Recomputed] = []
    _guard(case, "statements", lambda: settled.extend(statements.check(case)))
    _guard(case, "places", lambda: places.check(case, tuple(settled)))
    paid: list[Paid] = []
    _guard(case, "journal", lambda: paid.append(ledger.check(case, tuple(settled))))
    commitments: dict[str, set[str]] = paid[0].commitments if paid else {}
    last: dict[str, Anchored] = {}
    _guard(case, "chain", lambda: last.update(chain.check(case, tuple(settled), commitments)))
    _guard(case, "disputes", lambda: statements.check_disputes(case, tuple(settled)))
    signatures.tell_unverified(case)
    alliance, period = printable(bundle.alliance), printable(bundle.period)
    records = {logs.AUDIT: len(case.leaves), chain.CHAIN: sheet.held["blocks"]}
    anchored = {log: one.to_value(records[log]) for log, one in sorted(last.items())}
    return Report(
        alliance=alliance, period=period, findings=tuple(sheet.findings), held=dict(sheet.held), anchored=anchored
    )


def _guard(case: Case, what: str, check: Callable[[], None]) -> None:
    # A hostile bundle must not be able to stop the other checks; that this one stopped is itself a finding.
    try:
        check()
    except Exception as error:  # which ones hostile content can raise is not for us to foresee
        why = error.message() if isinstance(error, Failure) else type(error).__name__
        case.sheet.add("CHECK_STOPPED", what, why=why)
