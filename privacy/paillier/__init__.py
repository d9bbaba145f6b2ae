"""Sums under a standardised scheme, with a dealer: Paillier with packed lanes and threshold decryption.

For plans that must name a standard (Paillier 1999; ISO/IEC 18033-6:2019) and accept a one-time dealer. The dealer makes
the key and could keep it: whoever is the dealer can open every update, alone, since holders are sent all of them.
`privacy.threshold` has no such party and is the default. The two give the same sums, bit for bit. Extra `paillier`.

    n = p q, safe primes; c = (1 + n)^m h^x mod n^2, h = (-y^2)^n, x of half the bits of n
                        short randomness: Damgard, Jurik and Nielsen, Int. J. Inf. Secur. 9 (2010), section 4.2
    lanes of 32 bits, (bits - 1) // 32 to a ciphertext; a roster's sum of value_bits fits its lane
    d = 0 mod p'q', 1 mod n, shared with a polynomial of degree t - 1 modulo n p'q'
                        Fouque, Poupard and Stern, Financial Cryptography 2000; Damgard and Jurik, PKC 2001
    an answer is c^(2 Delta s_i) for every ciphertext, Delta = n!, and one proof for all of them

What holds, beyond the sum: an upload is added only with the proof that its partner knows its lanes, so none is made of
another's (`privacy.paillier.knowledge`); `accept` checks that the dealt shares lie on one polynomial and decrypt a
published ciphertext, so a wrong dealing is found by its holders; the proof that comes with an answer is checked before
it is used, so a wrong answerer is named even among t answers. Both of these assume that the modulus is what the dealer
says: a product of two safe primes. What is not had: an upload whose lanes exceed their range spills into its own
neighbours and is noticed only where the sum leaves its range; timing beside `powmod_sec` is not constant.
"""

from privacy.paillier.engine import Paillier
from privacy.paillier.gmp import PaillierMissing

__all__ = ["Paillier", "PaillierMissing"]
