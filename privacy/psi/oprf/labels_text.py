"""Labels that are text: segment codes, deciles, as UTF-8 filled with zero bytes to the job's length."""

import unicodedata
from collections.abc import Sequence

import numpy as np

from privacy.psi.oprf.bucket import Bytes
from privacy.psi.oprf.errors import BadLabels, LabelsNotText


def encode(texts: Sequence[str], label_bytes: int) -> Bytes:
    """uint8[len(texts), label_bytes]. An empty text is a label too.

    Raises BadLabels for a text that is longer in UTF-8, or holds control characters or code points without meaning.
    """
    encoded = [text.encode() if _plain(text) else None for text in texts]
    bad = sum(1 for each in encoded if each is None or len(each) > label_bytes)
    if bad:
        raise BadLabels(why=f"{bad} are longer than {label_bytes} bytes, or hold control characters")
    joined = b"".join((each or b"").ljust(label_bytes, b"\x00") for each in encoded)
    return np.frombuffer(joined, np.uint8).reshape(len(texts), label_bytes)


def decode(labels: Bytes) -> list[str]:
    """The texts of labels that another party made. Raises LabelsNotText unless all of them are such."""
    texts = [text_of(label.tobytes()) for label in labels]
    bad = texts.count(None)
    if bad:
        raise LabelsNotText(count=bad)
    return [text for text in texts if text is not None]


def text_of(label: bytes) -> str | None:
    """The text of one label, None where it is no such text.

    A side that ended a job for one label that is no text would tell whoever made it that this client is shared.
    """
    try:
        text = label.rstrip(b"\x00").decode()
    except UnicodeDecodeError:
        return None
    return text if _plain(text) else None


def _plain(text: str) -> bool:
    """No control, format, surrogate, private or unassigned code points."""
    return not any(unicodedata.category(character).startswith("C") for character in text)
