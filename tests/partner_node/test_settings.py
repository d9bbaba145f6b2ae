"""Settings and keys: every key known, every file private."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from partner_node import enrolment, errors, keys
from partner_node import settings as node_settings
from tests.support.entropy import SeededEntropy

GOOD = """
[node]
partner = "bank"
name = "Bank"
dir = "data"
hub = "127.0.0.1:1"
enrol = "127.0.0.1:2"
authority = "ca.pem"
[chain]
chain_id = 7
contract = ""
[[asset]]
name = "clients"
source = "clients.csv"
id_column = "client_id"
id_type = "resident_id"
purposes = ["profile"]
[asset.columns]
SPEND = "C2"
"""


PURPOSES = 'purposes = ["profile"]'
BUDGETS = [
    ('"8"', ""),
    ('{epsilon = "8"}', ""),
    ('{epsilon = "8", delta_log10 = -6, reset = "yearly"}', ""),
    ("{epsilon = 8.0, delta_log10 = -6}", ".epsilon"),
    ('{epsilon = "-8", delta_log10 = -6}', ".epsilon"),
    ('{epsilon = "0.0", delta_log10 = -6}', ".epsilon"),
    ('{epsilon = "1e9", delta_log10 = -6}', ".epsilon"),
    ('{epsilon = "٨", delta_log10 = -6}', ".epsilon"),
    ('{epsilon = "8", delta_log10 = 0}', ".delta_log10"),
    ('{epsilon = "8", delta_log10 = true}', ".delta_log10"),
    ('{epsilon = "8", delta_log10 = "-6"}', ".delta_log10"),
]


def load(folder: Path, text: str) -> node_settings.Settings:
    path = folder / "node.toml"
    path.write_text(text)
    return node_settings.load(path)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = load(tmp_path, GOOD)
    assert found.folder == tmp_path / "data"
    assert found.asset("clients").source == str(tmp_path / "clients.csv")
    with pytest.raises(errors.AssetUnknown):
        found.asset("staff")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('name = "Bank"', 'name = "Bank"\nport = 1', "unknown key node.port"),
        ("[chain]", "[chains]", "unknown key chains"),
        ('contract = ""', "gas = 1", "unknown key chain.gas"),
        ('purposes = ["profile"]', 'purposes = ["profile"]\nrows = 1', "unknown key asset"),
        ('partner = "bank"', 'partner = "Bank!"', "node.partner"),
        ('hub = "127.0.0.1:1"\n', "", "node.hub"),
        ("chain_id = 7", "chain_id = true", "chain.chain_id"),
        ("chain_id = 7", "chain_id = -1", "chain.chain_id"),
        ('purposes = ["profile"]', "purposes = []", "purposes"),
        ('id_type = "resident_id"', 'id_type = "passport"', "id_type"),
        ('source = "clients.csv"', 'source = "sqlite:///x.db"', "such a source needs it"),
        ('source = "clients.csv"', 'source = "clients.csv"\ntable = "clients"', "asset[0].table"),
        ('SPEND = "C2"', 'SPEND = "C4"', "C1, C2 or C3"),
        ('SPEND = "C2"', 'client_id = "C2"', "the id column"),
        ("[node]", "node", "Expected"),
        *((PURPOSES, f"{PURPOSES}\nprivacy_budget = {value}", f"privacy_budget{why}") for value, why in BUDGETS),
    ],
)
def test_anything_odd_is_named(tmp_path: Path, old: str, new: str, why: str) -> None:
    assert old in GOOD
    with pytest.raises(errors.SettingsInvalid) as raised:
        load(tmp_path, GOOD.replace(old, new))
    assert why.lower() in str(raised.value).lower()


def test_a_privacy_budget_is_exactly_what_was_written(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).asset("clients").privacy_budget is None
    text = GOOD.replace(PURPOSES, f'{PURPOSES}\nprivacy_budget = {{epsilon = "0.1", delta_log10 = -9}}')
    found = load(tmp_path, text).asset("clients").privacy_budget
    assert found == node_settings.PrivacyBudget(epsilon=Decimal("0.1"), delta_log10=-9)


def test_two_assets_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.SettingsInvalid, match="one name"):
        load(tmp_path, GOOD + GOOD[GOOD.index("[[asset]]") :])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.SettingsInvalid, match=r"node\.toml"):
        node_settings.load(tmp_path / "node.toml")


@pytest.fixture
def settings(tmp_path: Path) -> node_settings.Settings:
    made = load(tmp_path, GOOD)
    enrolment.init(made, SeededEntropy(b"bank"))
    return made


def test_keys_are_made_once_and_private(settings: node_settings.Settings) -> None:
    for path in settings.keys.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert settings.folder.stat().st_mode & 0o777 == 0o700
    before = {path.name: path.read_bytes() for path in settings.keys.iterdir()}
    with pytest.raises(errors.KeysExist):
        enrolment.init(settings, SeededEntropy(b"other"))
    assert {path.name: path.read_bytes() for path in settings.keys.iterdir()} == before


def test_a_repr_shows_no_secret(settings: node_settings.Settings) -> None:
    own = keys.load(settings.keys)
    shown = repr(own)
    for path in settings.keys.glob("*.key"):
        secret = path.read_text().strip()
        assert secret not in shown
    assert own.consent.hex() not in shown


@pytest.mark.parametrize(
    ("spoil", "failure"),
    [
        (lambda path: path.chmod(0o640), errors.KeyFileOpen),
        (lambda path: path.chmod(0o604), errors.KeyFileOpen),
        (lambda path: path.unlink(), errors.KeyFileMissing),
        (lambda path: path.write_text("00" * 31), errors.KeyFileMalformed),
        (lambda path: path.write_text("zz" * 32), errors.KeyFileMalformed),
    ],
)
def test_a_bad_key_file_stops_the_node(settings: node_settings.Settings, spoil: Any, failure: type[Exception]) -> None:
    spoil(settings.keys / "sealing.key")
    with pytest.raises(failure):
        keys.load(settings.keys)


def test_without_a_certificate_the_next_step_is_told(settings: node_settings.Settings) -> None:
    with pytest.raises(errors.NotEnrolled, match="enrol"):
        keys.certificate(settings.keys)
