"""The doctor: each thing that can be wrong gets its own code, in two languages, with a remedy."""

import json
import os
import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from partner_node import doctor_checks as checks
from partner_node import doctor_hub, keys
from partner_node.doctor import doctor
from partner_node.doctor_checks import State
from partner_node.doctor_hub import REMEDIES, Files
from partner_node.settings import Settings
from tests.partner_node.alliance import TestAuthority
from tests.partner_node.harbour import Harbour, harbour, live, prepare, until


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Harbour]:
    with harbour(tmp_path) as made:
        yield made


def examined(settings: Settings) -> tuple[int, dict[str, Any]]:
    """(exit code, failed or warned findings by check)."""
    code, findings = all_findings(settings)
    return code, {f["check"]: f for f in findings if f["state"] != "ok"}


def all_findings(settings: Settings) -> tuple[int, list[Any]]:
    config = settings.folder / "node.toml"
    done = CliRunner().invoke(doctor, ["--config", str(config), "--json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, json.loads(done.stdout)["findings"]


def put_certificate(settings: Settings, authority: TestAuthority, **changes: Any) -> None:
    """A certificate of the given authority for the node's own key."""
    public = serialization.load_pem_private_key(keys.load(settings.keys).tls, None).public_key()
    name, role = changes.pop("name", settings.partner), changes.pop("role", "node")
    (settings.keys / "tls.pem").write_bytes(authority.issue(public, name, role, datetime.now(UTC), **changes))


@pytest.mark.parametrize(
    ("lost", "code", "remedy"),
    [("tls.pem", "NOT_ENROLLED", "ecohub partner enrol INVITE"), ("ca.pem", "AUTHORITY_MISSING", "from the operator")],
)
def test_before_enrolment_the_network_is_not_blamed(hub: Harbour, lost: str, code: str, remedy: str) -> None:
    settings = prepare(hub, "bank")
    (settings.authority if lost == "ca.pem" else settings.keys / lost).unlink()
    ended, findings = examined(settings)
    assert (ended, findings["hub"]["code"]) == (1, code)
    assert remedy in findings["hub"]["en"]
    assert "HUB_UNREACHABLE" not in {finding["code"] for finding in findings.values()}


def test_a_healthy_node_has_no_finding_but_an_unmeasured_clock(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    with live(settings) as node:
        node.command("publish")
        until(lambda: node.command("status")["receipts"])
    code, findings = examined(settings)
    assert set(findings) <= {"dependencies"}, findings
    assert code == 0


@pytest.mark.parametrize(
    ("change", "check", "code"),
    [
        (lambda s: os.chmod(s.keys / "signing.key", 0o644), "key files", "KEY_FILE_OPEN"),
        (lambda s: (s.keys / "sealing.key").unlink(), "key files", "KEY_FILE_MISSING"),
        (lambda s: (s.keys / "consent.key").write_text("short"), "key files", "KEY_FILE_MALFORMED"),
        (lambda s: os.chmod(s.keys, 0o755), "key folder", "KEY_FOLDER_OPEN"),
        (lambda s: (s.keys / "tls.pem").unlink(), "certificate", "NOT_ENROLLED"),
        (lambda s: (s.keys / "tls.pem").write_text("no PEM"), "certificate", "CERTIFICATE_UNREADABLE"),
        (lambda s: (s.folder / "clients.csv").unlink(), "asset clients", "SOURCE_MISSING"),
        (lambda s: (s.folder / "node.db").write_bytes(b"x" * 8192), "database", "DATABASE_DAMAGED"),
    ],
)
def test_local_faults_are_named(hub: Harbour, change: Any, check: str, code: str) -> None:
    settings = prepare(hub, "bank")
    change(settings)
    exit_code, findings = examined(settings)
    assert exit_code == 1
    assert findings[check]["code"] == code
    assert findings[check]["en"] != findings[check]["zh"]


def test_unknown_settings_end_the_examination(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    file = settings.folder / "node.toml"
    file.write_text(file.read_text() + "\n[mystery]\n")
    code, findings = examined(settings)
    assert code == 1
    assert findings["settings"]["code"] == "NODE_SETTINGS_INVALID"


def test_a_revoked_certificate_is_explained(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    hub.command("revoke", partner="bank", reason="left the alliance")
    code, findings = examined(settings)
    assert code == 1
    assert findings["hello"]["code"] == "CERTIFICATE_REVOKED"
    assert REMEDIES["CERTIFICATE_REVOKED"][0] in findings["hello"]["en"]
    assert REMEDIES["CERTIFICATE_REVOKED"][1] in findings["hello"]["zh"]


def test_another_partners_certificate_is_explained(hub: Harbour) -> None:
    bank, platform = prepare(hub, "bank"), prepare(hub, "platform")
    for name in ("tls.key", "tls.pem"):
        shutil.copy(platform.keys / name, bank.keys / name)
    code, findings = examined(bank)
    assert code == 1
    assert findings["certificate"]["code"] == "CERTIFICATE_OF_OTHER_PARTNER"
    assert findings["hello"]["code"] == "CERTIFICATE_OF_OTHER_PARTNER"


def test_a_certificate_of_another_authority_is_explained(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    put_certificate(settings, TestAuthority("elsewhere"))
    code, findings = examined(settings)
    assert code == 1
    assert findings["certificate"]["code"] == "CERTIFICATE_OF_OTHER_AUTHORITY"
    assert findings["TLS 1.3"]["code"] == "CERTIFICATE_NOT_ACCEPTED"


def test_a_certificate_that_is_wrong_in_any_way_is_not_called_valid(hub: Harbour) -> None:
    settings, ours = prepare(hub, "bank"), "OK"
    assert [f["code"] for f in all_findings(settings)[1] if f["check"] == "certificate"] == [ours]
    for authority, holder in ((TestAuthority("elsewhere"), "bank"), (TestAuthority(), "platform")):
        put_certificate(settings, authority, name=holder)
        codes = [f["code"] for f in all_findings(settings)[1] if f["check"] == "certificate"]
        assert codes and ours not in codes


def test_an_expired_certificate_is_explained(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    authority = TestAuthority()
    put_certificate(settings, authority, days=0)
    settings.authority.write_bytes(authority.pem)
    code, findings = examined(settings)
    assert code == 1
    assert findings["certificate"]["code"] == "CERTIFICATE_EXPIRED"


def test_a_key_without_its_certificate_is_explained(hub: Harbour) -> None:
    bank, platform = prepare(hub, "bank"), prepare(hub, "platform")
    shutil.copy(platform.keys / "tls.pem", bank.keys / "tls.pem")
    checks_found = examined(bank)[1]
    assert checks_found["certificate"]["code"] in ("CERTIFICATE_OF_OTHER_PARTNER", "CERTIFICATE_OF_OTHER_KEY")
    assert checks_found["TLS 1.3"]["state"] == "failed"


def test_a_hub_that_is_down_is_explained(hub: Harbour) -> None:
    settings = prepare(hub, "bank")
    hub.stop()
    code, findings = examined(settings)
    assert code == 1
    assert findings["TLS 1.3"]["code"] == "HUB_UNREACHABLE"


def test_somebody_else_at_the_hubs_address_is_explained(hub: Harbour, tmp_path: Path) -> None:
    settings = prepare(hub, "bank")
    settings.authority.write_bytes(TestAuthority().pem)
    findings = examined(settings)[1]
    assert findings["TLS 1.3"]["code"] == "HUB_CERTIFICATE_NOT_OURS"


def test_a_running_node_is_asked_instead_of_disturbed(hub: Harbour) -> None:
    head = {"code": "CERTIFICATE_EXPIRED", "kind": "refused", "en": "it expired", "zh": "已到期"}
    found = doctor_hub.running({"connected": False, "failure": head})
    assert (found.state, found.code) == (State.FAILED, "CERTIFICATE_EXPIRED")
    assert doctor_hub.running({"connected": True, "failure": None}).state is State.OK


class OldServer:
    """A TLS server of the alliance's authority that speaks TLS 1.2 as well: a middle box, or a careless proxy."""

    def __init__(self, folder: Path, authority: TestAuthority) -> None:
        from cryptography.hazmat.primitives.asymmetric import ec

        key = ec.generate_private_key(ec.SECP256R1())
        (folder / "server.pem").write_bytes(authority.issue(key.public_key(), "hub", "hub", datetime.now(UTC)))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / "server.key").write_bytes(private)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "server.pem", folder / "server.key")
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            try:
                self.context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                connection.close()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join(5)


def test_tls_1_2_between_here_and_the_hub_is_found(tmp_path: Path) -> None:
    authority = TestAuthority()
    server = OldServer(tmp_path, authority)
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    files = Files(
        address=server.address,
        authority=tmp_path / "ca.pem",
        key=tmp_path / "server.key",
        certificate=tmp_path / "server.pem",
    )
    try:
        assert doctor_hub.handshake(files).code == "TLS_TOO_OLD"
        assert doctor_hub.old_tls(files).code == "TLS_TOO_OLD"
    finally:
        server.close()


def test_expiry_is_told_before_and_after(tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    authority = TestAuthority()
    now = datetime.now(UTC)
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    own = x509.load_pem_x509_certificate(authority.issue(public, "bank", "node", now, days=10))
    expected = {
        now: "CERTIFICATE_EXPIRES_SOON",
        now + timedelta(days=11): "CERTIFICATE_EXPIRED",
        now - timedelta(days=2): "CLOCK_BEHIND",
    }
    for instant, code in expected.items():
        assert [f.code for f in checks.certificate_of(own, authority.root, instant)] == [code]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [((0, 5), "OK"), ((-61,), "CLOCK_SKEW"), ((90, 3600), "CLOCK_SKEW"), ((), "CLOCK_NOT_MEASURED")],
)
def test_clock_skew_is_the_smallest_difference(seconds: tuple[int, ...], code: str) -> None:
    hub_time = datetime(2026, 10, 1, tzinfo=UTC)
    assert checks.skew([(hub_time, hub_time + timedelta(seconds=s)) for s in seconds]).code == code


@pytest.mark.parametrize(
    ("line", "version", "fits"),
    [
        ("grpcio<2,>=1.81.1", "1.85.0", True),
        ("grpcio<2,>=1.81.1", "2.0", False),
        ("flwr==1.41.0", "1.41.0", True),
        ("flwr==1.41.0", "1.41.1", False),
        ("psycopg[binary]>=3.3", "3.2.9", False),
        ('phe>=1.5; extra == "paillier"', "0.1", True),
        ("py-evm==0.12.1b1", "0.12.1b1", True),
    ],
)
def test_versions_are_compared_with_what_the_package_asks(line: str, version: str, fits: bool) -> None:
    findings = list(checks.dependencies([line], lambda _: version))
    assert [f.state for f in findings] == [State.OK if fits else State.FAILED]


def test_every_refusal_of_the_hub_has_a_remedy_in_both_languages() -> None:
    from hub import identity

    codes = {
        failure.code for failure in vars(identity).values() if isinstance(failure, type) and hasattr(failure, "code")
    }
    assert codes - {"FAILURE"} <= set(REMEDIES)
    assert all(en and zh and en != zh for en, zh in REMEDIES.values())
