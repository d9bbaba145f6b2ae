"""edwards25519 in plain integers: slow, obvious, independent of libsodium. An oracle for tests, never for secrets."""

from typing import TypeAlias

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)  # a square root of -1
J = 486662  # curve25519: v^2 = u^3 + J u^2 + u

Point: TypeAlias = tuple[int, int]
IDENTITY: Point = (0, 1)
BASE: Point


def square_root(value: int) -> int | None:
    """A root modulo P, or None."""
    root = pow(value, (P + 3) // 8, P)
    for candidate in (root, root * ROOT % P):
        if candidate * candidate % P == value % P:
            return candidate
    return None


def add(a: Point, b: Point) -> Point:
    x1, y1, x2, y2 = *a, *b
    t = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def negate(a: Point) -> Point:
    return -a[0] % P, a[1]


def multiply(scalar: int, a: Point) -> Point:
    out = IDENTITY
    for bit in bin(scalar)[2:]:
        out = add(out, out)
        if bit == "1":
            out = add(out, a)
    return out


def encode(a: Point) -> bytes:
    """RFC 8032 section 5.1.2."""
    return (a[1] | (a[0] & 1) << 255).to_bytes(32, "little")


def from_y(y: int, sign: int) -> Point | None:
    """The curve point with this y, if there is one."""
    x = square_root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    if x is None:
        return None
    return (x if x % 2 == sign else -x % P), y


def elligator2(u: int) -> Point:
    """RFC 9380 section 6.7.1, then the rational map of appendix D.1: field element → edwards25519, not cleared."""
    x1 = -J * pow(1 + 2 * u * u, -1, P) % P
    gx1 = (x1**3 + J * x1**2 + x1) % P
    y = square_root(gx1)
    if y is not None:
        x, y = x1, (y if y % 2 == 1 else -y % P)
    else:
        x = (-x1 - J) % P
        y = square_root((x**3 + J * x**2 + x) % P)
        assert y is not None
        y = y if y % 2 == 0 else -y % P
    factor = square_root(-486664 % P)
    assert factor is not None
    factor = factor if factor % 2 == 0 else -factor % P
    return factor * x * pow(y, -1, P) % P, (x - 1) * pow(x + 1, -1, P) % P


_base = from_y(4 * pow(5, -1, P) % P, 0)
assert _base is not None
BASE = _base


def torsion() -> list[Point]:
    """The eight points of order dividing 8, the identity first."""
    y = 2
    while True:
        candidate = from_y(y, 0)
        y += 1
        if candidate is None:
            continue
        small = multiply(ORDER, candidate)
        if multiply(4, small) != IDENTITY:
            return [multiply(i, small) for i in range(8)]
