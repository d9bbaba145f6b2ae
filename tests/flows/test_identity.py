"""Who may speak: refusals over real TLS by the running hub, each with its code, each explained by `ecohub doctor`.

The hub runs as a process; a stranger is a copy of a node's folder with one thing changed. gRPC tells a client nothing
of why a handshake failed, so where the TLS layer refuses, the code that helps is the doctor's.
"""

import os
import re
import shutil
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives import serialization

from ecowire import channel, status
from ecowire.v1 import alliance_pb2, alliance_pb2_grpc, enrolment_pb2, enrolment_pb2_grpc
from hub import authority, client
from hub.rpc import dial
from partner_node import rpc
from partner_node.rpc import Identity
from privacy.errors import Failure
from sandbox.processes import Done, run
from tests.support import launch_alliance, launch_fixtures
from tests.support.launch_alliance import Alliance, wait

pytestmark = [pytest.mark.flow, pytest.mark.slow_flow]
YEAR_SECONDS = 365 * 86_400
SHORT_SECONDS = 10  # a certificate's life in the test of expiry
NOTICED_SECONDS = 6.0  # streams look their certificate up every two seconds
TLS_REFUSED = "HUB_UNREACHABLE"  # all that gRPC lets a node know of a handshake that failed
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def alliance(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alliance]:
    """Chain and hub alone; tests start the nodes they need."""
    with launch_alliance.copy(launch_fixtures.founded(base), tmp_path_factory.mktemp("i") / "w") as made:
        made.start("chain", "hub")
        yield made


@pytest.fixture
def stranger(alliance: Alliance, tmp_path: Path) -> Path:
    """A copy of the bank's folder with its keys and certificate, to be changed."""
    folder = tmp_path / "s"
    shutil.copytree(alliance.world.node_folder("bank"), folder)
    return folder


def identity(alliance: Alliance, folder: Path, partner: str = "bank") -> Identity:
    keys = folder / "keys"
    ca = (alliance.world.handed / "ca.pem").read_bytes()
    key, certificate = (keys / "tls.key").read_bytes(), (keys / "tls.pem").read_bytes()
    address = f"127.0.0.1:{alliance.world.hub_port}"
    return Identity(address=address, authority=ca, key=key, certificate=certificate, partner=partner)


def refused(found: Identity) -> str:
    """The code under which the hub refuses a hello."""
    with pytest.raises(Failure) as caught:
        rpc.hello(found, timeout_seconds=5)
    return status.code_of(caught.value)


def findings(folder: Path) -> dict[str, str]:
    """What the doctor finds wrong in a node's folder, by check; every finding in both languages."""
    done = run("doctor", "--config", str(folder / "node.toml"), "--json")
    failed = [finding for finding in done.json["findings"] if finding["state"] == "failed"]
    assert done.exit_code == (1 if failed else 0)
    assert all(CHINESE.search(f["zh"]) and not CHINESE.search(f["en"]) and len(f["en"]) > 30 for f in failed), failed
    return {finding["check"]: finding["code"] for finding in failed}


def in_both_languages(*arguments: str) -> Done:
    """A command that must fail with the same code, on stderr, in English and in Chinese."""
    english, chinese = (run(*arguments, ECOHUB_LANG=lang) for lang in ("en", "zh"))
    assert english.exit_code == chinese.exit_code != 0
    assert english.failure_code == chinese.failure_code
    assert CHINESE.search(chinese.stderr) and not CHINESE.search(english.stderr)
    return english


def other_authority(alliance: Alliance) -> authority.Authority:
    """Another CA that calls itself as ours does."""
    ours = authority.load(
        (alliance.world.hub_folder / "keys" / "ca.key").read_bytes(), (alliance.world.handed / "ca.pem").read_bytes()
    )
    return authority.create(ours.alliance, authority.generate_key(os.urandom), datetime.now(UTC), 10, os.urandom)


