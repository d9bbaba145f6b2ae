"""The layout of an alliance's data folder: one file a party, `parties.json`, and the rule for synthetic client ids.

The layout is that of the public data (docs: README, "real data"): `party_<name>.csv.gz` with `client_id`, the party's
own columns and, at the broker, the labels; sorted by `client_id`; rows of two files do not line up, because
membership differs. Every id has the GB 11643-1999 shape with a right check character and a region starting 99, which
does not exist: no such number belongs to a person.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecowire.outputs import OutputExists


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COVERAGE_PERCENT = {"broker": 80, "bank": 85, "platform": 75, "insurer": 60}
COLUMNS: dict[str, tuple[str, ...]] = {
    "broker": _names(
        "AGE EDCL MARRIED OCCAT1 YESFINRISK NOFINRISK KNOWL FINLIT IFINPRO IFINPLAN IINTERNET IMAGZNEWS ISELF ISHOPGRDL"
    ),
    "bank": _names(
        "CHECKING SAVING MMDA CDS CCBAL NOCCBAL NH_MORT HELOC OTHLOC MORTPAY REVPAY CONSPAY VEH_INST EDN_INST OTH_INST "
        "WAGEINC BUSSEFARMINC SSRETINC TRANSFOTHINC LATE LATE60 TURNDOWN FEARDENIAL BNKRUPLAST5 SAVED CKLONGTIME "
        "EHCHKG HPAYDAY"
    ),
    "platform": _names(
        "FOODHOME FOODAWAY FOODDELV RENT NVEHIC VEHIC NEWCAR1 NEWCAR2 NLEASE SPENDMOR SPENDLESS EXPENSHILO BSHOPGRDL "
        "BSHOPNONE BINTERNET BFRIENDWORK INTERNET PREPAID WSAVED KIDS HOUSES HCUTFOOD HCUTENT EMERGSAV EMERGBORR "
        "EMERGCUT"
    ),
    "insurer": _names(
        "CASHLI HCASHLI ANNUIT TRUSTS PAYINS IRAKH THRIFT CURRPEN FUTPEN DBPLANCJ DCPLANCJ DBPLANT ANYPEN LIFECL "
        "FAMSTRUCT SAVRES2 SAVRES3 SAVRES7 SAVRES9"
    ),
}
# after a party's own columns: labels and the survey weight at the broker, the horizontal node at the bank
EXTRA = {"broker": ("y_direct", "y_direct100k", "WGT"), "bank": ("bank_node",), "platform": (), "insurer": ()}
BROKER_THIN = ("AGE", "MARRIED", "OCCAT1", "KNOWL")
# holdings behind the labels, and totals that contain them: features made of these would hand the label over
LEAKING = _names(
    "NMMF HNMMF STMUTF TFBMUTF GBMUTF OBMUTF COMUTF OMUTF STOCKS HSTOCKS NSTOCKS WILSH BOND HBOND NOTXBND MORTBND "
    "GOVTBND OBND EQUITY HEQUITY DEQ RETEQ EQUITINC HBROK HTRAD NTRAD FIN HFIN ASSET HASSET NETWORTH NWCAT ASSETCAT "
    "NWPCTLECAT INTDIVINC KGINC INCOME NORMINC INCCAT NINCCAT NINC2CAT INCPCTLECAT NINCPCTLECAT INCQRTCAT NINCQRTCAT "
    "KGSTMF KGTOTAL LEVRATIO MMMF MMA CALL HCALL LIQ HLIQ OTHFIN PAYMARG WGT"
)
LABELS = {"y_direct": "NMMF+STOCKS+BOND>0", "y_direct100k": "NMMF+STOCKS+BOND>=100000"}
HORIZONTAL_NODES = {
    "bank_A": "AGECL<=2",
    "bank_B": "AGECL in 3,4 and EDCL==4",
    "bank_C": "AGECL in 3,4 and EDCL<4",
    "bank_D": "AGECL>=5",
}
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999 section 5.2: 2^(i-1) mod 11
_CHECKS = "10X98765432"


@dataclass(frozen=True, slots=True, kw_only=True)
class Household:
    """One household: its synthetic id and its values as text, by column (labels and extras among them)."""

    client_id: str
    values: Mapping[str, str]


def client_ids(keys: Sequence[str], ages: Sequence[int], year: int, salt: str) -> list[str]:
    """One synthetic id a household, all different.

    Rule: h = SHA-256(salt ‖ 0x00 ‖ key ‖ 0x00 ‖ attempt); region = "99" and four digits of h, birth date = (year - age)
    with month and day (1-28) of h, serial = three digits of h, then the check character. The attempt counts up from 0
    until the id is new.
    """
    taken: set[str] = set()
    ids: list[str] = []
    for key, age in zip(keys, ages, strict=True):
        made = next(made for made in _attempts(key, year - age, salt) if made not in taken)
        taken.add(made)
        ids.append(made)
    return ids


def is_member(party: str, client_id: str) -> bool:
    """Whether a party knows the household: SHA-256(party ‖ 0x00 ‖ id) as a number mod 100 is below its coverage."""
    digest = hashlib.sha256(f"{party}\x00{client_id}".encode()).digest()
    return int.from_bytes(digest, "big") % 100 < COVERAGE_PERCENT[party]


def bank_node(age_class: int, education: int) -> str:
    """The bank of a household where the bank's clients are split for horizontal training (HORIZONTAL_NODES)."""
    if age_class <= 2:
        return "bank_A"
    if age_class >= 5:
        return "bank_D"
    return "bank_B" if education == 4 else "bank_C"


