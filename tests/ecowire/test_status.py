"""Failures across the wire, and the catalogue: every failure has a unique code, a status and both languages."""

import importlib
import pkgutil

import grpc
import pytest

from ecowire import status
from privacy.errors import Failure, Kind, all_failures

ROOMS = ("privacy", "revenue_share", "federation", "contracts", "ecowire", "hub", "partner_node", "sandbox")


def failures() -> list[type[Failure]]:
    for room in ROOMS:
        package = importlib.import_module(room)
        for module in pkgutil.walk_packages(package.__path__, room + "."):
            if not module.name.endswith("__main__") and ".migrations" not in module.name:
                importlib.import_module(module.name)
    return all_failures()


def test_every_failure_has_a_unique_code_a_status_and_both_languages() -> None:
    catalogue = [cls for cls in failures() if "code" in vars(cls)]
    codes = [cls.code for cls in catalogue]
    assert len(catalogue) > 40
    assert sorted(codes) == sorted(set(codes))
    for cls in catalogue:
        assert cls.code == cls.code.upper(), cls
        assert cls.en and cls.zh and cls.en != cls.zh, cls
        assert any("一" <= character <= "鿿" for character in cls.zh) or cls is status.RemoteFailure, cls
        assert cls.kind in status.GRPC_STATUS and cls.kind in status.EXIT_CODE, cls


def test_a_subclass_without_a_code_of_its_own_is_a_base_class() -> None:
    for cls in failures():
        if "code" not in vars(cls):
            assert cls.__subclasses__(), f"{cls} can be raised but has no code of its own"


def test_a_failure_survives_the_wire() -> None:
    sent = status.MessageTooLarge(size=5, limit=4)
    head = status.to_head(sent)
    received = status.from_head(head)
    assert status.code_of(received) == "MESSAGE_TOO_LARGE"
    assert status.kind_of(received) is Kind.INVALID
    assert (received.message("en"), received.message("zh")) == (sent.message("en"), sent.message("zh"))
    assert status.to_head(received) == head


@pytest.mark.parametrize(
    "head", [{}, {"code": 1, "kind": "invalid", "en": "", "zh": ""}, {"code": "X", "kind": "?", "en": "", "zh": ""}]
)
def test_a_malformed_failure_head_is_refused(head: dict[str, object]) -> None:
    with pytest.raises(status.MalformedMessage):
        status.from_head(head)


def test_exit_codes_and_statuses_cover_every_kind() -> None:
    assert set(status.EXIT_CODE) == set(status.GRPC_STATUS) == set(Kind)
    assert set(status.EXIT_CODE.values()) == {2, 3, 4, 5}
    assert all(isinstance(code, grpc.StatusCode) for code in status.GRPC_STATUS.values())
