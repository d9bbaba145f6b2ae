"""`ecohub sandbox chain resolve`: the arbiter decides what a party disputed, with its own key.

The contract knows a statement by its EIP-712 digest. Whoever gives the arbiter the statement itself, as a file, gives
it more: the digest is then computed from what it was shown, and the words of the dispute are those that the contract's
reason is the digest of.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from contracts import keys, settlement
from contracts.chain import Chain
from contracts.errors import AnchorInvalid, MalformedChainAnswer, NotEntitled, StatementState, TransactionUnknown
from contracts.keys import Address
from ecowire import codec_settlement, documents
from ecowire.status import MalformedMessage, NotConfirmed
from privacy.printable import printable
from revenue_share import statement as revenue_statement
from sandbox.chain.cli_options import CONTRACT, KEY, Endpoint, endpoint

BYTES_MAX = 64 << 20
READABLE = click.Path(exists=True, dir_okay=False, path_type=Path)
LINES = {  # of what is shown, (en, zh)
    "statement": ("statement on the chain", "链上结算单"),
    "state": ("state", "状态"),
    "party": ("disputed by", "异议方账户"),
    "role": ("role", "角色"),
    "reason": ("digest of the dispute", "异议文件摘要"),
    "closes": ("window ends", "异议期截止"),
    "words": ("words of the dispute", "异议内容"),
    "upheld": ("upheld: the statement is void", "异议成立（结算单作废）"),
    "decision": ("digest of the decision (SHA-256)", "裁决文件摘要（SHA-256）"),
    "transaction": ("transaction", "交易"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The statement that the arbiter is asked about; `documents`: the disputes in the file it was given, by digest."""

    digest: bytes
    documents: dict[str, documents.Signed]


@click.command("resolve")
@endpoint
@KEY
@CONTRACT
@click.argument("statement", metavar="STATEMENT")
@click.option("--upheld/--dismissed", "upheld", required=True, default=None, help="whether the objection is right")
@click.option("--reason", "decision", type=READABLE, required=True, help="the decision; its SHA-256 goes on the chain")
@click.option("--yes", is_flag=True, help="decide; without it the dispute is only shown")
@click.option("--json", "as_json", is_flag=True, help="one JSON document")
@click.pass_context
def resolve(
    context: click.Context,
    at: Endpoint,
    key: Path,
    contract: str,
    statement: str,
    upheld: bool,
    decision: Path,
    yes: bool,
    as_json: bool,
) -> None:
    """The arbiter decides a disputed STATEMENT: its digest on the chain, or a file of `partner statement show --json`.

    Upheld: it is void, and its month is closed again with a replacement. Dismissed: it may be finalised at once, and
    not be disputed again. Finance's next `settle` takes either over into the books.
    """
    arbiter, where, digest = keys.read(key), keys.parse_address(contract), _sha256(decision)
    zh = context.obj["lang"] == "zh"
    with at.open() as client:
        found = settlement.deployment(client, where)
        if arbiter.address != found.arbiter:
            raise NotEntitled(reason=f"not the arbiter, which is {found.arbiter}")
        named = _named(statement, at.chain_id, where)
        shown = {**_disputed(client, where, found, named), "upheld": upheld, "decision": digest.hex()}
        if not yes:
            _show(shown, as_json, zh)
            raise NotConfirmed
        data = settlement.resolve_data(named.digest, upheld, digest)
        shown["transaction"] = client.execute(where, data, arbiter.secret).transaction
        shown["state"] = settlement.state(client, where, named.digest).state
    _show(shown, as_json, zh)


def _disputed(client: Chain, contract: Address, found: settlement.Deployment, named: Named) -> dict[str, Any]:
    """The dispute that waits for a decision. Raises TransactionUnknown, StatementState."""
    record = settlement.state(client, contract, named.digest)
    if record.state == "NONE":
        raise TransactionUnknown(what=f"statement {named.digest.hex()[:16]}")
    if record.state != "DISPUTED":
        raise StatementState(reason=f"not disputed but {record.state}")
    dispute = settlement.dispute(client, contract, named.digest)
    if dispute is None:
        raise MalformedChainAnswer(why="a disputed statement without the event of its dispute")
    signed = named.documents.get(dispute.reason.hex())
    return {
        "statement": named.digest.hex(),
        "state": record.state,
        "party": dispute.party,
        "role": "broker" if dispute.party == found.broker else "partner",
        "reason": dispute.reason.hex(),
        "closes": datetime.fromtimestamp(record.closes, UTC).isoformat(),
        "words": None if signed is None else dict(signed.body),  # who says it is `party`: the digest binds no signer
    }


def _named(text: str, chain_id: int, contract: Address) -> Named:
    """The statement of a digest, or of a file. Raises AnchorInvalid, MalformedMessage, StatementDiffers."""
    path = Path(text)
    if not path.is_file():
        try:
            digest = bytes.fromhex(text.removeprefix("0x"))
        except ValueError:
            digest = b""
        if len(digest) != 32:
            raise AnchorInvalid(why="a statement is named by its digest on the chain, 64 hex digits, or by its file")
        return Named(digest=digest, documents={})
    value = _read(path)
    anchor = codec_settlement.anchor(revenue_statement.from_body(value["body"]))
    listed = value.get("disputes")
    disputes = [_document(item) for item in listed] if isinstance(listed, list) else []
    return Named(
        digest=settlement.digest(anchor, chain_id, contract),
        documents={one.digest: one for one in disputes},
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > BYTES_MAX:
            raise ValueError
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("body"), dict):
        raise MalformedMessage(
            why="a file is expected as `statement show --json` or `finance statement --json` writes it"
        )
    return value


def _document(item: Any) -> documents.Signed:
    """A dispute as the node or the hub shows it."""
    fields = item if isinstance(item, dict) else {}
    return documents.parse(fields.get("document", fields.get("dispute")), kind="dispute")


def _sha256(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise AnchorInvalid(why=f"the decision can't be read ({error.strerror})") from None


def _show(value: dict[str, Any], as_json: bool, zh: bool) -> None:
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, sort_keys=True))
        return
    for name, words in LINES.items():
        found = value.get(name)
        if found is not None:
            text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False, sort_keys=True)
            click.echo(printable(f"{words[zh]}: {text}"))
