"""A feature holder's answers where one client's score is asked for: its own rounded share, masked and sealed.

It answers only for a run that its people approved with `scoring` and that was completed here, for a client of that
alignment whose consent holds now, and for as many clients a day as the plan says. Booking, consent and answer are one
transaction: what was not counted has not left, and a restart counts nothing twice. Of a client that it does not answer
for it says no more than that.

Its own share beside the masked one, coarsely, only where the plan has `split`, within a day's bound of its own and at
most as often as the run has clients: so the splits of a run are one score vector, and the first is booked as one.

Of trees it says where the client goes at those of its splits that are asked: no mask hides this, and nothing more
leaves for a split, which it only approves and counts. The first answer of a run books a score vector for each tree that
it splits.
"""

from dataclasses import dataclass
from datetime import UTC

from sqlalchemy.orm import Session

from ecowire import envelopes
from ecowire.envelopes import EnvelopeNotForThis
from ecowire.stream import Message
from federation.errors import ColumnHasGaps, ColumnInfinite, ScoreBudgetExceeded, StepMalformed, WeightsRefused
from federation.features import Columns
from federation.vertical import single
from federation.vertical.single import Ask
from federation.vertical.trees import single as trees
from federation.vertical.trees.model import TreePart
from partner_node import approvals, grants, sessions, store_scores, times
from partner_node.node import Answer, Handlers, Node
from partner_node.score_errors import (
    ClientNotAligned,
    ClientNotScored,
    ScoreAskDiffers,
    ScoreAskOver,
    ScoringBudgetSpent,
    SplitBudgetSpent,
    SplitNotInPlan,
    SplitsOver,
)
from partner_node.score_rows import ScoreRows
from partner_node.score_run import KIND, ScoredRun, ScoredRuns, header
from partner_node.store_scores import Given
from privacy.ids import Digest, parse_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """An ask that came as it should, and whose client it is about."""

    run: ScoredRun
    ask: Ask
    client: bytes


