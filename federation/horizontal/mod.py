"""A Flower client mod that lets nothing but protected sums out of a node.

It handles the aggregation's own phases itself; around an input (training, or a query for a sum) it calls the node's own
application and sends what that gives hidden, under the rules of `Member`. Nothing that arrives is executed.
"""

from collections.abc import Callable
from typing import TypeAlias, cast

from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable, Mod

from federation.errors import LocalNoiseRequired
from federation.horizontal import coordinator, flower, keys, wire
from federation.horizontal.errors import ClearReplyRefused, UpdateRefused
from federation.horizontal.lanes import Noise, Update
from federation.horizontal.member import Member
from privacy.aggregation import Lanes

MemberOf: TypeAlias = Callable[[Message, Context], Member]

EXAMPLES = "num-examples"
STORE = "secure-sum"
WHO = flower.QUERY + "who"
DEAL, HOLD, ANSWER = (flower.QUERY + phase for phase in (coordinator.DEAL, coordinator.HOLD, coordinator.ANSWER))


def homomorphic_mod(member_of: MemberOf, update: Update, noise: Noise | None = None) -> Mod:
    """The mod of one job. `member_of` gives the node's Member for a message; `update`: the terms of its updates.

    The application answers "train" with one ArrayRecord (the model's arrays, moved, or under the name "update" what
    moves them, as noise needs it) and one MetricRecord with "num-examples" and the agreed metrics; it answers any other
    type that comes with a slot with ArrayRecord {"lanes": int64 (count,)} under the name "lanes", and may add a
    ConfigRecord "clear". What has no slot is refused: it would be answered in clear. noise: drawn into each update's
    lanes; two partners can't do without.
    """

    def mod(message: Message, context: Context, app: ClientAppCallable) -> Message:
        member = member_of(message, context)
        kind = message.metadata.message_type
        if kind == DEAL:
            dealt = member.deal(wire.decode_deal(flower.read_body(message)))
            return _reply(message, flower.body_content(wire.encode_dealt(dealt)))
        if kind == HOLD:
            complaints = member.hold(wire.decode_hold(flower.read_body(message)))
            return _reply(message, flower.body_content(wire.encode_held(complaints)))
        if kind == ANSWER:
            slot, headers, bodies = wire.decode_ask(flower.read_body(message), member.job)
            made = member.answer(slot, headers, bodies)
            return _reply(message, flower.body_content(wire.encode_answer(made)))
        if kind == WHO:
            return _reply(message, flower.body_content(member.me.encode()))
        if flower.SLOT not in message.content:
            raise ClearReplyRefused(phase=kind)
        if member.roster.size < 3 and noise is None:
            raise LocalNoiseRequired(partners=", ".join(member.roster.partners))
        return _contribute(message, context, app, member, update, noise)

    return mod


def homomorphic_app(member_of: MemberOf, update: Update, noise: Noise | None = None) -> ClientApp:
    """A ClientApp with the mod, to which `@app.train()` and queries for sums are added as usual.

    Flower routes a message to a registered function before any mod sees it; so the aggregation's own phases are
    registered here.
    """
    app = ClientApp(mods=[homomorphic_mod(member_of, update, noise)])
    for kind in (DEAL, HOLD, ANSWER, WHO):
        app.query(flower.phase_of(kind))(_answered_by_the_mod)
    return app


def flower_store(context: Context) -> keys.Store:
    """A member's keys in the state that Flower keeps for an app on its node, for whoever has no other store."""
    store = context.state.setdefault(STORE, ConfigRecord())
    assert isinstance(store, ConfigRecord), "this name belongs to the aggregation"
    return cast(keys.Store, store)


def _answered_by_the_mod(message: Message, context: Context) -> Message:
    raise AssertionError("the mod answers the aggregation's own phases")


def _contribute(
    message: Message, context: Context, app: ClientAppCallable, member: Member, update: Update, noise: Noise | None
) -> Message:
    slot, kind = flower.read_slot(message, member.job), message.metadata.message_type
    content = flower.without_slot(message.content)
    member.take(slot, flower.read_input(slot, kind, content))
    message.content = flower.copied(content)  # the application may change what it is handed
    answer = app(message, context)
    if answer.has_error():
        return answer
    if kind == flower.TRAIN:
        lanes, clear = _update_lanes(content, answer.content, member, update, noise), None
    else:
        lanes, clear = flower.read_lanes(answer.content)
    noisy = kind == flower.TRAIN and noise is not None
    return _reply(message, flower.upload_content(member.upload(slot, lanes, noisy), clear))


def _update_lanes(given: RecordDict, answer: RecordDict, member: Member, terms: Update, noise: Noise | None) -> Lanes:
    """The app's own answer is checked before any of it is counted."""
    figures = [record for record in answer.values() if isinstance(record, MetricRecord)]
    if len(figures) != 1 or len(answer) != 2 or EXAMPLES not in figures[0]:
        raise UpdateRefused(why=f"one record of arrays and one of metrics with {EXAMPLES} are expected")
    metrics = {name: value for name, value in figures[0].items() if name != EXAMPLES}
    examples = figures[0][EXAMPLES]
    if type(examples) is not int:
        raise UpdateRefused(why=f"{EXAMPLES} is a whole number")
    numbers = {name: float(value) for name, value in metrics.items() if isinstance(value, int | float)}
    update = flower.read_update(given, answer, exact=noise is not None)
    return terms.encode(update, examples, numbers, member.engine.value_bits, noise)


def _reply(message: Message, content: RecordDict) -> Message:
    return Message(content, reply_to=message)
