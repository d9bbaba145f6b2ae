# EcoHub. The two commands of the README: `make demo` and `make test`. Each sets up what it needs on a machine that has
# only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export FLWR_TELEMETRY_ENABLED = 0
export FLWR_DISABLE_UPDATE_CHECK = 1
export PYTHONDONTWRITEBYTECODE =

# small databases wait for the disk at every commit: tests have theirs in memory where there is room (2 GB)
ifeq ($(shell df -Pk /dev/shm 2>/dev/null | awk 'NR == 2 && $$4 > 2000000 {print "room"}'),room)
test flows: export TMPDIR ?= /dev/shm
endif

# two workers: whole files go to one, so that an alliance of processes is started once
.PHONY: setup demo test flows check full bench lint types imports proto proto-check contracts contracts-check docs lock clean

setup: $(READY)

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("EcoHub needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (about a minute)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(READY)

demo: setup  ## the main job, end to end; SCENE=banks: banks train one model; DATA=DIR takes real data (docs/data.md)
	@$(BIN)/ecohub demo $(if $(SCENE),--scene $(SCENE)) $(if $(DATA),--data $(DATA))

test: setup  ## the fast suite and one flow over real processes
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not full and not slow_flow"

flows: setup  ## the flows that CI runs besides: canary, kill -9, identities
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "slow_flow" $$(grep -rl --include="test_*.py" slow_flow tests)

full: setup  ## everything, with the long tests (PostgreSQL where ECOHUB_TEST_POSTGRES names a server)
	@$(BIN)/python -m pytest

check: lint types imports proto-check contracts-check test  ## the whole gate

lint: setup
	@$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: setup
	@$(BIN)/mypy

imports: setup
	@$(BIN)/lint-imports

proto: setup
	@$(BIN)/python -P proto/generate.py

proto-check: setup
	@$(BIN)/python -P proto/generate.py --check

contracts: setup
	@$(BIN)/python -P -m contracts.build

contracts-check: setup
	@$(BIN)/python -P -m contracts.build --check

docs: setup  ## docs/cli.md from the commands themselves, the catalogue's table, the schema of agreements
	@$(BIN)/python -m sandbox.reference docs/cli.md
	@$(BIN)/python -m sandbox.agreement_schema revenue_share/schema/agreement.json
	@$(BIN)/python -m sandbox.features_page docs/profile-features.md

bench: setup  ## measured figures: make bench NAME=linear
	@$(BIN)/python -m benchmarks $(NAME)

lock:
	@requirements/lock.sh

clean:
	@rm -rf $(VENV) .venv-bench build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
