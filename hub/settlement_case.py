"""One statement as the books hold it with its terms and signatures, and whether the chain holds the same."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

from contracts import settlement as chain_settlement
from contracts.chain import Chain
from contracts.keys import ZERO_ADDRESS, Address, parse_address
from hub import settlement_terms as terms
from hub import times
from hub.identity import Caller
from hub.records import Head
from hub.services import Reply, Services, only
from hub.settlement_errors import ChainDisagrees, ContractNotConfigured, SignerNotRegistered
from hub.store import Transaction
from hub.store_settlement import SettlementStore, StatementRecord
from revenue_share.agreement import Agreement
from revenue_share.statement import State, Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One statement with its terms and its confirmations, as read in one transaction."""

    record: StatementRecord
    made: Statement
    agreement: Agreement
    signatures: dict[str, bytes]
    proposed: bool

    @property
    def contract(self) -> Address:
        return parse_address(self.agreement.contract)

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.record.anchor)


def of(tx: Transaction, record: StatementRecord) -> Case:
    """As read in this transaction. Raises AgreementUnknown and the like."""
    confirmed = SettlementStore(tx.session).confirmations(record.id)
    return Case(
        record=record,
        made=terms.value_of(record),
        agreement=terms.active(tx, record.agreement),
        signatures={item.partner: bytes.fromhex(item.signature[2:]) for item in confirmed},
        proposed=terms.on_chain(tx, record),
    )


def contract(services: Services, caller: Caller, now: datetime, head: Head) -> Reply:
    """The configured settlement contract, as deployed. Raises ContractNotConfigured, CodeDiffers, ChainUnavailable."""
    only(head)
    configured = services.settings.chain
    if not configured.contract:
        raise ContractNotConfigured(file=services.settings.file.name)
    address = parse_address(configured.contract)
    with closing(services.chain()) as chain:
        found = chain_settlement.deployment(chain, address)
    return Reply(
        head={
            "chain_id": configured.chain_id,
            "contract": address,
            "governor": found.governor,
            "registrar": found.registrar,
            "broker": found.broker,
            "arbiter": found.arbiter,
            "window_seconds": found.window_seconds,
        }
    )


def agree(chain: Chain, case: Case) -> None:
    """Raises ChainDisagrees unless contract and statement are on the chain what agreement and books say.

    SignerNotRegistered where the governor has not named the referrer's account yet.
    """
    deployment = chain_settlement.deployment(chain, case.contract)
    partner = bytes.fromhex(case.made.partner_commitment)
    signer = chain_settlement.signer(chain, case.contract, partner)
    terms_of = case.agreement
    _same(case, "broker account", deployment.broker, parse_address(terms_of.payer.chain))
    _same(case, "window in seconds", str(deployment.window_seconds), str(terms_of.window_seconds))
    account = parse_address(terms_of.referrer.chain)
    if signer == ZERO_ADDRESS:
        facts = {"referrer": terms_of.referrer.partner, "partner": partner.hex(), "account": account}
        facts["terms"] = terms_of.digest
        raise SignerNotRegistered(chain_id=terms_of.chain_id, contract=case.contract, **facts)
    _same(case, "referrer account", signer, account)
    record = chain_settlement.state(chain, case.contract, case.digest)
    expected = case.record.state if case.proposed else "NONE"
    _same(case, "state", record.state, expected)
    if case.record.state == State.DRAFT.value:
        count, newest = chain_settlement.last(chain, case.contract, partner)
        place = case.made.place
        _same(case, "statements before", str(count), str(place.sequence - 1))
        _same(case, "last statement", newest.hex(), place.previous)
    if record.state == "PROPOSED" and case.record.closes_at is not None:
        closes = datetime.fromtimestamp(record.closes, UTC)
        if closes < case.record.closes_at:  # a pause makes it later, nothing makes it earlier
            _same(case, "window's end", times.iso(closes), times.iso(case.record.closes_at))


def _same(case: Case, what: str, chain: str, books: str) -> None:
    if chain != books:
        raise ChainDisagrees(statement=case.record.id[:16], what=what, chain=chain, books=books)
