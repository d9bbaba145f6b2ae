#!/bin/sh
# Write the lock files anew from pyproject.toml and the .in files: versions and hashes, no index addresses.
set -eu
cd "$(dirname "$0")/.."
flags="--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header -q"
uv pip compile $flags --all-extras pyproject.toml -o requirements/product.txt
uv pip compile $flags requirements/dev.in -o requirements/dev.txt
uv pip compile $flags requirements/bench.in -o requirements/bench.txt
uv pip compile $flags --no-deps requirements/bench-bare.in -o requirements/bench-bare.txt
