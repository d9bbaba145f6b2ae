"""What a horizontal plan is said to disclose: the numbers in the sentences are the plan's, and so is the grammar."""

import pytest

from partner_node import disclosure_horizontal
from tests.hub.horizontal import BANKS, plan_body


@pytest.mark.parametrize(
    ("colluders", "said"), [(1, "1 other party works together"), (2, "2 other parties work together")]
)
def test_how_many_may_work_together_is_a_sentence(colluders: int, said: str) -> None:
    body = plan_body(*BANKS, colluders=colluders)
    english = " ".join(en for en, _ in disclosure_horizontal.sentences(body, BANKS[0]))
    assert f"at most {said} with the hub (the construction" in english
