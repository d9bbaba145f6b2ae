"""`ecohub data features`: which standard features which partner offers, coverage of each domain, and gaps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from federation.schema import coverage, offer, standard
from federation.schema.coverage import Coverage
from federation.schema.values import Catalogue
from hub.cli_common import Cli, options
from hub.records import Head
from privacy import canonical

DOMAINS = [word.code for word in standard.load().domains]


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A partner's column that is a standard feature, as the partner signed it."""

    feature: str
    partner: str
    asset: str
    column: str
    class_: str
    purposes: tuple[str, ...]
    rows: str  # the asset's band
    catalogue: int

    def to_value(self) -> canonical.Value:
        names = ("feature", "partner", "asset", "column", "rows", "catalogue")
        return {**{name: getattr(self, name) for name in names}, "class": self.class_, "purposes": [*self.purposes]}


@click.command()
@click.option("--domain", type=click.Choice(DOMAINS), help="only features of this domain")
@click.option("--partner", help="only what this partner offers")
@options
def features(cli: Cli, domain: str | None, partner: str | None) -> None:
    """Standard features (docs/profile-features.md) that partners offer, coverage of each domain, and gaps."""
    listed, _ = cli.call("partners")
    catalogue = standard.load()
    offered = [item for item in every(listed["partners"]) if partner in (None, item.partner)]
    parts = [
        part for part in coverage.of(catalogue, {o.feature for o in offered}) if domain in (None, part.domain.code)
    ]
    document = report(catalogue, offered, parts)
    cli.show(document, lambda: _show(cli, offered, parts))


def every(partners: Sequence[Mapping[str, Any]]) -> Iterator[Offered]:
    """All that partners publish; one that published before there was a catalogue offers nothing here."""
    for item in partners:
        for asset in item["assets"]["body"]["assets"] if item["assets"] else []:
            for name, found in offer.features(asset).items():
                yield Offered(
                    feature=name,
                    partner=item["partner"],
                    asset=asset["name"],
                    column=found["column"],
                    class_=found["class"],
                    purposes=tuple(found["purposes"]),
                    rows=str(asset.get("rows", "")),
                    catalogue=asset[offer.KEY]["catalogue"],
                )


def report(catalogue: Catalogue, offered: Sequence[Offered], parts: Sequence[Coverage]) -> Head:
    """The document: coverage by domain, then what is offered of these domains, then names this release doesn't know."""
    shown = {name for part in parts for name in part.offered}
    known = {feature.name for feature in catalogue.features}
    return {
        "catalogue": catalogue.version,
        "digest": catalogue.digest,
        "coverage": [part.to_value() for part in parts],
        "offered": [item.to_value() for item in offered if item.feature in shown],
        "unknown": [*sorted({item.feature for item in offered} - known)],
    }


def _show(cli: Cli, offered: Sequence[Offered], parts: Sequence[Coverage]) -> None:
    rows = [(part.domain.text(cli.lang), part.of_all, ", ".join(part.missing) or None) for part in parts]
    cli.table(("domain", "offered", "not offered by any"), rows)
    order = [name for part in parts for name in part.offered]
    listed = sorted((item for item in offered if item.feature in order), key=lambda item: order.index(item.feature))
    cli.table(
        ("feature", "partner", "asset", "column", "class", "purposes", "rows"),
        [(o.feature, o.partner, o.asset, o.column, o.class_, ", ".join(o.purposes), o.rows) for o in listed],
    )
