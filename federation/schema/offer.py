"""What a partner publishes of a mapping, inside its signed list of assets: features with column, class and purposes,
and the catalogue they are from. Nothing of factors, markers or rows.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from federation.schema.errors import OfferInvalid
from federation.schema.parse import NAME
from federation.schema.values import CLASSES
from privacy import canonical
from privacy.errors import Failure
from privacy.ids import parse_digest

KEY = "profile"  # of an asset in the published list; absent where the partner mapped nothing
FEATURES_MAX = 1000
NAME_CHARACTERS_MAX = 64


def make(
    version: int, digest: str, columns: Mapping[str, str], classes: Mapping[str, str], purposes: Sequence[str]
) -> canonical.Value:
    """columns: feature -> column; classes: column -> class."""
    return {
        "catalogue": version,
        "digest": digest,
        "features": {
            feature: {"column": column, "class": classes[column], "purposes": [*purposes]}
            for feature, column in columns.items()
        },
    }


def features(asset: Mapping[str, Any]) -> dict[str, Any]:
    """Feature -> its column, class and purposes; {} of an asset that says nothing."""
    return dict(asset[KEY]["features"]) if KEY in asset else {}


def check(asset: Mapping[str, Any]) -> None:
    """Raises OfferInvalid unless what an asset says under `profile` fits the asset's own columns and purposes.

    An asset that says nothing is as assets were before there was a catalogue. A feature that this release does not know
    is taken: the partner may have a later one.
    """
    if KEY not in asset:
        return
    offer = asset[KEY]
    if not isinstance(offer, dict) or set(offer) != {"catalogue", "digest", "features"}:
        raise OfferInvalid(why="catalogue, digest and features are expected")
    version, features = offer["catalogue"], offer["features"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise OfferInvalid(why="catalogue is a whole number from 1")
    try:
        parse_digest(offer["digest"])
    except Failure:
        raise OfferInvalid(why="digest is 64 hex digits") from None
    if not isinstance(features, dict) or len(features) > FEATURES_MAX:
        raise OfferInvalid(why=f"features is a table of at most {FEATURES_MAX}")
    for name, found in features.items():
        _check_feature(name, found, asset)


def _check_feature(name: str, found: object, asset: Mapping[str, Any]) -> None:
    if len(name) > NAME_CHARACTERS_MAX or not NAME.fullmatch(name):
        raise OfferInvalid(why=f"{name[:NAME_CHARACTERS_MAX]!r} is no name of a feature")
    if not isinstance(found, dict) or set(found) != {"column", "class", "purposes"}:
        raise OfferInvalid(why=f"{name}: column, class and purposes are expected")
    columns, class_ = asset["columns"], found["class"]
    if not isinstance(found["column"], str) or found["column"] not in columns:
        raise OfferInvalid(why=f"{name}: its column is none of the asset's")
    if class_ not in CLASSES or class_ != columns[found["column"]]:
        raise OfferInvalid(why=f"{name}: its class is not that of the column, or never shared")
    if not found["purposes"] or found["purposes"] != asset.get("purposes"):
        raise OfferInvalid(why=f"{name}: its purposes are not those of the asset")
