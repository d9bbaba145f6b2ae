"""`python -m benchmarks NAME`: run one benchmark; without a name, list them."""

import importlib
import sys

NAMES = {
    "aggregation": "sums that nobody opens alone, beside TenSEAL, phe, masks and no protection",
    "chain": "the sandbox chain: writing, reading, running again in two EVMs",
    "linear": "plain matrix times encrypted vector, beside per-element Paillier",
    "matching": "shared clients of two parties, beside SecretFlow RR22 and KKRT and openmined-psi",
    "profile": "joint models of real clients over many splits, beside the same and usual models of pooled rows",
    "round": "a round of horizontal training over real processes, beside stock Flower",
    "settlement": "a month from signed reports to posted books, on SQLite and PostgreSQL; its tree and contract calls",
    "vertical": "joint training over the same clients through hub and nodes, beside per-element Paillier",
}


def main() -> int:
    """0 after a benchmark; 2 with the list where the name is missing or unknown."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in NAMES:
        print("make bench NAME=…, one of:")
        print("\n".join(f"  {known:12} {what}" for known, what in NAMES.items()))
        return 2
    importlib.import_module(f"benchmarks.{name}").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
