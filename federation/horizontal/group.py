"""A group of partners in an ordinary Flower app: what they agree on once, and each side's part made from it.

Inside EcoHub the plan that all approved plays this role. Outside, partners exchange public keys and these terms by any
way they trust, never through the server: whoever can swap a key can read what is sealed for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from flwr.app import Context, Message
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from federation.horizontal import wire
from federation.horizontal.identity import KeyIdentity, KeyVerifier
from federation.horizontal.lanes import Noise, Update
from federation.horizontal.member import Member
from federation.horizontal.mod import flower_store, homomorphic_app
from federation.horizontal.strategy import HomomorphicStrategy
from privacy import canonical
from privacy.aggregation import Entropy, Roster
from privacy.ids import Digest, parse_partner_id
from privacy.seal import SealingKey, SigningKey
from privacy.threshold import Threshold, public_seed

Name: TypeAlias = Callable[[Context], str]
KeysOf: TypeAlias = Callable[[Context], tuple[SigningKey, SealingKey]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerKeys:
    """A partner's public keys, 32 bytes each: Ed25519 for signatures, X25519 for sealing."""

    signing: bytes
    sealing: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Partners in an order all agree on, how many of them may work together with the server, and their updates' terms.

    name: of the app. Every run of it has keys of its own, bound to Flower's run id.
    """

    name: str
    partners: Mapping[str, PartnerKeys]
    update: Update
    colluders: int = 1

    @property
    def roster(self) -> Roster:
        """Raises RosterInvalid, MalformedIdentifier."""
        return Roster(partners=tuple(map(parse_partner_id, self.partners)), colluders=self.colluders)

    def job(self, run_id: int) -> Digest:
        """Of all that is agreed and of Flower's run: with other terms, or in another run, no key, share or upload fits.

        So what was dealt in one run opens nothing in a second one, where the nodes' state begins anew.
        """
        terms: list[canonical.Value] = [str(self.update.clip), str(self.update.bound), self.update.examples_max]
        terms += [[name, str(bound)] for name, bound in self.update.metrics.items()]
        keys: list[canonical.Value] = [[p, k.signing.hex(), k.sealing.hex()] for p, k in self.partners.items()]
        body: canonical.Value = {
            "name": self.name,
            "run": str(run_id),
            "keys": keys,
            "colluders": self.colluders,
            "terms": terms,
        }
        return wire.sha256(canonical.encode(body))

    def strategy(self, inner: FedAvg, run_id: int, **options: Any) -> HomomorphicStrategy:
        """The server's part around an averaging strategy. run_id: of the ServerApp's Context; options: of
        HomomorphicStrategy."""
        signing, job = KeyVerifier({partner: keys.signing for partner, keys in self.partners.items()}), self.job(run_id)
        return HomomorphicStrategy(inner, self.roster, self._engine(job), signing, job, self.update, **options)

    def client(self, me: Name, keys_of: KeysOf, entropy: Entropy, noise: Noise | None = None) -> ClientApp:
        """One partner's ClientApp, to which `@app.train()` is added. Its keys of the run live in Flower's own state.

        me, keys_of: who the node is and its own two keys, asked for with Flower's Context at each message, so that one
        file serves all nodes (`lambda context: str(context.node_config["partner"])`).
        """
        engines: dict[Digest, Threshold] = {}  # its tables are made once a run
        signing = {partner: keys.signing for partner, keys in self.partners.items()}
        sealing = {partner: keys.sealing for partner, keys in self.partners.items()}

        def member(message: Message, context: Context) -> Member:
            partner, (signing_key, sealing_key) = parse_partner_id(me(context)), keys_of(context)
            identity = KeyIdentity(partner, signing_key, sealing_key, signing, sealing)
            job = self.job(context.run_id)
            if job not in engines:
                engines[job] = self._engine(job)
            return Member(self.roster, engines[job], identity, flower_store(context), job, entropy)

        return homomorphic_app(member, self.update, noise)

    def _engine(self, job: Digest) -> Threshold:
        return Threshold(self.roster, public_seed(job))
