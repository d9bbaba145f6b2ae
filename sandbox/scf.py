"""`ecohub sandbox import-scf`: the public Survey of Consumer Finances 2022 as an alliance's data folder.

Source: Board of Governors of the Federal Reserve System, Summary Extract Public Data, `scfp2022excel.zip` holding
`SCFP2022.csv`: 4,595 households in five imputed copies. Only implicate 1 is taken (Y1 mod 10 = 1); five copies are
never five clients. Values are the survey's, unchanged; ids and who is a client of whom are synthetic, by the documented
rules of `sandbox.party_files` with the household number YY1 as key. What the labels are made of is left out.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import click

from privacy.errors import Failure, Kind
from sandbox import party_files, report

MEMBER = "SCFP2022.csv"
YEAR = 2022
ID_SALT = "ecohub/scf2022-id/v1"
ARCHIVE_BYTES_MAX = 64 << 20
MEMBER_BYTES_MAX = 128 << 20
LABEL_PARTS = ("NMMF", "STOCKS", "BOND")
ORIGIN = "Survey of Consumer Finances 2022, public summary extract, implicate 1; ids and membership are synthetic"


class SurveyFileRejected(Failure):
    code = "SURVEY_FILE_REJECTED"
    kind = Kind.INVALID
    en = "this is not the survey's file: {why}; the Federal Reserve Board publishes it as scfp2022excel.zip"
    zh = "这不是该调查的数据文件：{why}；美联储理事会公布的文件名为 scfp2022excel.zip"


@click.command("import-scf")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="folder to write")
@click.option("--json", "as_json", is_flag=True, help="print counts as one JSON document")
def import_scf(file: Path, out: Path, as_json: bool) -> None:
    """Convert FILE (scfp2022excel.zip) into party files for `ecohub demo --data`."""
    party_files.check_new(out)
    counts = convert(file, out)
    report.echo_counts(ORIGIN, out, counts, as_json)


def convert(file: Path, out: Path) -> dict[str, int]:
    """Write the party files of the survey; counts per party and overlap. Raises SurveyFileRejected."""
    return party_files.write(out, households(file), year=YEAR, origin=ORIGIN)


def households(file: Path) -> list[party_files.Household]:
    """The survey's households, each with every column of every party and the labels.

    Raises SurveyFileRejected for a file over the limits, without the one expected member, or of other columns.
    """
    rows = [row for row in _rows(file) if int(row["Y1"]) % 10 == 1]
    if len({row["YY1"] for row in rows}) != len(rows):
        raise SurveyFileRejected(why="a household appears twice in implicate 1")
    ids = party_files.client_ids([row["YY1"] for row in rows], [int(row["AGE"]) for row in rows], YEAR, ID_SALT)
    return [party_files.Household(client_id=client, values=_values(row)) for client, row in zip(ids, rows, strict=True)]


def _rows(file: Path) -> Iterator[dict[str, str]]:
    needed = {"YY1", "Y1", "WGT", "AGECL", *LABEL_PARTS}.union(*party_files.COLUMNS.values())
    reader = csv.reader(io.StringIO(_member(file)))
    header = next(reader, [])
    if missing := sorted(needed - set(header)):
        raise SurveyFileRejected(why=f"{MEMBER} has no column {missing[0]}")
    places = {name: header.index(name) for name in needed}
    for number, row in enumerate(reader, start=2):
        if len(row) != len(header):
            raise SurveyFileRejected(why=f"line {number} of {MEMBER} has {len(row)} fields, not {len(header)}")
        values = {name: row[place] for name, place in places.items()}
        try:
            for name in values:
                float(values[name])
            int(values["Y1"]), int(values["YY1"]), int(values["AGE"]), int(values["AGECL"]), int(values["EDCL"])
        except ValueError:
            raise SurveyFileRejected(why=f"line {number} of {MEMBER} holds something that is not a number") from None
        yield values


def _member(file: Path) -> str:
    """The text of the one member, read by its exact name; nothing is ever extracted to a path of the archive's
    choice."""
    if file.stat().st_size > ARCHIVE_BYTES_MAX:
        raise SurveyFileRejected(why=f"larger than {ARCHIVE_BYTES_MAX} bytes")
    try:
        with zipfile.ZipFile(file) as archive, archive.open(MEMBER) as stream:
            data = stream.read(MEMBER_BYTES_MAX + 1)  # what the archive says of its size is not believed
    except (zipfile.BadZipFile, zlib.error, KeyError, NotImplementedError, RuntimeError, EOFError) as error:
        raise SurveyFileRejected(why=f"no readable {MEMBER} inside ({type(error).__name__})") from None
    if len(data) > MEMBER_BYTES_MAX:
        raise SurveyFileRejected(why=f"{MEMBER} expands to more than {MEMBER_BYTES_MAX} bytes")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError:
        raise SurveyFileRejected(why=f"{MEMBER} is not plain text") from None


def _values(row: dict[str, str]) -> dict[str, str]:
    held = sum(float(row[name]) for name in LABEL_PARTS)
    values = {name: row[name] for names in party_files.COLUMNS.values() for name in names}
    return values | {
        "y_direct": str(int(held > 0)),
        "y_direct100k": str(int(held >= 100_000)),
        "WGT": row["WGT"],
        "bank_node": party_files.bank_node(int(row["AGECL"]), int(row["EDCL"])),
    }
