"""Training plans of both shapes at this node: a request and a review go to whoever runs that shape."""

from ecowire.documents import Body
from ecowire.stream import Message
from federation.plan import read
from federation.plan_horizontal import SHAPE, HorizontalPlan
from partner_node import store
from partner_node.disclosure import Pair
from partner_node.horizontal import Horizontal
from partner_node.node import Answer, Handlers, Node
from partner_node.training import Training
from privacy.ids import Digest, parse_digest


class Plans:
    """The one handler of "flower" requests, and the one review of "train" proposals."""

    def __init__(self, node: Node, vertical: Training, horizontal: Horizontal) -> None:
        self._node = node
        self._vertical = vertical
        self._horizontal = horizontal
        self._shapes: dict[Digest, str] = {}  # a digest names one body for good

    def handlers(self) -> Handlers:
        return {"flower": self.answer}

    def review(self, body: Body) -> None:
        """Check a plan before a person approves it. Raises what the review of its shape raises."""
        plan = read(body)
        if isinstance(plan, HorizontalPlan):
            self._horizontal.review(body)
        else:
            self._vertical.review(body)

    def remarks(self, body: Body) -> list[Pair]:
        """What a person should know of a plan that passed the review."""
        plan = read(body)
        return [] if isinstance(plan, HorizontalPlan) else self._vertical.moments.remarks(plan)

    def answer(self, request: Message) -> Answer:
        """One request of a run. Raises UnknownJob, and what the participant of its shape raises."""
        run = parse_digest(request.head.get("run"))
        if run not in self._shapes:
            proposal = self._node.database.read(lambda session: store.proposal(session, run))
            self._shapes[run] = str(proposal.body.get("shape"))
        if self._shapes[run] == SHAPE:
            return self._horizontal.answer(request)
        return self._vertical.answer(request)
