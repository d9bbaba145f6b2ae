"""Which clients a release reaches: a share of them, the same ones every time, and more of them as the share is raised.

A client is in a release where HMAC-SHA256(salt, client key), read as a number, is below the share of its range. Every
release has a salt of its own, so that the first clients of one are not the first of the next, and keeps it while its
share is raised: who was in it stays in it. Everyone with salt and client key can check it; nobody else can foresee it.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

PPM = 1_000_000
SALT_BYTES = 16
BITS = 64  # of the HMAC that count: a share is kept to within 2^-64


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model that serves a share of the clients."""

    job: str
    salt: bytes
    share_ppm: int


def model_name(body: Mapping[str, Any]) -> str:
    """The name of the model of a vertical plan's body: purpose/label holder/label.

    Models of one name take each other's place.
    """
    return f"{body['purpose']}/{body['label']['partner']}/{label_name(body['label'])}"


def label_name(label: Mapping[str, Any]) -> str:
    """The column of a plan's label; of one class against the rest column=class."""
    return f"{label['column']}={label['positive']}" if "positive" in label else str(label["column"])


def has_uplift(evaluation: Mapping[str, Any]) -> bool:
    """Whether a record of the full scorecard shows a measurable uplift over the label holder alone.

    One figure decides, named before it is seen: the 95 % interval of the AUC's uplift is all above zero. The best of
    several figures would nearly always be.
    """
    uplift = evaluation.get("auc_uplift")
    return uplift is not None and int(uplift["low_ppm"]) > 0


R = TypeVar("R", bound=Release)


def in_release(client: bytes, salt: bytes, share_ppm: int) -> bool:
    """Whether a client is among the share of a release.

    client: a lasting key of the client (its token, or the node's own HMAC of its id), never the id; salt: 16 bytes;
    share_ppm: 0 … 1,000,000. Raises AssertionError for another salt or share: both were checked at the edge.
    """
    assert len(salt) == SALT_BYTES and 0 <= share_ppm <= PPM, "a release's salt and share"
    drawn = int.from_bytes(hmac.digest(salt, client, hashlib.sha256)[: BITS // 8], "big")
    return drawn * PPM < share_ppm << BITS


def of_client(client: bytes, releases: Sequence[R]) -> R | None:
    """The release that serves a client: the first it is in; None where none reaches it.

    releases: of one model name, the newest first, as the hub states them.
    """
    return next((one for one in releases if in_release(client, one.salt, one.share_ppm)), None)