def certify(ca: authority.Authority, folder: Path, name: str, role: str, seconds: int = YEAR_SECONDS) -> None:
    """A certificate of `ca` for the key in a folder, as its tls.pem."""
    key = serialization.load_pem_private_key((folder / "keys" / "tls.key").read_bytes(), None)
    made = ca.issue(key.public_key(), name, role, datetime.now(UTC), seconds, os.urandom)  # type: ignore[arg-type]
    (folder / "keys" / "tls.pem").write_text(made.pem)


def members(alliance: Alliance) -> Any:
    """What a refused stranger must not change."""
    listed = alliance.call("operator", "partners")["partners"]
    return [(item["partner"], item["state"], item["card"], item["assets"]) for item in listed]


# --- certificates ----------------------------------------------------------------------------------------------------


def test_an_enrolled_node_is_welcome(alliance: Alliance, stranger: Path) -> None:
    assert rpc.hello(identity(alliance, stranger)) == "open-service-alliance"
    assert findings(stranger) == {}


def test_no_certificate_no_service(alliance: Alliance, stranger: Path) -> None:
    address = f"127.0.0.1:{alliance.world.hub_port}"
    ca = (alliance.world.handed / "ca.pem").read_bytes()
    with channel.client(address, ca, None, None, rpc.SERVER_NAME) as connection:
        stub = alliance_pb2_grpc.AllianceStub(connection)
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Call(alliance_pb2.Request(command="whoami"), timeout=5))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE, "refused before any byte of ours is read"
    (stranger / "keys" / "tls.pem").unlink()
    assert findings(stranger)["certificate"] == "NOT_ENROLLED"


def test_the_same_name_by_another_authority(alliance: Alliance, stranger: Path) -> None:
    before = members(alliance)
    certify(other_authority(alliance), stranger, "bank", "node")
    assert refused(identity(alliance, stranger)) == TLS_REFUSED
    told = findings(stranger)
    assert told["certificate"] == "CERTIFICATE_OF_OTHER_AUTHORITY"
    assert told["TLS 1.3"] == "CERTIFICATE_NOT_ACCEPTED"
    assert members(alliance) == before


