"""The link to a real hub: enrolment, hello, reconnection, refusals, the outbox."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecowire import status
from ecowire.status import HubUnreachable, RemoteFailure
from partner_node import enrolment, keys, rpc
from partner_node.errors import AuthorityDiffers, NotEnrolled
from partner_node.rpc import Identity
from partner_node.settings import Settings
from tests.partner_node.harbour import ALLIANCE, Harbour, harbour, live, prepare, until


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Harbour]:
    with harbour(tmp_path) as made:
        yield made


def identity(settings: Settings, **changes: str) -> Identity:
    return Identity(
        address=changes.get("address", settings.hub),
        authority=settings.authority.read_bytes(),
        key=keys.read_secret(settings.keys / "tls.key"),
        certificate=keys.certificate(settings.keys),
        partner=changes.get("partner", settings.partner),
    )


def test_an_enrolled_node_is_welcome(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    assert rpc.hello(identity(settings)) == ALLIANCE
    assert enrolment.membership(settings).alliance == ALLIANCE


def test_enrolling_again_with_the_same_keys_gives_the_same_certificate(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    first = keys.certificate(settings.keys)
    invite = hub.command("invite", partner="bank")["invite"]
    enrolment.enrol(settings, invite)
    second = keys.certificate(settings.keys)
    enrolment.enrol(settings, invite)
    assert keys.certificate(settings.keys) == second != first


def test_an_unknown_invite_is_refused(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with pytest.raises(RemoteFailure) as refusal:
        enrolment.enrol(settings, "no such invite")
    assert status.code_of(refusal.value) == "INVITE_UNKNOWN"


def test_another_authority_is_not_believed(hub: Harbour, tmp_path: Path) -> None:
    settings = prepare(hub, "bank")
    from tests.partner_node.alliance import TestAuthority

    settings.authority.write_bytes(TestAuthority().pem)
    invite = hub.command("invite", partner="bank")["invite"]
    with pytest.raises((HubUnreachable, AuthorityDiffers)):
        enrolment.enrol(settings, invite)


def test_without_enrolment_there_is_no_membership(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    (settings.keys / "alliance.json").unlink()
    with pytest.raises(NotEnrolled):
        enrolment.membership(settings)


def test_a_name_that_is_not_the_certificates_is_refused(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with pytest.raises(RemoteFailure) as refusal:
        rpc.hello(identity(settings, partner="broker"))
    assert status.code_of(refusal.value) == "CERTIFICATE_OF_OTHER_PARTNER"


def test_nothing_listening_is_named(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    hub.stop()
    with pytest.raises(HubUnreachable):
        rpc.hello(identity(settings), timeout_seconds=5)


def test_what_is_published_gets_a_receipt(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with live(settings) as node:
        node.command("publish")
        until(lambda: node.command("status")["receipts"] == 1)
        (receipt,) = node.command("receipts")["receipts"]
        assert receipt["signer"] == "hub"
        assert node.command("status")["outbox"] == {"ANSWERED": 1}


def test_what_was_published_offline_leaves_at_the_next_connection(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    hub.stop()
    with live(settings) as node:
        node.command("publish")
        until(lambda: node.command("status")["failure"])
        assert node.command("status")["outbox"] == {"OPEN": 1}
        hub.start()
        until(lambda: node.command("status")["receipts"] == 1)


def test_the_link_comes_back_after_the_hub_restarted(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with live(settings) as node:
        until(lambda: node.command("status")["connected"])
        hub.stop()
        until(lambda: not node.command("status")["connected"])
        hub.start()
        until(lambda: node.command("status")["connected"])


def test_a_revoked_node_is_told_why(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with live(settings) as node:
        until(lambda: node.command("status")["connected"])
        hub.command("revoke", partner="bank", reason="left the alliance")
        until(lambda: not node.command("status")["connected"])
        failure = until(lambda: node.command("status")["failure"])
        assert failure["code"] == "CERTIFICATE_REVOKED"
        assert "left the alliance" in failure["en"]


def test_a_certificate_of_another_alliance_is_refused(hub: Harbour, tmp_path: Path) -> None:
    settings = prepare(hub, "bank")
    (tmp_path / "other").mkdir()
    with harbour(tmp_path / "other") as other:
        stranger = prepare(other, "bank")
        shutil.copy(stranger.keys / "tls.key", settings.keys / "tls.key")
        shutil.copy(stranger.keys / "tls.pem", settings.keys / "tls.pem")
        with pytest.raises(HubUnreachable):
            rpc.hello(identity(settings), timeout_seconds=5)
