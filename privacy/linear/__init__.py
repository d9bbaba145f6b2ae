"""A party's plain integer matrix times another party's encrypted vectors: what vertical training needs.

Two roles, sans I/O. `Multiplier` (feature holder) keeps its matrix X and learns exactly X^T r; `Encryptor` keeps its
vectors r and learns nothing of X. docs/linear.md has the construction, its parameters, and what is and is not proven.

One training: all parties exchange `commit(nonce)`, then nonces, and form `joint_seed`; both sides compute `parameters`.

    holder     Multiplier.hint()               -> Encryptor.take_hint(holder, ...)      once a training
    encryptor  Encryptor.zero_test()           -> Multiplier.multiply(...)              once, serves every holder
    holder     -> Encryptor.decrypt(holder, ...)  -> Multiplier.prove(...) -> Encryptor.verify_zero(holder, ...)
    encryptor  Encryptor.encrypt(R)            -> Multiplier.multiply(...)              k vectors, for every holder
    holder     -> Encryptor.decrypt(holder, ...)  -> Multiplier.open(...) = R X exactly
"""

from privacy.linear.encryptor import Encryptor
from privacy.linear.errors import EncryptorCheated, HolderCheated
from privacy.linear.multiplier import Multiplier
from privacy.linear.parameters import CHECK_COLUMNS, ZERO_VECTORS, Parameters, columns_max, parameters
from privacy.linear.wire import NONCE_BYTES, commit, joint_seed, verify_commitment

__all__ = [
    "CHECK_COLUMNS",
    "NONCE_BYTES",
    "ZERO_VECTORS",
    "Encryptor",
    "EncryptorCheated",
    "HolderCheated",
    "Multiplier",
    "Parameters",
    "columns_max",
    "commit",
    "joint_seed",
    "parameters",
    "verify_commitment",
]
