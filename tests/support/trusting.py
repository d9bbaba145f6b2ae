"""What somebody trusts who examines a month under test: its parties' own keys, and no co-signed checkpoint."""

from collections.abc import Mapping
from typing import Any

from privacy.ids import PartnerId
from sandbox.examine.trust import Signer, Trust
from tests.hub.alliance import ALLIANCE
from tests.hub.settling import Settling
from tests.support.sandbox_chain import CHAIN_ID
from tests.support.settling_nodes import Month


def trust_of(month: Settling | Month, keys: Mapping[PartnerId, Any], genesis: str = "") -> Trust:
    """keys: of each party, with `signing`, `sealing` and `chain`. genesis: where the bundle has the chain."""
    signers = {
        name: Signer(partner=name, signing=own.signing.public, sealing=own.sealing.public, chain=own.chain.address)
        for name, own in keys.items()
    }
    return Trust(
        authority_sha256="",
        log_key=month.hub.services.log.key.public,
        origin=f"ecohub/{ALLIANCE}/audit",
        genesis=genesis,
        chain_id=CHAIN_ID,
        contract=month.contract,
        signers=signers,
        cosigned=(),
    )