class ScoreShares:
    """The answers of one node."""

    def __init__(self, node: Node, runs: ScoredRuns, rows: ScoreRows) -> None:
        self._node = node
        self._me = node.settings.partner
        self._runs = runs
        self._rows = rows

    def handlers(self) -> Handlers:
        return {KIND: self.answer}

    def answer(self, request: Message) -> Answer:
        """The own share of one client's score.

        Raises ScoringNotInPlan, NotApproved, RunNotCompleted, LabelMatrixExpired, BadSignature, CannotOpen and the like
        for an ask of another, ScoreAskOver, ScoreAskDiffers, ClientNotAligned, ClientNotScored, ScoringBudgetSpent,
        SplitNotInPlan, SplitBudgetSpent, SplitsOver, ScoreBudgetExceeded.
        """
        question = self._question(request)
        known = self._node.database.read(lambda session: store_scores.given(session, question.ask.id))
        if known is not None and known.heard != question.ask.digest:
            raise ScoreAskDiffers(what="it was answered before")
        made = known or self._given(question)

        def write(session: Session) -> None:
            self._check_consent(session, question)
            if known is None:
                self._book(session, question.run, made)
                if question.ask.split:
                    self._book_split(session, question.run, made)
                store_scores.give(session, made)

        return Answer(head={"envelope": made.envelope.hex()}, write=write)

    def _question(self, request: Message) -> _Question:
        """Open the ask and check whose it is, of which run, until when and about whom."""
        name, identifier = parse_digest(request.head.get("run")), parse_digest(request.head.get("ask"))
        run = self._runs.get(name)
        leader = run.plan.label_holder
        expected = header(identifier, leader, self._me)
        plain = envelopes.open_envelope(
            request.body,
            expect=expected,
            sender_public=approvals.signing_key(run.proposal.body, leader),
            key=self._node.keys.sealing,
        )
        ask = Ask.decode(plain, leader)
        if (ask.run, ask.id) != (name, identifier):
            raise EnvelopeNotForThis(what="run or ask", found=ask.run[:16], expected=name[:16])
        if ask.split and run.scoring.split is None:
            raise SplitNotInPlan(job=run.job[:16], partner=self._me)
        if times.to_text(self._node.clock()) >= times.to_text(times.parse(ask.until, "the end of an ask")):
            raise ScoreAskOver(partner=self._me, until=ask.until[:40])
        client = self._node.database.read(lambda s: store_scores.row_key(s, run.plan.alignment, ask.token))
        if client is None:
            raise ClientNotAligned(partner=self._me, job=run.job[:16])
        return _Question(run=run, ask=ask, client=client)

    def _given(self, question: _Question) -> Given:
        """Compute and seal the answer. The own value is read now, whatever it was at the training."""
        run, ask, leader = question.run, question.ask, question.run.plan.label_holder
        columns = self._rows.of(run, question.client)
        if columns is None:
            raise ClientNotScored(partner=self._me)
        try:
            units, plain = self._answered(run, ask, columns)
        except (ColumnHasGaps, ColumnInfinite, WeightsRefused):
            raise ClientNotScored(partner=self._me) from None
        envelope = self._node.outbound.seal(
            plain,
            kind=KIND,
            header=header(ask.id, self._me, leader),
            sealing_public=approvals.sealing_key(run.proposal.body, leader),
        )
        return Given(
            ask=ask.id,
            heard=ask.digest,
            run=run.job,
            token=ask.token,
            share=units,
            envelope=envelope,
            time=times.to_text(self._node.clock()),
        )

    def _answered(self, run: ScoredRun, ask: Ask, columns: Columns) -> tuple[int, bytes]:
        """(what is booked, what is sealed): the own share and its masked word; of trees the sides at asked splits.

        Raises StepMalformed, ColumnHasGaps, ColumnInfinite, WeightsRefused.
        """
        leader = run.plan.label_holder
        if (ask.splits is not None) is not isinstance(run.part, TreePart):
            raise StepMalformed(partner=leader, why="an ask of another model")
        if isinstance(run.part, TreePart):
            bitmap = bytes.fromhex(ask.splits or "")
            sides = trees.answer(run.part, columns, bitmap, leader)
            return trees.booking_number(bitmap, sides), sides
        units = single.share(run.part, columns, run.plan.score_step_log2, leader)
        plain = single.hidden(units, ask, self._me, self._mask_keys(run))
        return units, single.with_split(plain, _coarse(run, units)) if ask.split else plain

    def _mask_keys(self, run: ScoredRun) -> dict[str, bytes]:
        """The key shared with each other feature holder, by the sealing keys that everybody approved in the plan."""
        context = single.mask_context(run.job)
        return {
            peer: self._node.keys.sealing.shared_key(approvals.sealing_key(run.proposal.body, peer), context)
            for peer in run.plan.holders
            if peer != self._me
        }

    def _check_consent(self, session: Session, question: _Question) -> None:
        """In the transaction that lets the answer out. Raises ClientNotScored."""
        if grants.consent_until(session, question.client, question.run.purpose, self._node.clock()) is None:
            raise ClientNotScored(partner=self._me)

    def _book(self, session: Session, run: ScoredRun, made: Given) -> None:
        """Raises ScoringBudgetSpent, ScoreBudgetExceeded."""
        day, most = self._day(), run.scoring.clients_per_day
        if isinstance(run.part, TreePart) and len(run.part.cuts) and not store_scores.answered(session, run.job):
            self._book_vectors(session, run, len({tree for tree, _, _ in run.part.cuts.tolist()}))
        if store_scores.book(session, made, day) > most:
            raise ScoringBudgetSpent(partner=self._me, most=most, job=run.job[:16], day=day)

    def _book_split(self, session: Session, run: ScoredRun, made: Given) -> None:
        """Raises SplitBudgetSpent, SplitsOver, ScoreBudgetExceeded."""
        split, day = run.scoring.split, self._day()
        share = made.share if isinstance(run.part, TreePart) else _coarse(run, made.share)
        assert split is not None, "the ask was refused otherwise"
        if store_scores.split_known(session, made, day, share):
            return
        of_day, of_run = store_scores.book_split(session, made, day, share)
        if of_day > split.clients_per_day:
            raise SplitBudgetSpent(partner=self._me, most=split.clients_per_day, job=run.job[:16], day=day)
        if of_run > (most := store_scores.aligned(session, run.plan.alignment)):
            raise SplitsOver(partner=self._me, most=most, job=run.job[:16])
        if of_run == 1:
            self._book_vectors(session, run, 1)

    def _book_vectors(self, session: Session, run: ScoredRun, count: int) -> None:
        """The splits of a run are one more score vector of the lifetime budget, sides at a tree's splits one a tree.

        Raises ScoreBudgetExceeded.
        """
        plan, own = run.plan, run.plan.party(self._me)
        spent = sessions.spent(session, own.asset, own.columns, plan.label_holder, other_than="")
        if spent + count > plan.score_budget:
            raise ScoreBudgetExceeded(needed=count, spent=spent, budget=plan.score_budget)
        more = sessions.Spent(
            run=Digest(run.job),
            asset=own.asset,
            columns=frozenset(own.columns),
            label_holder=plan.label_holder,
            count=count,
        )
        sessions.spend_more(session, more, times.to_text(self._node.clock()))

    def _day(self) -> str:
        return self._node.clock().astimezone(UTC).date().isoformat()


def _coarse(run: ScoredRun, units: int) -> int:
    split = run.scoring.split
    assert split is not None, "the ask was refused otherwise"
    return single.coarse(units, run.plan.score_step_log2, split.step_log2)
