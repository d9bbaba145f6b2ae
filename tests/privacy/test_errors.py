"""Failures travel between processes as they are: code, facts, sentences, whatever their constructor takes."""

import copy
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor

import pytest

from ecowire.status import RemoteFailure
from privacy.errors import Failure, Kind
from privacy.normalise import IdRejected, normalise
from privacy.psi.errors import BadIdentifiers
from privacy.psi.oprf.errors import ExtensionInconsistent, ExtensionLength, StoreUnsolvable

FAILURES = [
    ExtensionLength(bucket=3, got=1, expected=2),
    ExtensionInconsistent(bucket=3),
    StoreUnsolvable(bucket=3, attempts=4),
    BadIdentifiers(why="one stands there twice"),
    RemoteFailure("HUB_BUSY", Kind.UNAVAILABLE, "try again", "请重试"),
    Failure(),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
@pytest.mark.parametrize("again", [lambda f: pickle.loads(pickle.dumps(f)), copy.copy, copy.deepcopy])
def test_a_failure_keeps_all_it_says(failure: Failure, again: object) -> None:
    assert callable(again)
    found = again(failure)
    assert found is not failure
    assert (type(found), vars(found), str(found)) == (type(failure), vars(failure), str(failure))
    assert [found.message(lang) for lang in ("en", "zh")] == [failure.message(lang) for lang in ("en", "zh")]


def test_a_failure_of_a_worker_process_reaches_its_caller_and_the_pool_goes_on() -> None:
    """It has a constructor of its own, and is no one of the engine's."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        with pytest.raises(IdRejected) as raised:
            pool.submit(normalise, "phone", "12").result()
        assert raised.value.facts["reason"] == raised.value.reason.value
        assert pool.submit(normalise, "email", "a@b.cn").result() == b"email:a@b.cn"
