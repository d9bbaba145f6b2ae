"""What a job's OT extension guards against, as named options. Both sides agree on the name; it settles every length.

`semi-honest`        words of 64 bits, BCH [456, 64, ≥ 128]. Both sides follow the protocol.
`checked-listed`     the same code, and `consistency`'s proof. The receiver may deviate. It can hold identifiers that it
                     did not commit to, and about twice as many as it should, if at most 2^37 candidates exist (mobile
                     numbers, resident ids): `identifiers_held`.
`checked-unlisted`   words of 136 bits, Reed-Solomon [592, 136, ≥ 128], and the proof. As above where candidates cannot
                     be listed, for receivers that hash up to 2^128 of them; it can hold seven times too many.

None is proven against a sender that deviates: it learns nothing of the receiver's slots (the matrix hides them, and
nothing else comes from the receiver), but decides what the receiver finds. Where the sender could watch what the
receiver does with its result, that would leak. Tags are as long as correctness needs, which is enough for a deviating
receiver; PaXoS takes longer ones to prove security against senders as well.

The distance of 128 follows PaXoS (Pinkas, Rosulek, Trieu, Yanai, Eurocrypt 2020) for computational security of 128
bits; a word must be long enough that no identifier only the sender has meets its own hash value in the receiver's
store (64 bits: 2^-40 for 2^24 identifiers), and in the checked options for the bound on what the store can hold.
"""

from dataclasses import dataclass

from privacy.psi.oprf import code, consistency, extension
from privacy.psi.oprf.base_ot import ChosenSeeds, PairSeeds
from privacy.psi.oprf.code import Bytes, LinearCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of OPTIONS; has OT extension under one signature for all of them."""

    name: str
    word_bits: int  # of the hash value H1 that the store maps an identifier to
    checked: bool
    candidates_log2: float  # the identifiers a deviating receiver can choose from; 0 where none deviates

    @property
    def code(self) -> LinearCode:
        return code.bch(self.word_bits) if self.word_bits <= 72 else code.reed_solomon((self.word_bits + 2) // 6)

    @property
    def mask_bytes(self) -> int:
        """Secret random bytes that `extend_receiver` takes for each bucket and attempt."""
        return consistency.mask_bytes(self.code) if self.checked else 0

    def message_bytes(self, rows: int) -> int:
        if self.checked:
            return consistency.message_bytes(self.code, rows)
        return extension.message_bytes(self.code, rows)

    def identifiers_held(self, rows: int) -> int:
        """How many identifiers one bucket's message of so many rows can hold at most, but for probability 2^-128."""
        assert self.checked, "without the proof a deviating receiver can learn everything"
        return consistency.identifiers_held(rows, self.word_bits, self.candidates_log2)

    def extend_receiver(
        self, seeds: PairSeeds, bucket: int, attempt: int, slots: Bytes, context: bytes, masks: bytes
    ) -> tuple[bytes, Bytes]:
        """(message, R). Arguments: `consistency.extend_receiver`; unchecked, `extension.extend_receiver`."""
        assert len(masks) == self.mask_bytes, "random words for the proof, none without one"
        if self.checked:
            return consistency.extend_receiver(seeds, self.code, bucket, attempt, slots, context, masks)
        return extension.extend_receiver(seeds, self.code, bucket, attempt, slots)

    def extend_sender(
        self, seeds: ChosenSeeds, bucket: int, attempt: int, message: bytes, rows: int, context: bytes
    ) -> Bytes:
        """Q. Raises ExtensionLength and, where checked, ExtensionInconsistent: then the job must end."""
        if self.checked:
            return consistency.extend_sender(seeds, self.code, bucket, attempt, message, rows, context)
        return extension.extend_sender(seeds, self.code, bucket, attempt, message, rows)


SEMI_HONEST = Option(name="semi-honest", word_bits=64, checked=False, candidates_log2=0)
CHECKED_LISTED = Option(name="checked-listed", word_bits=64, checked=True, candidates_log2=37)
CHECKED_UNLISTED = Option(name="checked-unlisted", word_bits=136, checked=True, candidates_log2=128)
OPTIONS = {option.name: option for option in (SEMI_HONEST, CHECKED_LISTED, CHECKED_UNLISTED)}
