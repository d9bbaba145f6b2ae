"""Registered models in a hub's own bundle: what holds is counted; a hub that signs another story is found out."""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from contracts.keys import parse_address
from ecowire import documents, evidence
from hub import evidence as hub_evidence
from privacy.ids import PartnerId, Period
from sandbox.examine.run import Report, examine
from sandbox.examine.trust import Signer, Trust
from tests.hub import registry
from tests.hub.alliance import ALLIANCE, Hub, hub_without_ports
from tests.hub.registry import NO_UPLIFT, completed, release, rollback

MINE = {"MODEL_LINEAGE_DIFFERS", "MODEL_STEP_DIFFERS"}
Change = Callable[[Any], None]


@contextmanager
def two_models(folder: Path) -> Iterator[Hub]:
    """Two models of a name: the first released, the second tried and rolled back."""
    with hub_without_ports(folder, *registry.NAMES) as made:
        first, second = completed(made, 1, groups=0.05), completed(made, 2, auc_uplift=NO_UPLIFT)
        release(made, first)
        release(made, second, 50_000, accept_no_uplift=True)
        rollback(made)
        yield made


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """One for all tests that only read it."""
    with two_models(tmp_path_factory.mktemp("models")) as made:
        yield made


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[Hub]:
    with two_models(tmp_path) as made:
        yield made


def entries(hub: Hub) -> dict[str, bytes]:
    return hub_evidence.collect(hub.store, None, hub.settings.chain)


def report(hub: Hub, given: dict[str, bytes]) -> Report:
    """The examination under the parties' own keys, without a chain."""
    trust = Trust(
        authority_sha256="00" * 32,
        log_key=hub.services.log.key.public,
        origin=f"ecohub/{ALLIANCE}/audit",
        genesis="",
        chain_id=1,
        contract=parse_address("0x" + "00" * 20),
        signers={
            name: Signer(
                partner=PartnerId(name),
                signing=who.signing.public,
                sealing=who.sealing.public,
                chain=who.chain.address,
            )
            for name, who in hub.parties.items()
        },
        cosigned=(),
    )
    return examine(evidence.write(given, alliance=ALLIANCE, period=Period("2026-10")), trust)


def codes(found: Report) -> set[str]:
    return {finding.code for finding in found.findings}


def retold(hub: Hub, kind: str, number: int, change: Change) -> dict[str, bytes]:
    """The bundle with one of the hub's documents changed and signed again with the hub's own key."""
    made, place = {}, 0
    for name, data in entries(hub).items():
        signed = documents.decode(data) if name.startswith("documents/") else None
        if signed is not None and signed.kind == kind and signed.body.get("number") == number:
            body = copy.deepcopy(signed.body)
            change(body)
            signed, place = documents.sign(kind, body, signed.signer, hub.services.log.key), place + 1
            made[f"documents/{signed.digest}.json"] = signed.encode()
        else:
            made[name] = data
    assert place == 1, "one document was retold"
    return made


def test_what_the_registry_says_holds_and_is_all_in_the_log(hub: Hub) -> None:
    found = report(hub, entries(hub))
    assert not codes(found) & {*MINE, "NOT_LOGGED", "LEAF_WITHOUT_DOCUMENT", "SIGNATURE_INVALID"}
    assert (found.held["models"], found.held["model steps"]) == (2, 5)


def _approval(body: Any) -> None:
    body["parties"][1]["approval"] = "00" * 32


def _result(body: Any) -> None:
    body["parties"][1]["result"] = "00" * 32


def _alignment(body: Any) -> None:
    body["alignment_approvals"].pop("bank")


def _verdict(body: Any) -> None:
    body["fairness"]["attributes"][0]["gaps"]["selection"]["value_ppm"] = 0


def _uplift(body: Any) -> None:
    body["evaluation"]["auc_uplift"]["low_ppm"] += 1


def _model(body: Any) -> None:
    body["model_digest"] = "00" * 32


def _name(body: Any) -> None:
    body["name"] = "sales/broker/label"


def _run(body: Any) -> None:
    body["job"] = body["alignment"]


def _form(body: Any) -> None:
    body["parties"] = "all"


def _record(body: Any) -> None:
    body["record"] = "00" * 32


LINEAGE = [_approval, _result, _alignment, _verdict, _uplift, _model, _name, _run, _form, _record]


@pytest.mark.parametrize("change", LINEAGE)
def test_a_registration_that_its_run_does_not_give_is_a_finding(hub: Hub, change: Change) -> None:
    found = report(hub, retold(hub, "model-registration", 1, change))
    assert "MODEL_LINEAGE_DIFFERS" in codes(found) and found.held["models"] == 1


def _previous(body: Any) -> None:
    body["previous"] = "00" * 32


def _nobody_accepted(body: Any) -> None:
    body["accepted"] = []


def _two_wholes(body: Any) -> None:
    body["serving"][0]["share_ppm"] = 1_000_000


def _unknown(body: Any) -> None:
    body["serving"][0]["job"] = "00" * 32


def _late(body: Any) -> None:
    body["time"] = "2027-01-01T00:00:00.000Z"


def _other_model(body: Any) -> None:
    body["serving"][0]["model_digest"] = "00" * 32


def _raised_though_never_released(body: Any) -> None:
    body["action"], body["accepted"] = "raise", []


def _nobody(body: Any) -> None:
    body["person"] = ""


def _no_reason(body: Any) -> None:
    body["reason"] = " "


STEPS = [_previous, _nobody_accepted, _two_wholes, _unknown, _late, _other_model]
STEPS += [_raised_though_never_released, _nobody, _no_reason]


@pytest.mark.parametrize("change", STEPS)
def test_a_step_that_the_rules_forbid_is_a_finding(hub: Hub, change: Change) -> None:
    """Step 4 tries the second model at 5 %."""
    found = report(hub, retold(hub, "model-step", 4, change))
    assert "MODEL_STEP_DIFFERS" in codes(found) and found.held["model steps"] == 3


def test_a_step_that_is_left_out_is_a_finding(hub: Hub) -> None:
    given = entries(hub)
    (name,) = [
        name
        for name, data in given.items()
        if name.startswith("documents/")
        and (signed := documents.decode(data)).kind == "model-step"
        and signed.body["number"] == 4
    ]
    del given[name]
    assert "MODEL_STEP_DIFFERS" in codes(report(hub, given))


def test_a_hub_that_released_a_model_above_its_limits_is_found_out(own_hub: Hub) -> None:
    """A hub whose own gate is gone: everything is signed and logged, and the examiner sees it all the same."""
    from hub import model_gates

    job = completed(own_hub, 3, groups=0.2)
    kept, model_gates._fairness = model_gates._fairness, lambda _: []
    try:
        release(own_hub, job, 50_000)
    finally:
        model_gates._fairness = kept
    found = report(own_hub, entries(own_hub))
    (finding,) = [one for one in found.findings if one.code in MINE]
    assert "above the plan's fairness limits" in finding.en
