"""How a plan's body is read: every field is checked once, by its name, and an unknown one is refused."""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.errors import PlanInvalid
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId, parse_partner_id

PARTNERS_MAX = 64
COLUMNS_MAX = 512  # per party
NAME_CHARACTERS_MAX = 128
ROWS_MAX = 10_000_000


def fields(value: Any, required: set[str], optional: set[str], where: str) -> Mapping[str, Any]:
    """`value` as an object with exactly these fields. Raises PlanInvalid naming `where`."""
    if not isinstance(value, Mapping):
        raise PlanInvalid(field=where, why="an object is expected")
    missing, unknown = required - set(value), set(value) - required - optional
    if missing:
        raise PlanInvalid(field=where, why="missing " + ", ".join(sorted(missing)))
    if unknown:
        # an unknown field would be approved by people and then obeyed by nobody
        raise PlanInvalid(field=where, why="unknown " + ", ".join(sorted(str(name)[:40] for name in unknown)))
    return value


def agreement(body: Mapping[str, Any]) -> None:
    """Check what people read and sign in every plan: purpose, expiry, nonce and the sentences of disclosure."""
    for name in ("purpose", "expires"):
        text(body[name], name, 400)
    hex_bytes(body["nonce"], "nonce", 8)
    disclosure = body["disclosure"]
    if not isinstance(disclosure, list) or not disclosure or len(disclosure) > 100:
        raise PlanInvalid(field="disclosure", why="sentences that say who learns what are expected")
    for sentence in disclosure:
        text(sentence, "disclosure", 2_000)


def digest(body: Mapping[str, Any]) -> Digest:
    """The digest of a "train" proposal, the run's name everywhere. Raises PlanInvalid for a body with fractions."""
    try:
        return Digest(canonical.digest("ecohub/train/v1", dict(body)).hex())
    except canonical.NotCanonical as failure:
        raise PlanInvalid(field="body", why=failure.message()) from None


def constant(body: Mapping[str, Any], name: str, allowed: Sequence[Any], where: str = "") -> Any:
    """The field's value where it is one of `allowed` (a truth value is never a number)."""
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, type(allowed[0])) or value not in allowed:
        raise PlanInvalid(
            field=f"{where}.{name}" if where else name, why=" or ".join(str(one) for one in allowed) + " is expected"
        )
    return value


def flag(value: Mapping[str, Any], name: str, where: str = "") -> bool:
    """The truth value of an optional field; false where it is absent."""
    if not isinstance(found := value.get(name, False), bool):
        raise PlanInvalid(field=f"{where}.{name}" if where else name, why="true or false is expected")
    return found


def integer(value: Any, field: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise PlanInvalid(field=field, why=f"an integer from {least} to {most} is expected")
    return value


def integers(value: Mapping[str, Any], bounds: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    """The integers of an object, each within its (least, most)."""
    return {name: integer(value[name], name, *limits) for name, limits in bounds.items()}


def text(value: Any, field: str, characters: int = NAME_CHARACTERS_MAX) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= characters:
        raise PlanInvalid(field=field, why=f"text of 1 to {characters} characters is expected")
    return value


def texts(value: Any, field: str, least: int, most: int) -> tuple[str, ...]:
    """Different texts of a list."""
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise PlanInvalid(field=field, why=f"a list of {least} to {most} texts is expected")
    found = tuple(text(one, field) for one in value)
    if len(set(found)) != len(found):
        raise PlanInvalid(field=field, why="one is named twice")
    return found


def hex_bytes(value: Any, field: str, least_bytes: int) -> bytes:
    if not isinstance(value, str) or len(value) % 2 or not 2 * least_bytes <= len(value) <= 128:
        raise PlanInvalid(field=field, why=f"{least_bytes} to 64 bytes as hex digits are expected")
    if set(value) - set("0123456789abcdef"):
        raise PlanInvalid(field=field, why="lower-case hex digits are expected")
    return bytes.fromhex(value)


def partner(value: Any, field: str = "parties") -> PartnerId:
    try:
        return parse_partner_id(value)
    except Failure as failure:
        raise PlanInvalid(field=field, why=failure.message()) from None