def test_a_node_refuses_a_hub_of_another_authority(alliance: Alliance, stranger: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(other_authority(alliance).pem)
    settings = (stranger / "node.toml").read_text()
    (stranger / "node.toml").write_text(settings.replace(str(alliance.world.handed / "ca.pem"), str(other)))
    assert findings(stranger)["TLS 1.3"] == "HUB_CERTIFICATE_NOT_OURS"


def test_another_partners_certificate(alliance: Alliance, stranger: Path) -> None:
    for name in ("tls.key", "tls.pem"):
        shutil.copy(alliance.world.node_folder("platform") / "keys" / name, stranger / "keys" / name)
    assert refused(identity(alliance, stranger)) == "CERTIFICATE_OF_OTHER_PARTNER"
    told = findings(stranger)
    assert told["certificate"] == told["hello"] == "CERTIFICATE_OF_OTHER_PARTNER"
    tail = alliance.call("operator", "whoami")
    assert "platform" not in tail["connected"], "it did not get in under its own name either"


def test_an_unknown_certificate_of_our_authority(alliance: Alliance, stranger: Path) -> None:
    keys = alliance.world.hub_folder / "keys"
    certify(authority.load((keys / "ca.key").read_bytes(), (keys / "ca.pem").read_bytes()), stranger, "bank", "node")
    assert refused(identity(alliance, stranger)) == "CERTIFICATE_UNKNOWN"
    assert findings(stranger)["hello"] == "CERTIFICATE_UNKNOWN"


def test_a_persons_certificate_opens_no_stream_and_a_nodes_makes_no_call(alliance: Alliance, stranger: Path) -> None:
    person = client.load(alliance.world.person_config("data"))
    (stranger / "keys" / "tls.key").write_bytes(person.key)
    (stranger / "keys" / "tls.pem").write_bytes(person.certificate)
    assert refused(identity(alliance, stranger, partner="dana")) == "ROLE_NOT_ALLOWED"
    assert findings(stranger)["certificate"] == "ROLE_NOT_ALLOWED"
    node = identity(alliance, alliance.world.node_folder("bank"))
    with pytest.raises(Failure) as caught:
        dial.call(node.address, node.authority, node.key, node.certificate, "partners", {}, "k", 5)
    assert status.code_of(caught.value) == "ROLE_NOT_ALLOWED"


def test_a_person_in_another_role(alliance: Alliance) -> None:
    before = members(alliance)
    for role, arguments in {
        "data": ("hub", "invite", "newcomer"),
        "finance": ("hub", "revoke", "--partner", "bank", "--reason", "no", "--yes"),
        "regulator": ("finance", "close", "2026-01"),
        "operator": ("finance", "close", "2026-01"),
    }.items():
        done = in_both_languages(*arguments, "--config", str(alliance.world.person_config(role)))
        assert (done.failure_code, done.exit_code) == ("ROLE_NOT_ALLOWED", 3)
    assert members(alliance) == before
    noted = alliance.call("operator", "checkpoint")["checkpoints"]
    index = next(item["size"] for item in noted if item["log"] == "audit") - 1
    leaves = [alliance.call("operator", "audit", {"index": index - i})["leaf"] for i in range(4)]
    assert any(leaf["kind"] == "refused" and leaf["facts"]["code"] == "ROLE_NOT_ALLOWED" for leaf in leaves)


# --- the two ports ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["hub_port", "enrol_port"])
def test_tls_12_is_refused(alliance: Alliance, port: str) -> None:
    node = alliance.world.node_folder("bank") / "keys"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(alliance.world.handed / "ca.pem")
    context.load_cert_chain(node / "tls.pem", node / "tls.key")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    address = ("127.0.0.1", getattr(alliance.world, port))
    with socket.create_connection(address, timeout=5) as raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname="hub")
    context.maximum_version = context.minimum_version = ssl.TLSVersion.TLSv1_3
    with socket.create_connection(address, timeout=5) as raw, context.wrap_socket(raw, server_hostname="hub") as made:
        assert made.version() == "TLSv1.3", "the same client is taken with TLS 1.3"
    assert findings(alliance.world.node_folder("bank")) == {}, "the doctor tries it too"


