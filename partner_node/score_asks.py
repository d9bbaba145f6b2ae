"""One client's score for the label holder's people: the own share now, the other holders' by one ask through the hub.

An ask is kept, with its sealed questions, in one transaction before anything leaves, so it ends whatever dies between:
with a score, with a refusal, or by its own `until`. Asking again for the same client meanwhile waits for the same ask.
What it came to stays as a record of who asked for whom, and when.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy.orm import Session

from ecowire import documents, envelopes, status
from ecowire.documents import Body
from ecowire.status import MalformedMessage
from ecowire.stream import Message
from federation.vertical.single import Ask
from partner_node import (
    approvals,
    explain_basis,
    grants,
    score_own,
    score_standing,
    store,
    store_labels,
    store_scores,
    times,
)
from partner_node.arguments import optional_text, text
from partner_node.errors import ClientNotInRun, CommandInvalid
from partner_node.explain_basis import Basis
from partner_node.explain_errors import ExplanationMissing
from partner_node.node import Answer, Commands, Handlers, Node
from partner_node.score_errors import (
    ClientNotScored,
    ClientOptedOut,
    OwnConsentMissing,
    ScoreAskOver,
    ScoreAskUnknown,
    ScorePending,
    SplitNotInPlan,
)
from partner_node.score_rows import ScoreRows
from partner_node.score_run import KIND, ScoredRun, header
from partner_node.score_standing import Standing, Standings
from partner_node.store_scores import OPEN, REFUSED, Asked, Score, Split
from privacy import packing
from privacy.errors import Failure
from privacy.ids import Digest, PartnerId, parse_digest
from privacy.normalise import normalise

ASK_SECONDS = 600  # an ask that no holder could answer by then is over
SECONDS, SECONDS_MAX = 10, 300
PPM = 1_000_000
LOOK_SECONDS = 0.05  # a refusal by the hub is looked for; an answer wakes who waits for it


class ScoreAsks:
    """The asks of one node. `wake` lets the worker send what stands in the outbox."""

    def __init__(self, node: Node, standings: Standings, rows: ScoreRows, wake: Callable[[], None]) -> None:
        self._node = node
        self._me = node.settings.partner
        self._standings = standings
        self._rows = rows
        self._wake = wake
        self._asking = threading.Lock()  # two commands for one client make one ask
        self._settled = threading.Condition()

    def commands(self) -> Commands:
        return {"score": self.score, "scores": self.scores}

    def handlers(self) -> Handlers:
        return {"score.answer": self.take}

    def score(self, arguments: Mapping[str, Any]) -> Body:
        """One client's score by the columns of all parties as they are now.

        Raises what `Standings.get` raises, SplitNotInPlan, IdRejected, ClientNotInRun, ModelNotReleased,
        ModelServesOthers, OwnConsentMissing, ClientOptedOut, ClientNotScored; ScorePending where no answer comes in
        time; and what a holder or the hub refuses.
        """
        name, client, person = (text(arguments, field) for field in ("job", "client", "person"))
        seconds, split = _seconds(arguments), _wants_split(arguments)
        standing = self._standings.get(name)
        if split and standing.run.scoring.split is None:
            raise SplitNotInPlan(job=standing.run.job[:16], partner=", ".join(standing.run.plan.holders))
        with self._asking:
            made = self._ask(standing, client, person, split)
        self._wake()
        return _line(standing, self._wait(standing, made, seconds))

    def scores(self, arguments: Mapping[str, Any]) -> Body:
        """The latest asks of this node's people, and on a feature holder's side what it gave, day by day."""
        name = optional_text(arguments, "job")
        now = times.to_text(self._node.clock())

        def read(session: Session) -> Body:
            run = store.proposal(session, name).digest if name else None
            return {
                "asked": [_record(one, now) for one in store_scores.newest(session, run)],
                "given": [
                    {"run": job, "day": day, "clients": count, "splits": store_scores.splits(session, job, day)}
                    for job, day, count in store_scores.days(session, run)
                ],
            }

        return self._node.database.read(read)

    def take(self, request: Message) -> Answer:
        """The holders' answers, or the refusal of one of them; either ends the ask.

        Raises ScoreAskUnknown. What does not open or add up ends the ask too, and is the answer to the hub.
        """
        name = parse_digest(request.head.get("ask"))
        known = self._node.database.read(lambda session: store_scores.asked(session, name))
        if known is None:
            raise ScoreAskUnknown(ask=name[:16])
        refused = request.head.get("failure")
        try:
            if isinstance(refused, dict):
                raise status.from_head(refused)
            standing = self._standings.get(known.run)
            found, split = self._found(standing, known, request.body)
        except Failure as failure:
            own = None if isinstance(refused, dict) else failure
            return Answer(failure=own, write=self._end(known, status.to_head(failure)), then=self._tell)
        return Answer(write=self._end(known, found, standing, split), then=self._tell)

    # --- asking

    def _ask(self, standing: Standing, client: str, person: str, split: bool) -> Asked:
        """The ask that is under way for this client, or a new one."""
        run, now = standing.run, self._node.clock()
        (key,) = self._standings.gate.row_keys([normalise(standing.asset.id_type, client)])
        if key not in standing.places:
            raise ClientNotInRun(job=run.job[:16])
        self._node.database.read(lambda session: score_standing.check_served(session, run, key))
        until = self._node.database.read(lambda session: grants.consent_until(session, key, run.purpose, now))
        if until is None:
            raise OwnConsentMissing(purpose=run.purpose)
        if self._node.database.read(lambda session: store_labels.opts_out(session, key)):
            raise ClientOptedOut
        moment = times.to_text(now)
        known = self._node.database.read(lambda s: store_scores.open_ask(s, run.job, key, moment, split=split))
        return known or self._begin(standing, key, person, split)

    def _begin(self, standing: Standing, key: bytes, person: str, split: bool) -> Asked:
        """Keep a new ask together with the request that takes it to the hub."""
        run, now = standing.run, self._node.clock()
        columns = self._rows.of(run, key)
        if columns is None:
            raise ClientNotScored(partner=self._me)
        until = times.to_text(min(now + timedelta(seconds=ASK_SECONDS), run.until))
        ask = Ask(
            run=run.proposal.digest,
            id=Digest(self._node.entropy(32).hex()),
            token=standing.places[key].token,
            model=Digest(standing.model),
            until=until,
            split=split,
        )
        made = Asked(
            id=ask.id,
            run=run.job,
            client=key,
            token=ask.token,
            model=ask.model,
            person=person,
            asked=times.to_text(now),
            until=until,
            own=score_own.brought(run, columns),
            split=split,
        )
        request = self._request(standing, ask, score_own.asks(run, ask, columns))

        def keep(session: Session) -> None:
            store_scores.add(session, made)
            store.enqueue(session, request, made.asked)

        self._node.database.write("score ask", keep)
        return made

    def _request(self, standing: Standing, ask: Ask, asks: Mapping[str, Ask]) -> Message:
        """The ask sealed for every feature holder, under this node's signed word of what was asked. asks: by holder."""
        body = standing.run.proposal.body
        sealed = {
            str(holder): self._node.outbound.seal(
                asks[holder].encode(),
                kind=KIND,
                header=header(ask.id, self._me, holder),
                sealing_public=approvals.sealing_key(body, holder),
            )
            for holder in standing.run.plan.holders
        }
        said: Body = {
            "run": ask.run,
            "ask": ask.id,
            "model": ask.model,
            "until": ask.until,
            "asks": {holder: hashlib.sha256(envelope).hexdigest() for holder, envelope in sealed.items()},
        }
        signed = documents.sign("score-ask", said, self._me, self._node.keys.signing)
        head: Body = {"ask": signed.to_value()}
        return Message(id=_request_id(ask.id), kind="score.ask", head=head, body=packing.pack({**sealed}))

    # --- waiting

    def _wait(self, standing: Standing, made: Asked, seconds: int) -> Asked:
        """The ask once it has ended with a score. Raises its refusal, ScorePending."""
        end = time.monotonic() + seconds
        while (known := self._look(made.id)).state == OPEN:
            left = end - time.monotonic()
            if left <= 0:
                holders = ", ".join(standing.run.plan.holders)
                raise ScorePending(seconds=seconds, holders=holders, until=made.until)
            with self._settled:
                self._settled.wait(min(left, LOOK_SECONDS))
        if known.state == REFUSED:
            raise status.from_head(known.failure or {})
        return known

    def _look(self, ask: str) -> Asked:
        """The ask as it stands; one that the hub refused ends here."""

        def read(session: Session) -> tuple[Asked | None, Body | None]:
            return store_scores.asked(session, ask), store_scores.refused_by_hub(session, _request_id(ask))

        known, refused = self._node.database.read(read)
        assert known is not None, "it was kept before anybody waits for it"
        if known.state != OPEN or refused is None:
            return known
        self._node.database.write("score refused", self._end(known, refused))
        return self._look(ask)

    def _tell(self) -> None:
        with self._settled:
            self._settled.notify_all()

    # --- ending

    def _found(self, standing: Standing, known: Asked, body: bytes) -> tuple[Score, Split | None]:
        """The score of the sealed shares, and its split where one was wanted.

        Raises NotPacked, MalformedMessage, StepMalformed, ScoresImplausible, OwnSidesChanged, …
        """
        plan = standing.run.plan
        answers = packing.unpack(body)
        if not isinstance(answers, dict) or set(answers) != set(plan.holders):
            raise MalformedMessage(why="an answer of every feature holder is expected")
        words = {str(holder): self._open(standing, known, holder, answers[holder]) for holder in plan.holders}
        run = standing.run
        if plan.trees:
            basis = partial(self._basis, run) if known.split else None
            now = self._rows.of(run, known.client)
            log_odds, split = score_own.of_trees(run, known.own, words, now, basis)
        else:
            log_odds, split = score_own.of_scorecard(run, known.own, words, split=known.split)
        return standing.score(known.client, log_odds, ""), split

    def _basis(self, run: ScoredRun) -> Basis:
        """Of the run's explanations. Raises ExplanationMissing, ExplanationUnreadable."""
        file = explain_basis.file_name(run.job)
        try:
            return explain_basis.decode((self._node.settings.results / file).read_bytes(), file)
        except OSError:
            raise ExplanationMissing(job=run.job[:16], file=file) from None

    def _open(self, standing: Standing, known: Asked, holder: PartnerId, envelope: object) -> bytes:
        if not isinstance(envelope, bytes):
            raise MalformedMessage(why="an envelope is bytes")
        return envelopes.open_envelope(
            envelope,
            expect=header(Digest(known.id), holder, self._me),
            sender_public=approvals.signing_key(standing.run.proposal.body, holder),
            key=self._node.keys.sealing,
        )

    def _end(
        self, known: Asked, outcome: Score | Body, standing: Standing | None = None, split: Split | None = None
    ) -> Callable[[Session], None]:
        """The write that ends an ask. A score counts only while the ask runs and the client wants it and consents."""

        def write(session: Session) -> None:
            now, said = self._node.clock(), outcome
            if standing is not None and isinstance(said, Score):
                purpose = standing.run.purpose
                until = grants.consent_until(session, known.client, purpose, now)
                if until is None:
                    said = status.to_head(OwnConsentMissing(purpose=purpose))
                elif store_labels.opts_out(session, known.client):
                    said = status.to_head(ClientOptedOut())
                elif times.to_text(now) >= known.until:
                    said = status.to_head(ScoreAskOver(partner=self._me, until=known.until))
                else:
                    said = replace(said, consent_until=until)
            store_scores.settle(session, known.id, times.to_text(now), said, split)

        return write


