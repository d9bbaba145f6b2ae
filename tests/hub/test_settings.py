"""Settings: what is not understood is refused, paths are relative to the file."""

from pathlib import Path

import pytest

from hub.settings import SettingsInvalid, load

HUB = '[hub]\nalliance = "a-b"\nlisten = "127.0.0.1:1"\nenrol = "127.0.0.1:2"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "hub.toml"
    path.write_text(text)
    return path


def test_paths_are_relative_to_the_file_and_not_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, HUB + 'dir = "state"\n')
    monkeypatch.chdir("/")
    settings = load(path)
    assert settings.dir == tmp_path / "state"
    assert settings.database == f"sqlite:///{tmp_path}/state/hub.db"
    assert settings.chain.endpoint == ""


def test_an_absolute_database_and_another_server_are_left_alone(tmp_path: Path) -> None:
    url = "postgresql+psycopg://hub@127.0.0.1/hub"
    assert load(write(tmp_path, HUB + f'database = "{url}"\n')).database == url
    assert load(write(tmp_path, HUB + 'database = "sqlite:////var/hub.db"\n')).database == "sqlite:////var/hub.db"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HUB + "colour = 1\n", "unknown key [hub] colour"),
        (HUB + "[extra]\nx = 1\n", "unknown tables"),
        (HUB + "[chain]\nid = 1\n", "unknown key [chain] id"),
        (HUB + '[chain]\nkind = "fast"\n', "kind is sandbox or standard"),
        (HUB + "[chain]\nconfirmations = 3\n", "final at once"),
        (HUB + '[chain]\nkind = "standard"\nconfirmations = -1\n', "confirmations is not a int"),
        (HUB + "[chain]\nreceipt_seconds = 0\n", "at least 1"),
        (HUB + "[chain]\nanchor_seconds = 0\n", "anchor_seconds is at least 1"),
        (HUB + '[chain]\nanchor = "0x12"\nchain_id = 1\n', "anchor needs endpoint and chain_id"),
        (HUB + '[chain]\nanchor = "0x12"\nendpoint = "http://x"\n', "anchor needs endpoint and chain_id"),
        (HUB + '[chain]\ngas_price = "free"\n', "gas_price is not a int"),
        (HUB + 'nodes_max = "many"\n', "nodes_max is not a int"),
        (HUB + "nodes_max = true\n", "nodes_max is not a int"),
        (HUB + "nodes_max = -1\n", "nodes_max is not a int"),
        (HUB.replace('alliance = "a-b"\n', ""), "alliance is missing"),
        ("[hub\n", "Expected"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load(write(tmp_path, text))
    assert why in caught.value.message()


def test_another_chain_is_a_matter_of_settings(tmp_path: Path) -> None:
    from hub.wiring import open_chain

    given = 'endpoint = "http://127.0.0.1:1"\nchain_id = 7\nkind = "standard"\ngas_price = 5\nconfirmations = 12\n'
    settings = load(write(tmp_path, HUB + "[chain]\n" + given + "receipt_seconds = 300\n"))
    chain = open_chain(settings)
    assert chain.chain_id == 7
    assert (chain._gas_price, chain._confirmations, chain._receipt_seconds) == (5, 12, 300)


def test_a_missing_file_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="ecohub hub init"):
        load(tmp_path / "absent.toml")
