"""Changes of the product for one process of a test.

Defects for the canary test: a column, an id's hash, a row gets out. They leak the way real code would by mistake: a
value left in a message for debugging, a "harmless" digest as an example, a row in a signed report, a key that is not
random. A hub that is not honest: it alters what was proposed, lends approvals of another job, replays and alters sealed
envelopes. And one change that is no defect: lists in small messages, so that a few hundred clients make a stream.
"""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np


def column() -> None:
    """The feature holder's moments come with the first column itself, as the vault read it."""
    from federation.vertical.holder import FeatureHolder

    original = FeatureHolder._send

    @functools.wraps(original)
    def send(self: Any, kind: str, receivers: Any, content: Any) -> Any:
        if kind == "moments":
            name = self.names[self._me][0]
            rows = np.asarray(self._table.columns[name], dtype=np.float64)
            content = {**content, "parts": {part: {**x, "sums": rows} for part, x in content["parts"].items()}}
        return original(self, kind, receivers, content)

    FeatureHolder._send = send  # type: ignore[method-assign]


def rounded_column() -> None:
    """The moments' sums are not summed: the first column, rounded for the encrypted product."""
    from federation.vertical.holder import FeatureHolder

    original = FeatureHolder._send

    @functools.wraps(original)
    def send(self: Any, kind: str, receivers: Any, content: Any) -> Any:
        if kind == "moments":
            rounded = {part: {**x, "sums": self._matrices[part][:, 0]} for part, x in content["parts"].items()}
            content = {**content, "parts": rounded}
        return original(self, kind, receivers, content)

    FeatureHolder._send = send  # type: ignore[method-assign]


def id_hash() -> None:
    """The commitment to the ids comes with an example: SHA-256 of one of them."""
    from partner_node.matching import Matching

    original = Matching.start

    @functools.wraps(original)
    def start(self: Any, request: Any) -> Any:
        answer = original(self, request)
        example = self._read.found.ids[-1]
        return replace(answer, head={**answer.head, "example": hashlib.sha256(example).hexdigest()})

    Matching.start = start  # type: ignore[method-assign]


def row() -> None:
    """The signed training result names the first client's values."""
    from ecowire import documents
    from partner_node import training

    original = training.Training.finish

    @functools.wraps(original)
    def finish(self: Any, *arguments: Any) -> Any:
        columns = self._inputs.table.columns
        made = original(self, *arguments)
        honest = made.result.document
        body = {**honest.body, "example": [repr(float(values[0])) for values in columns.values()]}
        signed = documents.sign(honest.kind, body, honest.signer, self._node.keys.signing)
        return replace(made, result=replace(made.result, document=signed))

    training.Training.finish = finish  # type: ignore[method-assign]


def clear_update() -> None:
    """An update leaves as what it is: the lanes that were to be hidden."""
    from privacy.threshold import Threshold

    def encrypt(self: Any, key: bytes, lanes: Any, *_: Any) -> bytes:
        return bytes(lanes.tobytes())

    Threshold.encrypt = encrypt  # type: ignore[method-assign]


def result_row() -> None:
    """The signed figures of a horizontal run come with an example: the numbers of one row."""
    from federation.horizontal.results import PartnerResult
    from partner_node import score_file

    encode, record = score_file.encode, PartnerResult.record
    example: list[str] = []

    @functools.wraps(encode)
    def watched(result: Any, rows: Any, *arguments: Any, **named: Any) -> bytes:
        example.extend(repr(float(values[0])) for values in rows.columns.values() if values.dtype.kind == "f")
        return encode(result, rows, *arguments, **named)

    score_file.encode = watched
    PartnerResult.record = lambda self: {**record(self), "example": [*example]}  # type: ignore[method-assign]


def unmasked() -> None:
    """The matching key is 1: ids leave as points that anybody can compute from a guessed id."""
    from privacy.psi import group

    group.draw_scalar = lambda entropy: (1).to_bytes(group.SCALAR_BYTES, "little")


def _posting(change: Callable[[dict[str, Any]], None]) -> None:
    """Let `change` work on the arguments of every request that the hub posts to a node."""
    from hub import tasks

    original = tasks.post

    @functools.wraps(original)
    def post(tx: Any, now: Any, **arguments: Any) -> bool:
        change(arguments)
        return original(tx, now, **arguments)

    tasks.post = post


def altered_proposal() -> None:
    """The hub shows a node another body under the digest of the one that was proposed."""

    def change(arguments: dict[str, Any]) -> None:
        if arguments["kind"] == "proposal":
            body = {**arguments["head"]["body"], "minimum": 1}
            arguments["head"] = {**arguments["head"], "body": body}

    _posting(change)


def lent_approvals() -> None:
    """The hub starts every match with the approvals that the first match of this process got."""
    first: list[Any] = []

    def change(arguments: dict[str, Any]) -> None:
        if arguments["kind"] == "match.start":
            first.append(arguments["head"]["approvals"])
            arguments["head"] = {**arguments["head"], "approvals": first[0]}

    _posting(change)


def _delivering(change: Callable[[list[bytes]], list[bytes]]) -> None:
    """Let `change` work on the envelopes of every step that brings any."""
    from hub.records import Content
    from privacy import packing

    def alter(arguments: dict[str, Any]) -> None:
        if arguments["kind"] == "match.step" and (found := packing.unpack(arguments["body"].data)):
            arguments["body"] = Content.of(packing.pack(change(found)))  # type: ignore[arg-type]

    _posting(alter)


def replayed_envelope() -> None:
    """The hub delivers the first envelope of a step twice."""
    _delivering(lambda envelopes: [*envelopes, envelopes[0]])


def altered_envelope() -> None:
    """The hub turns one bit of the sealed content."""

    def change(envelopes: list[bytes]) -> list[bytes]:
        first = bytearray(envelopes[0])
        first[len(first) // 2] ^= 1
        return [bytes(first), *envelopes[1:]]

    _delivering(change)


def small_messages() -> None:
    """Lists of points travel 64 to a message. All parties of a job must do so."""
    from privacy.psi import factory

    defaults = factory.create.__kwdefaults__
    assert "points_per_message" in defaults
    defaults["points_per_message"] = 64


APPLY: dict[str, Callable[[], None]] = {
    "column": column,
    "rounded column": rounded_column,
    "id hash": id_hash,
    "row": row,
    "unmasked": unmasked,
    "clear update": clear_update,
    "result row": result_row,
    "altered proposal": altered_proposal,
    "lent approvals": lent_approvals,
    "replayed envelope": replayed_envelope,
    "altered envelope": altered_envelope,
    "small messages": small_messages,
}