def _request_id(ask: str) -> str:
    return f"score/{ask}"


def _seconds(arguments: Mapping[str, Any]) -> int:
    """How long to wait. Raises CommandInvalid."""
    value = arguments.get("seconds", SECONDS)
    if type(value) is not int or not 1 <= value <= SECONDS_MAX:
        raise CommandInvalid(command="score", what=f"seconds, 1 to {SECONDS_MAX}")
    return value


def _wants_split(arguments: Mapping[str, Any]) -> bool:
    """Raises CommandInvalid."""
    value = arguments.get("split", False)
    if not isinstance(value, bool):
        raise CommandInvalid(command="score", what="split, true or false")
    return value


def _sides(standing: Standing, known: Asked) -> Body | None:
    """The split as people see it: log-odds as text, which add up to the score."""
    found, split = known.found_split, standing.run.scoring.split
    if found is None or split is None:
        return None
    step = 2.0**split.step_log2
    return {
        "step": repr(step),
        "own": repr(score_own.shown(standing.run, known.own, known.found.score, found) if known.found else known.own),
        "shares": {holder: repr(units * step) for holder, units in found.shares.items()},
        "remainder": repr(found.remainder * 2.0**standing.run.plan.score_step_log2),
    }


def _line(standing: Standing, known: Asked) -> Body:
    """An ask with its score, as people see it. Its score is text: no digit is lost."""
    assert known.found is not None, "it has ended with a score"
    until = times.to_text(standing.run.until)
    return {
        "job": known.run,
        "ask": known.id,
        "model": known.model,
        "score": repr(known.found.score),
        "chance_ppm": round(known.found.chance * PPM),
        "decile": known.found.decile,
        "changed": known.found.changed,
        "split": _sides(standing, known),
        "time": known.settled,
        "consent_until": known.found.consent_until,
        "valid_until": min(until, known.found.consent_until),
    }


def _record(known: Asked, now: str) -> Body:
    """An ask for the list: who asked when, and what came of it."""
    state = "OVER" if known.state == OPEN and known.until <= now else known.state
    return {
        "run": known.run,
        "ask": known.id,
        "client": known.client.hex(),
        "person": known.person,
        "asked": known.asked,
        "split": known.split,
        "state": state,
        "settled": known.settled,
        "score": repr(known.found.score) if known.found else None,
        "failure": known.failure,
    }