def files(folder: Path) -> list[Path]:
    """What `write` writes."""
    return [*(folder / f"party_{party}.csv.gz" for party in COLUMNS), folder / "parties.json"]


def check_new(folder: Path) -> None:
    """Raises OutputExists where a data folder's files are there already: they may be somebody's real data."""
    for path in files(folder):
        if path.exists():
            raise OutputExists(path=str(path))


def write(folder: Path, households: Sequence[Household], *, year: int, origin: str) -> dict[str, int]:
    """Write the party files and parties.json into a folder; the counts per party and overlap.

    The same households give the same bytes. `origin` says in one sentence what the data is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(households, key=lambda household: household.client_id)
    members = {party: [h for h in ordered if is_member(party, h.client_id)] for party in COLUMNS}
    for party, known in members.items():
        names = (*COLUMNS[party], *EXTRA[party])
        rows = (",".join((h.client_id, *(h.values[name] for name in names))) for h in known)
        text = "\n".join((",".join(("client_id", *names)), *rows)) + "\n"
        (folder / f"party_{party}.csv.gz").write_bytes(_gzip(text.encode()))
    counts = _counts({party: {h.client_id for h in known} for party, known in members.items()})
    description = _description(len(ordered), counts, year, origin)
    (folder / "parties.json").write_text(json.dumps(description, indent=1) + "\n")
    return counts


def _attempts(key: str, birth_year: int, salt: str) -> Iterator[str]:
    for attempt in range(1 << 20):
        digest = hashlib.sha256(f"{salt}\x00{key}\x00{attempt}".encode()).digest()
        number = int.from_bytes(digest, "big")
        region, number = number % 10_000, number // 10_000
        month, number = number % 12 + 1, number // 12
        day, number = number % 28 + 1, number // 28
        body = f"99{region:04d}{birth_year:04d}{month:02d}{day:02d}{number % 1000:03d}"
        total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, body, strict=True))
        yield body + _CHECKS[total % 11]  # ISO 7064 MOD 11-2


def _counts(members: Mapping[str, set[str]]) -> dict[str, int]:
    counts = {party: len(ids) for party, ids in members.items()}
    for other in ("bank", "platform", "insurer"):
        counts[f"broker&{other}"] = len(members["broker"] & members[other])
    counts["all4"] = len(set.intersection(*members.values()))
    return counts


def _description(households: int, counts: Mapping[str, int], year: int, origin: str) -> dict[str, object]:
    return {
        "origin": origin,
        "year": year,
        "households": households,
        "implicate": 1,
        "id": "client_id (synthetic, region 99: belongs to no person)",
        "coverage_percent": COVERAGE_PERCENT,
        "counts": dict(counts),
        "columns": {party: list(names) for party, names in COLUMNS.items()},
        "broker_thin": list(BROKER_THIN),
        "labels": LABELS,
        "never_use_as_features": list(LEAKING),
        "horizontal_nodes": HORIZONTAL_NODES,
    }


def _gzip(data: bytes) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as stream:
        stream.write(data)
    return out.getvalue()
