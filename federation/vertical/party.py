"""What both roles of a vertical run share: the checked table, the joint seed, and the encrypted products.

A party encrypts for those after it and multiplies what those before it encrypted: the label holder comes first, then
the feature holders in partner order. One upload of an encryptor serves all who multiply it.

Products run over parts of the rows: over all train rows at once, or fold by fold, and over the held-out rows where the
plan has contribution measured. Every part has a link of its own, with own keys; the links of all parts travel in the
same messages, so that the number of rounds does not grow.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from federation import features
from federation.errors import (
    ColumnsTellRows,
    OrderDiffers,
    RowsDiffer,
    SeedCommitmentBroken,
    StepMalformed,
    TooFewRows,
    TooManyColumns,
)
from federation.features import Table
from federation.plan import FEATURE_HOLDER, TrainingPlan, order_digest
from federation.vertical.messages import Content, Outgoing, Reader
from federation.vertical.session import Session
from federation.vertical.steps import Step, Taken, needs, only
from privacy import canonical, linear
from privacy.linear.errors import BadNonce
from privacy.packing import Packed
from privacy.ring import Entropy

MASK_KEY_BYTES = 32
TELLING = ("vectors", "moments")  # steps before which others know names of columns and hints alone
ROWS_PER_COLUMN = 4  # rows of a part for each column that a party knows of them and gets exact moments by
ByPart: TypeAlias = dict[str, NDArray[np.int64]]  # by part of the rows


class Party(Session):
    """Base of LabelHolder and FeatureHolder."""

    _STATE: ClassVar[tuple[str, ...]] = ("nonce", "commitments", "names", "mask_halves", "joint", "products")
    role: ClassVar[str]

    def __init__(self, plan: TrainingPlan, me: str, table: Table, entropy: Entropy) -> None:
        """Check the table against the plan and prepare the columns; nothing is drawn yet.

        Raises TooFewRows, RowsDiffer and the failures of `features.prepare`.
        """
        assert plan.party(me).role == self.role, "the session is for this party's role"
        if (distinct := len(set(table.tokens))) != len(table.tokens):
            raise RowsDiffer(what="the set of client tokens", found=distinct, expected=len(table.tokens))
        self._plan, self._table, self._entropy = plan, table, entropy
        self._brings = plan.party(me)
        self._test = plan.test_mask(table.tokens)
        self._parts = plan.parts(table.tokens, self._test)
        self._train = ~self._test
        self._rows = int(self._train.sum())
        if self._rows < plan.minimum_rows:
            raise TooFewRows(count=self._rows, what="train", minimum=plan.minimum_rows)
        usable = self._prepare(self._brings.columns)
        self._line = (plan.label_holder, *plan.holders)
        self._others = tuple(partner for partner in self._line if partner != me)
        self.nonce = b""
        self.commitments: dict[str, bytes] = {}
        self.names: dict[str, list[str]] = {me: list(usable)}  # by party: the column of each column of its matrix
        self.mask_halves: dict[str, bytes] = {}  # "to <holder>" and "from <holder>"
        self.joint = b""
        self.products: dict[str, ByPart] = {}  # by encryptor and part: exact (vectors, own columns)
        self._encryptors: dict[str, linear.Encryptor] = {}  # by part
        self._multipliers: dict[str, dict[str, linear.Multiplier]] = {}  # by encryptor and part
        super().__init__(plan.digest, me, order_digest(table.tokens), self._digest_of_table())

    def _prepare(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Make the matrix of every part; the names of the columns that may be used."""
        for part, mask in self._parts.items():
            if (count := int(mask.sum())) < self._plan.part_rows:
                raise TooFewRows(count=count, what=part, minimum=self._plan.part_rows)
        self._prepared = features.prepare(
            self._table.columns,
            columns,
            self._train,
            self._plan.rare_rows,
            self._parts,
            binned=self._brings.binned,
            bins=self._plan.bins,
            coding=self._plan.coding,
        )
        self._check_room(len(self._prepared.names))
        self._check_rows_of(self._brings.partner, len(self._prepared.names))
        self._matrices = {p: np.ascontiguousarray(self._prepared.values[mask]) for p, mask in self._parts.items()}
        return self._prepared.names

    @property
    def shown(self) -> int:
        """Score vectors that this side has shown so far, at most."""
        return self._plan.score_vectors(self._me)

    @property
    def told(self) -> bool:
        """Whether anything that is computed from this side's rows for moments has been put into a message."""
        return any(step.name in TELLING and self._agenda.fired(step.name) for step in self._agenda.steps)

    def _check_room(self, width: int) -> None:
        """Raises TooManyColumns where a feature holder's matrix is wider than the encryption's caps allow."""
        rows = max(int(mask.sum()) for mask in self._parts.values())
        limit = linear.columns_max(rows, features.VALUE_MAX, features.VALUE_MAX, len(self._plan.holders))
        if self.role == FEATURE_HOLDER and width > limit:
            raise TooManyColumns(count=width, limit=limit)

    def _check_rows_of(self, partner: str, width: int) -> None:
        """Raises ColumnsTellRows where so many moments of another's column are equations that give its values.

        With as many columns as rows they are solved for at once; a 0/1 column of 50 in 300 rows follows from 100 by
        linear programming (Dinur and Nissim 2003). The label and the sum of the column are two more.
        """
        if self._plan.trees:
            return
        for part, mask in self._parts.items():
            limit = (rows := int(mask.sum())) // ROWS_PER_COLUMN - 2
            if width > limit:
                raise ColumnsTellRows(partner=partner, count=width, rows=rows, part=part, limit=max(0, limit))

    def _digest_of_table(self) -> str:
        """Of everything the session computes from: the prepared values, and what there is of label and weights."""
        beside = [np.asarray(x, dtype="<f8") for x in (self._table.label, self._table.survey_weights) if x is not None]
        values = np.ascontiguousarray(self._prepared.values, dtype="<i8").tobytes()
        names = canonical.encode([*self._prepared.names])
        return canonical.digest_bytes(
            "ecohub/training-table/v1", names + values + b"".join(x.tobytes() for x in beside)
        ).hex()

    def _dump_parts(self) -> dict[str, Packed]:
        encryptors: dict[str, Packed] = {part: one.dump() for part, one in self._encryptors.items()}
        multipliers: dict[str, Packed] = {
            peer: {part: one.dump() for part, one in links.items()} for peer, links in self._multipliers.items()
        }
        return {"encryptors": encryptors, "multipliers": multipliers}

    def _pieces(self) -> dict[str, Callable[[], bytes]]:
        return {name: make for one in self._encryptors.values() for name, make in one.pieces().items()}

    def _restore_parts(self, parts: dict[str, Any], pieces: Mapping[str, bytes]) -> None:
        self._encryptors = {
            part: linear.Encryptor.load(data, pieces, *self._link(self._me, part), self._entropy)
            for part, data in parts["encryptors"].items()
        }
        self._multipliers = {
            peer: {part: self._load_multiplier(data, peer, part) for part, data in links.items()}
            for peer, links in parts["multipliers"].items()
        }

    def _load_multiplier(self, data: bytes, peer: str, part: str) -> linear.Multiplier:
        agreed, seed, context = self._link(peer, part)
        return linear.Multiplier.load(data, agreed, seed, self._me, self._matrices[part], context, self._entropy)

    def _table_of_steps(self) -> list[Step]:
        everyone = self._others
        steps = [
            Step(name="commit", phase="seed", act=self._commit),
            Step(name="open", phase="seed", needs=needs("commit", everyone), after=("commit",), act=self._open),
            Step(name="seed", phase="hints", needs=needs("open", everyone), after=("open",), act=self._seed),
        ]
        return [*steps, *self._encryptor_steps(), *self._multiplier_steps(), *self._role_steps()]

    def _role_steps(self) -> list[Step]:
        raise NotImplementedError

    def _encryptor_steps(self) -> list[Step]:
        receivers = self._receivers(self._me)
        if not receivers:
            return []
        steps = [Step(name="zero", phase="hints", needs=needs("hint", receivers), after=("seed",), act=self._zero)]
        for peer in receivers:
            reply, proof, product = needs("zero-reply", [peer]), needs("zero-proof", [peer]), needs("product", [peer])
            steps += [
                Step(name=f"zero-opened {peer}", phase="zero test", needs=reply, after=("zero",), act=self._decrypt),
                Step(
                    name=f"zero-verified {peer}",
                    phase="zero test",
                    needs=proof,
                    after=(f"zero-opened {peer}",),
                    act=self._verify,
                ),
                Step(name=f"opened {peer}", phase="products", needs=product, after=("vectors",), act=self._decrypt),
            ]
        verified = tuple(f"zero-verified {peer}" for peer in receivers)
        steps.append(Step(name="vectors", phase="products", after=verified, act=self._encrypt))
        return steps

    def _multiplier_steps(self) -> list[Step]:
        steps = []
        for peer in self._senders():
            names = [f"{name} {peer}" for name in ("zero-reply", "zero-proof", "product", "multiplied")]
            kinds = ("zero", "zero-opened", "vectors", "opened")
            acts = (self._multiply, self._prove, self._multiply, self._unmask)
            phases = ("zero test", "zero test", "products", "products")
            before = "seed"
            for name, kind, act, phase in zip(names, kinds, acts, phases, strict=True):
                steps.append(Step(name=name, phase=phase, needs=((kind, peer),), after=(before,), act=act))
                before = name
        return steps

    # --- the joint seed --------------------------------------------------------------------------------------------

    def _commit(self, _: Taken) -> list[Outgoing]:
        self.nonce = self._entropy(linear.NONCE_BYTES)
        own: list[Packed] = [*self.names[self._me]]
        content: Content = {"commitment": linear.commit(self.nonce), "order": self._order, "columns": own}
        return self._send("commit", self._others, content)

    def _open(self, taken: Taken) -> list[Outgoing]:
        for (_, sender), reader in taken.items():
            if reader.text("order") != self._order:
                raise OrderDiffers(partner=sender)
            self.commitments[sender] = reader.data("commitment", 32)
            self.names[sender] = self._names_of(sender, reader.texts("columns"))
        out = []
        for peer in self._others:
            half = b""
            if self._me in self._plan.holders and peer in self._plan.holders:
                half = self.mask_halves[f"to {peer}"] = self._entropy(MASK_KEY_BYTES)
            out += self._send("open", [peer], {"nonce": self.nonce, "mask_key": half})
        return out

    def _names_of(self, sender: str, names: tuple[str, ...]) -> list[str]:
        """What a party says its matrix is made of: columns of the plan in its order, a binned one for every bin."""
        agreed, binned = self._plan.party(sender).columns, self._plan.party(sender).binned
        counts = {name: names.count(name) for name in agreed}
        if not names or [name for name in agreed for _ in range(counts[name])] != list(names):
            raise StepMalformed(partner=sender, why="columns that the plan does not name, or out of order")
        if any(count > (self._plan.bins if name in binned else 1) for name, count in counts.items()):
            raise StepMalformed(partner=sender, why="more columns of one than the plan has bins")
        self._check_rows_of(sender, len(names))
        return list(names)

    def _seed(self, taken: Taken) -> list[Outgoing]:
        nonces = {self._me: self.nonce}
        for (_, sender), reader in taken.items():
            nonces[sender] = reader.data("nonce")
            between = self._me in self._plan.holders and sender in self._plan.holders
            self.mask_halves[f"from {sender}"] = reader.data("mask_key", MASK_KEY_BYTES if between else 0)
            try:
                linear.verify_commitment(self.commitments[sender], nonces[sender])
            except BadNonce:
                raise SeedCommitmentBroken(partner=sender) from None
        self.joint = linear.joint_seed([nonces[partner] for partner in self._line])
        return self._begin_links()

    def _begin_links(self) -> list[Outgoing]:
        """Make this party's ends of every link from the joint seed; its hints for those who encrypt for it."""
        if self._receivers(self._me):
            self._encryptors = {
                part: linear.Encryptor(*self._link(self._me, part), self._entropy) for part in self._parts
            }
        out = []
        for peer in self._senders():
            self._multipliers[peer] = {part: self._multiplier(peer, part) for part in self._parts}
            hints: dict[str, Packed] = {part: one.hint() for part, one in self._multipliers[peer].items()}
            out += self._send("hint", [peer], {"data": hints})
        return out

    def _multiplier(self, peer: str, part: str) -> linear.Multiplier:
        agreed, seed, context = self._link(peer, part)
        return linear.Multiplier(agreed, seed, self._me, self._matrices[part], context, self._entropy)

    # --- encrypted products ------------------------------------------------------------------------------------------

    def _vectors(self, part: str) -> NDArray[np.int64]:
        """What this party encrypts: its columns over the rows of a part, (vectors, rows)."""
        return np.ascontiguousarray(self._matrices[part].T)

    def _zero(self, taken: Taken) -> list[Outgoing]:
        for (_, sender), reader in taken.items():
            for part, hint in self._by_part(reader):
                self._encryptors[part].take_hint(sender, hint)
        tests: dict[str, Packed] = {part: one.zero_test() for part, one in self._encryptors.items()}
        return self._send("zero", self._receivers(self._me), {"data": tests})

    def _decrypt(self, taken: Taken) -> list[Outgoing]:
        kind, sender, reader = only(taken)
        answers: dict[str, Packed] = {
            part: self._encryptors[part].decrypt(sender, data) for part, data in self._by_part(reader)
        }
        return self._send("zero-opened" if kind == "zero-reply" else "opened", [sender], {"data": answers})

    def _verify(self, taken: Taken) -> list[Outgoing]:
        for (_, sender), reader in taken.items():
            for part, data in self._by_part(reader):
                self._encryptors[part].verify_zero(sender, data)
        return []

    def _encrypt(self, _: Taken) -> list[Outgoing]:
        content: Content = {
            "data": {part: one.encrypt(self._vectors(part)) for part, one in self._encryptors.items()},
            "levels": {part: _levels(self._matrices[part]) for part in self._parts},
        }
        return self._send("vectors", self._receivers(self._me), content)

    def _multiply(self, taken: Taken) -> list[Outgoing]:
        kind, sender, reader = only(taken)
        if kind == "vectors":
            self._take_levels(sender, reader)
        answers: dict[str, Packed] = {
            part: self._multipliers[sender][part].multiply(data) for part, data in self._by_part(reader)
        }
        return self._send("zero-reply" if kind == "zero" else "product", [sender], {"data": answers})

    def _take_levels(self, sender: str, reader: Reader) -> None:
        raise NotImplementedError

    def _prove(self, taken: Taken) -> list[Outgoing]:
        _, sender, reader = only(taken)
        proofs: dict[str, Packed] = {
            part: self._multipliers[sender][part].prove(data) for part, data in self._by_part(reader)
        }
        return self._send("zero-proof", [sender], {"data": proofs})

    def _unmask(self, taken: Taken) -> list[Outgoing]:
        _, sender, reader = only(taken)
        links = self._multipliers[sender]
        self.products[sender] = {part: links[part].open(data) for part, data in self._by_part(reader)}
        return []

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _used(self, partner: str) -> tuple[str, ...]:
        """A party's usable columns, each once."""
        return tuple(dict.fromkeys(self.names[partner]))

    def _receivers(self, encryptor: str) -> tuple[str, ...]:
        """The parties that multiply what `encryptor` encrypts."""
        return tuple(self._line[self._line.index(encryptor) + 1 :])

    def _senders(self) -> tuple[str, ...]:
        """The parties whose vectors this one multiplies."""
        return tuple(self._line[: self._line.index(self._me)])

    def _by_part(self, reader: Reader) -> list[tuple[str, bytes]]:
        """A message of every part's link, in the order of the parts."""
        found = reader.datas("data", set(self._parts))
        return [(part, found[part]) for part in self._parts]

    def _link(self, encryptor: str, part: str) -> tuple[linear.Parameters, bytes, bytes]:
        """(parameters, seed, context) of an encryptor in a part; rule f: nothing of one link fits another."""
        vectors = len(self.names[encryptor])
        if encryptor == self._plan.label_holder:
            vectors += 1 + len(self._plan.refined) * max(
                0, self._plan.rounds - 1
            )  # the label; residuals between rounds
        receivers = self._receivers(encryptor)
        agreed = linear.parameters(
            len(self._matrices[part]),
            max(len(self.names[receiver]) for receiver in receivers),
            features.VALUE_MAX,
            features.VALUE_MAX,
            messages=vectors,
            holders=len(receivers),
            links=len(self._parts) * (len(self._line) - 1),  # the last party encrypts for nobody
        )
        whose = {"encryptor": encryptor, "part": part}
        seed = canonical.digest_bytes("ecohub/linear-seed/v2", self.joint + canonical.encode({**whose}))
        context = canonical.encode({"run": self._plan.digest, "order": self._order, **whose})
        return agreed, seed, context


def _levels(matrix: NDArray[np.int64]) -> NDArray[np.int64]:
    """(two-valued columns, 4): column, low, high, rows with high."""
    rows = [[index, *level] for index, level in features.binary_levels(matrix).items()]
    return np.array(rows, dtype=np.int64).reshape(len(rows), 4)
