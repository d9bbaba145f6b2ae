"""Founding: a new folder, keys that only their owner reads, nothing overwritten."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from contracts import keys as chain_keys
from hub import founding, wiring
from hub.founding import AllianceNameInvalid, AlreadyFounded, Plan
from hub.services import HeadInvalid
from hub.settings import load
from hub.store import Store
from tests.hub.alliance import MovableClock
from tests.support.entropy import SeededEntropy


def plan(folder: Path) -> Plan:
    return Plan(folder=folder, alliance="a-b", listen="127.0.0.1:1", enrol="127.0.0.1:2", operator="oda")


def found(wanted: Plan) -> founding.Founded:
    return founding.found(wanted, MovableClock(), SeededEntropy(b"found"))


def test_a_new_hub_has_keys_that_only_its_owner_reads(tmp_path: Path) -> None:
    made = found(plan(tmp_path / "hub"))
    keys = tmp_path / "hub" / "keys"
    assert stat.S_IMODE(keys.stat().st_mode) == 0o700
    secret = {path.name for path in keys.iterdir() if path.suffix == ".key"}
    assert secret == {"ca.key", "hub.key", "log.key", "submitter.key"}
    assert all(stat.S_IMODE((keys / name).stat().st_mode) == 0o600 for name in secret)
    assert stat.S_IMODE((made.person.parent / "key.pem").stat().st_mode) == 0o600
    settings = load(made.settings)
    assert wiring.load_log_key(settings).public.hex() == made.log_key
    assert chain_keys.read(keys / "submitter.key").address == made.submitter


def test_the_hubs_certificate_is_for_the_name_hub_and_of_its_own_authority(tmp_path: Path) -> None:
    made = found(plan(tmp_path / "hub"))
    ca = x509.load_pem_x509_certificate(made.authority.read_bytes())
    server = x509.load_pem_x509_certificate((tmp_path / "hub" / "keys" / "hub.pem").read_bytes())
    server.verify_directly_issued_by(ca)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["hub", "localhost"]
    usage = server.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert [use.dotted_string for use in usage] == ["1.3.6.1.5.5.7.3.1"]  # a server's, not a client's


def test_the_first_operator_is_in_the_database_and_in_the_log(tmp_path: Path) -> None:
    made = found(plan(tmp_path / "hub"))
    store = Store(load(made.settings).database)
    (operator,) = store.read("c", lambda tx: tx.members.certificates("oda"))
    (leaf,) = store.read("l", lambda tx: tx.evidence.leaves())
    store.close()
    assert (operator.role, operator.state) == ("operator", "ACTIVE")
    assert (leaf.index, leaf.kind, leaf.subject) == (0, "person", "oda")


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    found(plan(tmp_path / "hub"))
    before = {path: path.read_bytes() for path in (tmp_path / "hub").rglob("*") if path.is_file()}
    with pytest.raises(AlreadyFounded):
        found(plan(tmp_path / "hub"))
    assert {path: path.read_bytes() for path in (tmp_path / "hub").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("name", ["", "x", "a b", "a+b", "a/b", "x" * 65, "名 字"])
def test_an_alliances_name_must_be_able_to_name_a_log(tmp_path: Path, name: str) -> None:
    with pytest.raises(AllianceNameInvalid):
        found(replace(plan(tmp_path / "hub"), alliance=name))
    assert not (tmp_path / "hub").exists()


def test_an_alliance_may_have_a_chinese_name(tmp_path: Path) -> None:
    assert load(found(replace(plan(tmp_path / "hub"), alliance="开放服务联盟")).settings).alliance == "开放服务联盟"


def test_an_operators_name_can_not_leave_its_folder(tmp_path: Path) -> None:
    with pytest.raises(HeadInvalid):
        found(replace(plan(tmp_path / "hub"), operator="../../evil"))
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("broken", ["log.key", "ca.pem", "hub.key"])
def test_a_hub_without_a_key_does_not_start_and_names_the_file(tmp_path: Path, broken: str) -> None:
    made = found(plan(tmp_path / "hub"))
    (tmp_path / "hub" / "keys" / broken).unlink()
    with pytest.raises(wiring.KeysMissing, match=broken):
        wiring.start(load(made.settings))
