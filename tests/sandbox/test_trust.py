"""trust.toml: parts of several parties become one; contradictions and malformed parts are refused."""

import pytest

from sandbox.examine import trust
from tests.sandbox import small_alliance as small


def part(**changes: str) -> str:
    """What one node exports; a line of it may be changed."""
    lines = {
        "authority": 'authority_sha256 = "' + "aa" * 32 + '"', "log_key": 'log_key = "' + "bb" * 32 + '"',
        "origin": 'origin = "ecohub/test/audit"', "digest": 'digest = "' + "cc" * 32 + '"', "chain_id": "chain_id = 7",
        "contract": f'contract = "{small.PAYER.chain.address}"', "partner": 'partner = "bank"',
        "signing": 'signing = "' + "dd" * 32 + '"', "sealing": 'sealing = "' + "ee" * 32 + '"',
        "chain": f'chain = "{small.REFERRER.chain.address}"', "size": "size = 5", "root": 'root = "' + "ff" * 32 + '"',
    } | changes  # fmt: skip
    tables = [
        ("[alliance]", "authority", "log_key", "origin"),
        ("[genesis]", "digest", "chain_id", "contract"),
        ("[[signer]]", "partner", "signing", "sealing", "chain"),
    ]
    text = "\n".join(line for table, *names in tables for line in (table, *(lines[name] for name in names)))
    return text + f'\n[[cosigned]]\n{lines["partner"]}\nlog = "audit"\n{lines["size"]}\n{lines["root"]}\n'


INSURER = {"partner": 'partner = "insurer"', "signing": 'signing = "' + "12" * 32 + '"'}


def test_parts_of_two_parties_merge_and_survive_the_file() -> None:
    merged = trust.merge([part(), part(**INSURER, size="size = 9")])
    assert set(merged.signers) == {"bank", "insurer"}
    assert {(seen.partner, seen.size) for seen in merged.cosigned} == {("bank", 5), ("insurer", 9)}
    assert trust.load(trust.dump(merged)) == merged
    assert merged.log_origin("chain") == "ecohub/test/chain"


@pytest.mark.parametrize(
    "changes",
    [
        {"authority": 'authority_sha256 = "' + "00" * 32 + '"'},
        {"log_key": 'log_key = "' + "00" * 32 + '"'},
        {"digest": 'digest = "' + "00" * 32 + '"'},
        {"chain_id": "chain_id = 8"},
        {"root": 'root = "' + "00" * 32 + '"'},
    ],
    ids=["certificate authority", "log key", "genesis", "chain id", "two histories at one size"],
)
def test_parties_that_contradict_each_other_are_refused(changes: dict[str, str]) -> None:
    with pytest.raises(trust.TrustConflict):
        trust.merge([part(), part(**INSURER, **changes)])


def test_one_partner_with_two_keys_is_refused() -> None:
    with pytest.raises(trust.TrustConflict, match="the keys of bank"):
        trust.merge([part(), part(signing='signing = "' + "13" * 32 + '"')])


def test_what_a_party_does_not_know_yet_another_may_say() -> None:
    merged = trust.merge([part(contract='contract = ""'), part(**INSURER)])
    assert merged.contract == small.PAYER.chain.address
    with pytest.raises(trust.TrustInvalid, match="contract"):
        trust.merge([part(contract='contract = ""')])


@pytest.mark.parametrize(
    "changes",
    [
        {"log_key": 'log_key = "xyz"'},
        {"chain": 'chain = "0x12"'},
        {"size": "size = 0"},
        {"size": 'size = "5"'},
        {"partner": 'partner = "../x"'},
        {"origin": "more = 1"},
        {"root": "= broken"},
    ],
)
def test_malformed_parts_are_refused(changes: dict[str, str]) -> None:
    from privacy.errors import Failure

    with pytest.raises(Failure):
        trust.merge([part(**changes)])


def test_a_small_alliance_s_trust_survives_the_file() -> None:
    said = small.trust(small.settled_month())
    again = trust.load(trust.dump(said))
    assert again.signers == said.signers
    assert set(again.cosigned) == set(said.cosigned)
