"""The privacy budget of matches whose count carries noise: the side that draws the noise, a follower, pays for it.

It is looked at before people approve, and again before the list with the noise leaves; the transaction that commits
this list books it. A job is booked once: its session draws the noise once, whatever restarts (`privacy.psi.session`).
"""

from collections.abc import Callable

from sqlalchemy.orm import Session

from partner_node import budget, times
from partner_node.budget import Count
from partner_node.node import Node
from privacy.ids import Digest
from privacy.noise import CountNoise
from privacy.psi.job import MatchJob


def review(node: Node, job: MatchJob) -> None:
    """Raises BudgetNotSet, BudgetExhausted: the noise that this side would draw can't be paid for."""
    if (noise := _drawn_here(node, job)) is not None:
        _check(node, "", job, noise)


def release(node: Node, digest: Digest, job: MatchJob, *, leaves: bool) -> Callable[[Session], None]:
    """The write that books the noise of a job, where something of this side `leaves` with it.

    Raises BudgetNotSet, BudgetExhausted: other jobs have spent the budget meanwhile, or the settings are others.
    """
    noise = _drawn_here(node, job)
    if noise is None or not leaves:
        return lambda _: None
    _check(node, digest, job, noise)
    count = Count(job=digest, asset=job.party(node.settings.partner).asset, noise=noise)
    now = times.to_text(node.clock())
    return lambda session: budget.book_count(session, count, now)


def _drawn_here(node: Node, job: MatchJob) -> CountNoise | None:
    return job.noise if node.settings.partner in job.followers else None


def _check(node: Node, digest: str, job: MatchJob, noise: CountNoise) -> None:
    asset = node.settings.asset(job.party(node.settings.partner).asset)
    node.database.read(lambda session: budget.check_count(session, asset, digest, noise))
