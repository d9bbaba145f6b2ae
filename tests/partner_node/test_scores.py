"""One client's score through the nodes: equal to the label matrix, refused where anybody must, counted once."""

from pathlib import Path

import pytest

from ecowire.status import RemoteFailure, code_of
from tests.partner_node import alliance, scoring, test_training
from tests.partner_node.alliance import PURPOSE, MovableClock, TestAuthority
from tests.partner_node.relay import MatchRelay
from tests.partner_node.scoring import Alliance

pytestmark = pytest.mark.slow_flow


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folders of the nodes after an alignment and a run with `scoring`; the run's digest."""
    folder = tmp_path_factory.mktemp("trained")
    clock, authority = MovableClock(), TestAuthority()
    nodes = []
    for name, columns in test_training.COLUMNS.items():
        text, classes = test_training.table(name), dict.fromkeys(columns, "C2")
        node = alliance.make_node(folder, name, text, columns=classes, clock=clock, authority=authority)
        alliance.consent(node, range(test_training.CLIENTS))
        nodes.append(node)
    alliance.pin_all(nodes)
    match = alliance.propose(nodes, "match", alliance.match_body(nodes))
    MatchRelay(nodes, match, alliance.approve(nodes, match)).run()
    job = scoring.trained(nodes, match)
    for node in nodes:
        node.parts.node.database.close()
    return folder, job


@pytest.fixture
def made(run: tuple[Path, str], tmp_path: Path) -> Alliance:
    return scoring.opened(run[0], tmp_path, run[1])


CLIENT = alliance.resident_id(7)


def test_the_score_is_that_of_the_label_matrix_while_nothing_has_changed(made: Alliance) -> None:
    matrix = made.matrix()
    for number in (0, 7, 55, 699):
        client = alliance.resident_id(number)
        found = made.scored(client)
        assert float(found["score"]) == matrix[client]["score"]
        assert found["chance_ppm"] == round(matrix[client]["chance"] * 1_000_000)
        assert (found["decile"], found["changed"]) == (matrix[client]["decile"], False)
        assert found["model"] == matrix[client]["model"]
        assert found["valid_until"] == matrix[client]["valid_until"]
