"""Where the banks' clients come from: a seeded draw, the Survey of Consumer Finances, or a bank's phone campaigns.

Public data is split as its own description says: the survey's households by age and education into four banks, the
campaign's clients by occupation into five. Client ids are synthetic throughout (region 99, `sandbox.party_files`).
"""

import csv
import gzip
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import click
import numpy as np

from sandbox import party_files, report, scf, synthetic
from sandbox.banks import files
from sandbox.banks.files import CATEGORY, NUMBER, Banks, BanksFolderInvalid, Client, Column
from sandbox.party_files import Household

BANKS, BANKS_MAX = 4, 26
LABEL = "y_direct"
SURVEY_FILE = "scfp2022excel.zip"
CAMPAIGN_FILE = "bank-additional-full.csv"
WIDE = 100.0  # amounts: a column with larger values is taken as sign(v) log(1 + |v|)

# what a bank asks of every client besides its own accounts
ASKED = ("AGE", "EDCL", "MARRIED", "KNOWL", "FINLIT", "KIDS", "INTERNET", "WSAVED")
WORDS = {
    "OCCUPATION": ("OCCAT1", ("employee", "self-employed", "retired", "other")),
    "HOUSEHOLD": (
        "FAMSTRUCT",
        ("single with children", "single under 55", "single from 55", "couple with children", "couple"),
    ),
}
UNANSWERED = ("FINLIT", 4)  # column, percent of clients who did not answer

CAMPAIGN_YEAR = 2010
CAMPAIGN_SALT = "ecohub/bank-marketing-id/v1"
CAMPAIGN_LABEL = ("y", ("no", "yes"))
CAMPAIGN_NUMBERS = {
    "age", "campaign", "pdays", "previous", "emp.var.rate", "cons.price.idx", "cons.conf.idx", "euribor3m",
    "nr.employed",
}  # fmt: skip
CAMPAIGN_LEFT_OUT = ("duration", "job")  # known only after the call; what the banks are split by
CAMPAIGN_BANKS = {
    "bank-a": ("admin.", "management"),
    "bank-b": ("entrepreneur", "self-employed"),
    "bank-c": ("technician", "services"),
    "bank-d": ("blue-collar", "housemaid"),
    "bank-e": ("retired", "student", "unemployed"),
}
CAMPAIGN_ORIGIN = (
    "phone campaigns of a Portuguese bank (Moro, Cortez, Rita 2014; UCI 222), split by occupation; ids are synthetic"
)


@click.command()
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="new folder to write")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help=f"folder with {SURVEY_FILE} or {CAMPAIGN_FILE}[.gz]; without it the banks are synthetic",
)
@click.option(
    "--banks",
    type=click.IntRange(files.BANKS_MIN, BANKS_MAX),
    default=BANKS,
    show_default=True,
    help="how many synthetic banks",
)
@click.option(
    "--households",
    type=click.IntRange(200, 200_000),
    default=synthetic.HOUSEHOLDS,
    show_default=True,
    help="how many clients all synthetic banks have",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=synthetic.SEED, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="print counts as one JSON document")
def banks(out: Path, source: Path | None, banks: int, households: int, seed: int, as_json: bool) -> None:
    """Write banks with the same columns and different clients, for `ecohub demo --scene banks --data`."""
    made = convert(source, out) if source else generate(out, banks=banks, households=households, seed=seed)
    report.echo_counts(made.origin, out, made.sizes, as_json)


def prepare(given: Path | None, folder: Path, banks: int = BANKS) -> Banks:
    """The banks of a folder: one in our own layout as it is, public data converted into `folder`, or a synthetic draw.

    Raises BanksFolderInvalid where `given` is none of these.
    """
    if given is None:
        return generate(folder, banks=banks)
    return files.read(given) if (given / files.DESCRIPTION).exists() else convert(given, folder)


def convert(source: Path, folder: Path) -> Banks:
    """Public data as banks. Raises BanksFolderInvalid, SurveyFileRejected."""
    if (source / SURVEY_FILE).exists():
        return survey(source / SURVEY_FILE, folder)
    for name in (CAMPAIGN_FILE, f"{CAMPAIGN_FILE}.gz"):
        if (source / name).exists():
            return campaign(source / name, folder)
    raise BanksFolderInvalid(
        folder=str(source), why=f"it holds neither {files.DESCRIPTION} nor {SURVEY_FILE} nor {CAMPAIGN_FILE}"
    )