def test_the_enrolment_port_offers_nothing_else(alliance: Alliance) -> None:
    node = identity(alliance, alliance.world.node_folder("bank"))
    enrol = f"127.0.0.1:{alliance.world.enrol_port}"
    with channel.client(enrol, node.authority, node.key, node.certificate, rpc.SERVER_NAME) as connection:
        stub = alliance_pb2_grpc.AllianceStub(connection)
        calls = [
            lambda: list(stub.Call(alliance_pb2.Request(command="whoami"), timeout=5)),
            lambda: list(stub.Connect(iter([alliance_pb2.Frame()]), timeout=5)),
            lambda: connection.unary_unary("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(b"", timeout=5),
            lambda: connection.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=5),
        ]
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    with channel.client(node.address, node.authority, node.key, node.certificate, rpc.SERVER_NAME) as connection:
        with pytest.raises(grpc.RpcError) as caught:
            enrolment_pb2_grpc.EnrolmentStub(connection).Enrol(enrolment_pb2.EnrolRequest(), timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED, "nor does the other port enrol"


def test_an_invite_is_for_one_partner_and_one_key(alliance: Alliance, stranger: Path) -> None:
    invite = alliance.call("operator", "invite", {"partner": "insurer"})["invite"]
    config = str(stranger / "node.toml")
    assert in_both_languages("partner", "enrol", invite, "--config", config).exit_code != 0, "it is the insurer's"
    run("partner", "enrol", invite, "--config", str(alliance.world.node_config("insurer"))).check()
    before = members(alliance)
    again = run("partner", "enrol", invite, "--config", str(alliance.world.node_config("insurer")))
    assert again.exit_code == 0, "the same node with the same keys may ask again: the answer may have been lost"
    thief = stranger / "thief"
    shutil.copytree(alliance.world.node_folder("insurer"), thief, ignore=shutil.ignore_patterns("keys", "node.db*"))
    run("partner", "init", "--config", str(thief / "node.toml")).check()
    done = in_both_languages("partner", "enrol", invite, "--config", str(thief / "node.toml"))
    assert (done.failure_code, done.exit_code) == ("INVITE_USED", 3)
    unknown = in_both_languages("partner", "enrol", "a" * 32, "--config", str(thief / "node.toml"))
    assert unknown.failure_code == "INVITE_UNKNOWN"
    assert findings(thief)["certificate"] == "NOT_ENROLLED"
    assert members(alliance) == before


# --- open streams ----------------------------------------------------------------------------------------------------


def test_a_revoked_certificate_ends_an_open_stream_within_seconds(alliance: Alliance) -> None:
    alliance.start("platform")
    assert alliance.node("platform", "status")["connected"]
    alliance.call("operator", "revoke", {"partner": "platform", "reason": "left the alliance"})
    code = wait(lambda: link_failure(alliance, "platform"), "the stream's end", NOTICED_SECONDS)
    assert code == "CERTIFICATE_REVOKED"
    assert "platform" not in alliance.call("operator", "whoami")["connected"]
    assert findings(alliance.world.node_folder("platform"))["hello"] == "CERTIFICATE_REVOKED"
    alliance.stop("platform")
    assert refused(identity(alliance, alliance.world.node_folder("platform"), "platform")) == "CERTIFICATE_REVOKED"


def test_a_certificate_that_expires_ends_an_open_stream(alliance: Alliance) -> None:
    settings = alliance.world.hub_config.read_text()
    alliance.world.hub_config.write_text(
        settings.replace("[hub]", f"[hub]\nnode_certificate_seconds = {SHORT_SECONDS}")
    )
    alliance.restart("hub")
    invite = alliance.call("operator", "invite", {"partner": "broker"})["invite"]
    run("partner", "enrol", invite, "--config", str(alliance.world.node_config("broker"))).check()
    alliance.process("broker").start()
    alliance.process("broker").wait_ready()
    wait(lambda: alliance.node("broker", "status")["connected"], "the connection", SHORT_SECONDS)
    seen = set()

    def look() -> bool:
        if code := link_failure(alliance, "broker"):
            seen.add(code)
        return "CERTIFICATE_EXPIRED" in seen

    wait(look, "the stream's end", SHORT_SECONDS + NOTICED_SECONDS)
    alliance.stop("broker")
    assert refused(identity(alliance, alliance.world.node_folder("broker"), "broker")) == TLS_REFUSED
    assert findings(alliance.world.node_folder("broker"))["certificate"] == "CERTIFICATE_EXPIRED"


def link_failure(alliance: Alliance, partner: str) -> str | None:
    """The code under which a node's link is down, None while it is up."""
    failure = alliance.node(partner, "status")["failure"]
    return failure["code"] if failure else None


def test_a_revoked_person_is_refused_at_the_next_call(alliance: Alliance) -> None:
    from cryptography import x509

    person = client.load(alliance.world.person_config("regulator"))
    alliance.call("regulator", "whoami")
    serial = f"{x509.load_pem_x509_certificate(person.certificate).serial_number:x}"
    alliance.call("operator", "revoke", {"serial": serial, "reason": "changed post"})
    done = in_both_languages("hub", "status", "--config", str(alliance.world.person_config("regulator")))
    assert (done.failure_code, done.exit_code) == ("CERTIFICATE_REVOKED", 3)
