# Two commands do everything: `make demo` and `make test`. The rest serves those who change the code.
PYTHON ?= python3
WORKERS ?= auto
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

FUZZ_SECONDS ?= 60

.PHONY: demo test check fuzz engines lock format clean
demo: $(STAMP)  ## run the whole thing on this machine; ARGS="--seconds 20 --json out.json" passes flags on
	@$(BIN)/kinbid demo $(ARGS)

test: $(STAMP)  ## every test; ARGS="-k caps" picks some, WORKERS=0 runs all in one process
	@$(BIN)/pytest -n $(WORKERS) --maxprocesses 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(STAMP)  ## format, lint, strict types, import contracts, spelling, lock file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m tests.lock_is_fresh

fuzz: $(STAMP)  ## fuzz what strangers send, HTTP and OpenRTB, FUZZ_SECONDS each
	$(BIN)/python -m tests.fuzz http --seconds $(FUZZ_SECONDS)
	$(BIN)/python -m tests.fuzz openrtb --seconds $(FUZZ_SECONDS)

engines: $(STAMP)  ## fetch Apache Kafka and install Redis, Prometheus, docker-compose and Chromium where that is possible
	$(BIN)/python -m kinbid.engines.fetch

lock: $(STAMP)  ## write requirements.lock anew from pyproject.toml
	$(BIN)/python -m tests.lock_is_fresh --write

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .fuzz .engines

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else f"kinbid needs Python 3.11 to 3.13; this is {v[0]}.{v[1]}. Name another one with: make PYTHON=python3.12")'
	@echo "installing kinbid into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --require-hashes --prefer-binary -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)