def generate(
    folder: Path, *, banks: int = BANKS, households: int = synthetic.HOUSEHOLDS, seed: int = synthetic.SEED
) -> Banks:
    """Banks of unequal size whose clients differ in age, drawn from a seed: the same seed gives the same bytes."""
    drawn = synthetic.draw(seed, households)
    assert files.BANKS_MIN <= banks <= BANKS_MAX
    names = [*party_files.COLUMNS["bank"], *ASKED]
    columns = [_number(name, [float(h.values[name]) for h in drawn]) for name in names]
    columns += [Column(name=name, kind=CATEGORY, levels=words) for name, (_, words) in WORDS.items()]
    where = _bands([float(h.values["AGE"]) for h in drawn], banks, seed)
    clients = [
        Client(client_id=h.client_id, bank=f"bank-{chr(ord('a') + band)}", values=_asked(h))
        for h, band in zip(drawn, where, strict=True)
    ]
    origin = f"{synthetic.ORIGIN} (seed {seed}), as {banks} banks"
    return files.write(folder, clients, columns=columns, label=LABEL, classes=("0", "1"), origin=origin)


def survey(file: Path, folder: Path) -> Banks:
    """The survey's 4,595 households in four banks, all 87 columns of the alliance's parties.

    What the label is made of, and totals that contain it, are not among them (`party_files.LEAKING`).
    """
    households = scf.households(file)
    names = [name for party in party_files.COLUMNS.values() for name in party]
    assert not set(names) & set(party_files.LEAKING), "features that hand the label over"
    columns = [_number(name, [float(h.values[name]) for h in households]) for name in names]
    clients = [
        Client(client_id=h.client_id, bank=h.values["bank_node"].replace("_", "-").lower(), values=h.values)
        for h in households
    ]
    origin = f"{scf.ORIGIN}; banks by age and education"
    return files.write(folder, clients, columns=columns, label=LABEL, classes=("0", "1"), origin=origin)


def campaign(file: Path, folder: Path) -> Banks:
    """The campaign's clients in five banks by occupation; clients of unknown occupation are left out."""
    bank_of = {job: bank for bank, jobs in CAMPAIGN_BANKS.items() for job in jobs}
    rows = [(str(number), row) for number, row in enumerate(_campaign_rows(file)) if row.get("job") in bank_of]
    if not rows or set(rows[0][1]) < {*CAMPAIGN_NUMBERS, *CAMPAIGN_LEFT_OUT, CAMPAIGN_LABEL[0]}:
        raise BanksFolderInvalid(folder=str(file.parent), why=f"{file.name} has not the campaign's columns")
    label, classes = CAMPAIGN_LABEL
    columns = [
        _column(name, [row[name] for _, row in rows]) for name in rows[0][1] if name not in (*CAMPAIGN_LEFT_OUT, label)
    ]
    ids = party_files.client_ids(
        [key for key, _ in rows], [int(row["age"]) for _, row in rows], CAMPAIGN_YEAR, CAMPAIGN_SALT
    )
    clients = [
        Client(client_id=client, bank=bank_of[row["job"]], values=row)
        for client, (_, row) in zip(ids, rows, strict=True)
    ]
    return files.write(folder, clients, columns=columns, label=label, classes=classes, origin=CAMPAIGN_ORIGIN)


def _campaign_rows(file: Path) -> Iterator[Mapping[str, str]]:
    opened = gzip.open if file.suffix == ".gz" else open
    with opened(file, "rt", encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream, delimiter=";")


def _column(name: str, values: Sequence[str]) -> Column:
    if name in CAMPAIGN_NUMBERS:
        return _number(name, [float(value) for value in values])
    return Column(name=name, kind=CATEGORY, levels=tuple(sorted(set(values))))


def _number(name: str, values: Sequence[float]) -> Column:
    wide = max(map(abs, values)) > WIDE
    return Column(name=name, kind=NUMBER, transform="signed_log" if wide else "none")


def _asked(household: Household) -> dict[str, str]:
    """A household's values with codes as words, and what it did not answer left empty."""
    worded = {name: words[int(household.values[code]) - 1] for name, (code, words) in WORDS.items()}
    column, percent = UNANSWERED
    digest = hashlib.sha256(f"unanswered\x00{column}\x00{household.client_id}".encode()).digest()
    left_open = int.from_bytes(digest, "big") % 100 < percent
    return {**household.values, **worded, **({column: ""} if left_open else {})}


def _bands(ages: Sequence[float], count: int, seed: int) -> list[int]:
    """Each client's bank: neighbours in age, blurred by 12 years, cut so that sizes stand as 2 : 3 : 4 : …"""
    blurred = np.asarray(ages) + 12 * np.random.default_rng([seed, count]).standard_normal(len(ages))
    shares = np.arange(2, count + 2) / np.arange(2, count + 2).sum()
    edges = np.quantile(blurred, np.cumsum(shares)[:-1])
    bands: list[int] = np.searchsorted(edges, blurred).tolist()
    return bands
