"""`make bench NAME=profile`: joint models of real clients over many splits, and what each partner adds.

Two public data sets split by columns: the households of scf2022 (both labels, few and all of the broker's columns, the
clients all three parties have) and the bank campaign (few raw columns a holder). Figures are of the AUC, not of time:
the machine's load does not move them. ECOHUB_BENCH_RUNS=20 are the splits, ECOHUB_BENCH_CASES=moments,bins,logistic,
trees,trees-partners,campaign what is trained; what is left out is not judged.
"""

import os
from functools import partial

from benchmarks import profile_report, profile_splits
from benchmarks.harness import publish
from benchmarks.profile_splits import BINNED, COMPARED, LOGISTIC, MOMENTS, TREES, Case, Split
from tests.support.shared_data import ROOT

SPLITS = int(os.environ.get("ECOHUB_BENCH_RUNS", "20"))
CAMPAIGN = "campaign"
KNOWN = (MOMENTS, BINNED, LOGISTIC, TREES, COMPARED, CAMPAIGN)


def run() -> None:
    """Raises ValueError for an unknown case, FileNotFoundError where the data are not in ECOHUB_SHARED_DATA."""
    found: list[tuple[Case, list[Split]]] = []
    for case in asked():
        found.append((case, [profile_splits.measured(case, number) for number in range(SPLITS)]))
        print(profile_report.line(*found[-1]), flush=True)
    rows = [row for case, splits in found for row in profile_report.rows_of(case, splits)]
    table, draw = profile_report.table(found), partial(profile_report.draw, found=found)
    publish("profile", rows, profile_report.targets(found), table, draw)


def asked() -> list[Case]:
    """The cases of ECOHUB_BENCH_CASES. Raises ValueError, FileNotFoundError."""
    keys = os.environ.get("ECOHUB_BENCH_CASES", ",".join(KNOWN)).split(",")
    if unknown := set(keys) - set(KNOWN):
        raise ValueError(f"no case is called {', '.join(sorted(unknown))}; there are {', '.join(KNOWN)}")
    if not ROOT.is_dir():
        raise FileNotFoundError(f"the public data sets are not in {ROOT}: set ECOHUB_SHARED_DATA")
    models = [key for key in keys if key != CAMPAIGN]
    cases = profile_splits.household_cases(models) if models else []
    return cases + (profile_splits.campaign_cases() if CAMPAIGN in keys else [])
