"""Messages of the rounds that are altered, misshapen, out of order, of another round or sent again: always an error."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from federation.errors import StepMalformed, StepUnexpected, WeightsRefused
from federation.plan import TRAIN, TrainingPlan
from federation.vertical import Outgoing, scores
from federation.vertical.messages import decode, encode
from privacy.errors import Failure
from privacy.linear.errors import ForeignProductMessage, MalformedProductMessage
from tests.federation.alliance import Tamper, body, pump, sessions, synthetic

TABLES, COLUMNS = synthetic()
PLAN = TrainingPlan.from_body(body(COLUMNS, model="logistic", logistic={"rounds": 3, "plateau_ppm": 0}))
Content = dict[str, Any]
Change = Callable[[Content], Content]
NEW = (
    "shares:1",
    "residual:1",
    "residual-reply:1",
    "residual-opened:1",
    "shares:2",
    "residual:2",
    "refined:1",
    "scores",
)


def altered(kind: str, sender: str, change: Change) -> Tamper:
    def tamper(found: str, out: Outgoing) -> Outgoing:
        is_kind, content = decode(found, PLAN.digest, out.message)
        if (is_kind, found) != (kind, sender):
            return out
        return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, kind, change(dict(content))))

    return tamper


def setting(**fields: Any) -> Change:
    return lambda content: content | fields


def of_part(change: Callable[[bytes], bytes]) -> Change:
    return lambda content: content | {"data": {TRAIN: change(content["data"][TRAIN])}}


def recorded() -> dict[str, tuple[str, Outgoing, Any]]:
    """The first message of each new kind: (sender, message, its receiver as it was before it came)."""
    found: dict[str, tuple[str, Outgoing, Any]] = {}
    parties = sessions(PLAN, TABLES)
    queue = [(name, out) for name in parties for out in parties[name].start()]
    while queue:
        sender, out = queue.pop(0)
        kind, _ = decode(sender, PLAN.digest, out.message)
        receiver = parties[out.recipient]
        if kind in NEW and kind not in found:
            copy = sessions(PLAN, TABLES)[out.recipient]
            copy.restore(receiver.dump())
            found[kind] = (sender, out, copy)
        queue += [(out.recipient, answer) for answer in receiver.receive(sender, out.message)]
    return found


@pytest.fixture(scope="module")
def messages() -> dict[str, tuple[str, Outgoing, Any]]:
    return recorded()


@pytest.mark.parametrize("kind", NEW)
def test_an_altered_byte_is_an_error_and_changes_nothing(
    messages: dict[str, tuple[str, Outgoing, Any]], kind: str
) -> None:
    """Every byte of the short messages, of the long ones the ends and many places between."""
    sender, out, receiver = messages[kind]
    before, size = receiver.dump().state, len(out.message)
    draw = np.random.default_rng(3)
    places = range(size) if size < 3_000 else {*range(400), *range(size - 100, size), *draw.integers(size, size=200)}
    for place in places:
        broken = bytearray(out.message)
        broken[place] ^= 1 << int(draw.integers(8))
        with pytest.raises(Failure):
            receiver.receive(sender, bytes(broken))
    assert receiver.dump().state == before
    receiver.receive(sender, out.message)  # and unaltered it is taken


@pytest.mark.parametrize("kind", NEW)
def test_a_message_twice_is_refused(messages: dict[str, tuple[str, Outgoing, Any]], kind: str) -> None:
    sender, out, _ = recorded()[kind] if kind == "refined:1" else messages[kind]
    parties = pump(PLAN, TABLES)
    with pytest.raises(StepUnexpected):
        parties[out.recipient].receive(sender, out.message)


def test_what_a_skipped_round_would_have_needed_is_refused() -> None:
    plan = TrainingPlan.from_body(body(COLUMNS, model="logistic", logistic={"rounds": 3, "plateau_ppm": 100_000}))
    parties = pump(plan, TABLES)
    late = {"data": {TRAIN: b""}, "divisor": 1, "anew": 0, "ridge_milli": 1000}
    with pytest.raises(StepUnexpected):
        parties["bank"].receive("broker", encode(plan.digest, "residual:2", late))
    with pytest.raises(StepUnexpected):
        parties["broker"].receive("bank", encode(plan.digest, "shares:3", {"shares": np.zeros(1385, np.uint64)}))


@pytest.mark.parametrize("number", ["0", "01", "-1", "99999", "2x", ""])
def test_a_round_number_is_a_plain_number(number: str) -> None:
    packed = encode(PLAN.digest, "shares:1", {"shares": np.zeros(3, np.uint64)})
    from privacy import packing

    value: Any = packing.unpack(packed[:-32])
    from federation.vertical.messages import _with_digest

    with pytest.raises(StepMalformed):
        decode("bank", PLAN.digest, _with_digest(packing.pack(value | {"kind": f"shares:{number}"})))


MALFORMED: dict[str, tuple[str, str, Change]] = {
    "shares as signed words": ("shares:1", "bank", setting(shares=np.zeros(1385, np.int64))),
    "shares of other rows": ("shares:2", "bank", setting(shares=np.zeros(1384, np.uint64))),
    "shares of all clients": ("shares:1", "bank", setting(shares=np.zeros(2000, np.uint64))),
    "shares that are no array": ("shares:1", "bank", setting(shares=b"x")),
    "a divisor of nobody's": ("residual:1", "broker", setting(divisor=2)),
    "a divisor of zero": ("residual:1", "broker", setting(divisor=0)),
    "a huge divisor": ("residual:1", "broker", setting(divisor=1 << 52)),
    "a truth value for a divisor": ("residual:1", "broker", setting(divisor=True)),
    "a restart that is no flag": ("residual:1", "broker", setting(anew=2)),
    "a penalty of another plan": ("residual:1", "broker", setting(ridge_milli=999)),
    "a residual of no part": ("residual:1", "broker", setting(data={})),
    "a residual of a stranger's part": ("residual:1", "broker", setting(data={"fold-1": b""})),
    "a reply that is no bytes": ("residual-reply:1", "bank", setting(data={TRAIN: 1})),
    "openings that are none": ("residual-opened:1", "broker", setting(data=None)),
    "no round kept": ("refined:1", "broker", setting(kept=0)),
    "a round kept that was not shown": ("refined:1", "broker", setting(kept=4)),
    "a digest of weights that is none": ("scores", "bank", setting(digest="x")),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_message_names_its_sender(case: str) -> None:
    kind, sender, change = MALFORMED[case]
    with pytest.raises(StepMalformed) as caught:
        pump(PLAN, TABLES, tamper=altered(kind, sender, change))
    assert caught.value.facts["partner"] == sender


LINEAR: dict[str, tuple[str, str, Change, type[Failure]]] = {
    "a residual cut short": ("residual:1", "broker", of_part(lambda data: data[:-1]), MalformedProductMessage),
    "a residual that is empty": ("residual:2", "broker", of_part(lambda _: b""), MalformedProductMessage),
    "an opening for a residual": ("residual:1", "broker", of_part(lambda data: data[:4] + b"\x07" + data[5:]), Failure),
    "a reply of another": ("residual-reply:1", "bank", of_part(lambda data: data[:9] + bytes(32)), Failure),
}


@pytest.mark.parametrize("case", LINEAR)
def test_products_of_another_form_are_refused(case: str) -> None:
    kind, sender, change, failure = LINEAR[case]
    with pytest.raises(failure):
        pump(PLAN, TABLES, tamper=altered(kind, sender, change))


def test_the_residual_of_another_run_or_round_is_refused(messages: dict[str, tuple[str, Outgoing, Any]]) -> None:
    other = TrainingPlan.from_body(
        body(COLUMNS, model="logistic", logistic={"rounds": 3, "plateau_ppm": 0}, nonce="01" * 16)
    )
    _, foreign = decode("broker", PLAN.digest, messages["residual:1"][1].message)

    def replayed(found: str, out: Outgoing) -> Outgoing:
        kind, content = decode(found, other.digest, out.message)
        if kind != "residual:1":
            return out
        return Outgoing(
            recipient=out.recipient, message=encode(other.digest, kind, content | {"data": foreign["data"]})
        )

    with pytest.raises(ForeignProductMessage):
        pump(other, TABLES, tamper=replayed)
    first: list[Content] = []

    def again(found: str, out: Outgoing) -> Outgoing:
        kind, content = decode(found, PLAN.digest, out.message)
        if kind == "residual:1":
            first.append(content)
        if kind != "residual:2":
            return out
        return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, kind, first[0]))

    with pytest.raises(Failure, match="sequence"):
        pump(PLAN, TABLES, tamper=again)


def carried(parties: Any, tamper: Tamper) -> None:
    queue = [(name, out) for name in parties for out in parties[name].start()]
    while queue:
        sender, out = queue.pop(0)
        out = tamper(sender, out)
        queue += [(out.recipient, answer) for answer in parties[out.recipient].receive(sender, out.message)]


def test_two_residuals_in_one_message_are_refused() -> None:
    """A step is taken from one: the rest would be numbers that nobody approved."""
    options = {"rounds": 4, "plateau_ppm": 0, "beyond_cap": True}
    plan = TrainingPlan.from_body(body(COLUMNS, model="logistic", logistic=options))
    parties = sessions(plan, TABLES)

    def two(found: str, out: Outgoing) -> Outgoing:
        kind, content = decode(found, plan.digest, out.message)
        if kind != "residual:1" or out.recipient != "bank":
            return out
        data = parties["broker"]._encryptors[TRAIN].encrypt(np.ones((2, parties["broker"]._rows), np.int64))
        message = encode(plan.digest, kind, content | {"data": {TRAIN: data}})
        return Outgoing(recipient=out.recipient, message=message)

    with pytest.raises(StepMalformed, match="more than one residual"):
        carried(parties, two)


def early(kind: str, content: Content) -> Tamper:
    """The label holder sends this in the place of its first residual."""

    def tamper(found: str, out: Outgoing) -> Outgoing:
        is_kind, _ = decode(found, PLAN.digest, out.message)
        if is_kind != "residual:1":
            return out
        return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, kind, content))

    return tamper


def test_an_end_after_another_number_of_rounds_is_refused() -> None:
    with pytest.raises(StepUnexpected):
        pump(PLAN, TABLES, tamper=early("refined:1", {"rounds": 2, "kept": 1}))


def test_an_end_while_a_residual_is_open_is_refused() -> None:
    """The label holder would have the reply and not give back what it decrypted to."""

    def instead(found: str, out: Outgoing) -> Outgoing:
        kind, _ = decode(found, PLAN.digest, out.message)
        if kind != "residual-opened:1":
            return out
        return Outgoing(recipient=out.recipient, message=encode(PLAN.digest, "refined:1", {"rounds": 1, "kept": 1}))

    with pytest.raises(StepUnexpected):
        pump(PLAN, TABLES, tamper=instead)


def test_a_later_round_waits_for_the_one_before() -> None:
    """Kept and not answered: nothing is shown for it."""
    bank = sessions(PLAN, TABLES)["bank"]
    bank.start()
    content = {"data": {TRAIN: b""}, "divisor": 1, "anew": 0, "ridge_milli": 1000}
    assert bank.receive("broker", encode(PLAN.digest, "residual:2", content)) == []
    assert bank.receive("broker", encode(PLAN.digest, "refined:1", {"rounds": 1, "kept": 1})) == []
    assert bank.shown == 0


def test_residuals_that_drive_a_weight_too_far_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight alone in its size would void the rounding of the scores."""
    monkeypatch.setattr(scores, "WEIGHT_MAX", 0.05)
    bank = sessions(PLAN, TABLES)["bank"]
    (track,) = bank._tracks
    track.begin(np.array([0.01, 0.02, 0.06, 0.0, 0.0, 0.0]))
    with pytest.raises(WeightsRefused, match="residuals move a weight"):
        bank._show(track)
