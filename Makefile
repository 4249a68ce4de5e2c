# Every command that a person or CI runs. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENGINE ?= embedded
OVERLAY ?=
# More arguments for pytest and for the demo, such as PYTEST="-k budget" or DEMO="--seed 7".
PYTEST ?=
# Processes that are killed on one engine a place in `make test`, and on both here.
KILLED := $(addprefix tests/integration/test_,writer_recovery.py payment_matcher_process.py bank_lines_process.py ingest_process.py)
CHAOS ?= tests/chaos tests/property/test_writer_faults.py tests/property/test_payment_years.py tests/simulation $(KILLED)
DEMO ?=
DISTRIBUTIONS := shared services/ingest services/mapper services/exact-writer services/payment-matcher console simulators

# Tests start hundreds of processes, each of which would compile our code anew where an environment forbids to keep what was compiled.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: docs help setup lock format check schemas test bench chaos demo run k8s stop clean

help: ## list the commands
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: $(VENV)/.ready ## make the virtual environment (done by every other command)

# Dependencies come from the lock with their hashes; our own distributions are installed editable, without a network.
$(VENV)/.ready: requirements-dev.lock $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked dependencies into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(addprefix -e ,$(addprefix ./,$(DISTRIBUTIONS)))
	@touch $@

lock: setup ## resolve the dependencies anew and write both lock files
	@$(BIN)/python scripts/lock.py

format: setup ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet . || true

check: setup ## format, lint, types, import rules and generated pages
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/docs.py --check

docs: setup ## write the generated pages anew (check compares them)
	@$(BIN)/python scripts/docs.py

schemas: setup ## write the messages' JSON schemas anew (a test compares them)
	@$(BIN)/python scripts/schemas.py

# First what is quick, three at a time on two cores since it waits as much as it works; then what starts whole processes, since those
# would disturb its timing; what watches the clock runs by itself at the end. Exit code 5 says that a narrow PYTEST selected nothing.
test: setup ## every test, with PostgreSQL and RabbitMQ
	@addresses=$$($(BIN)/python scripts/services.py start) && export $$addresses \
		&& { $(BIN)/pytest -n 3 --dist worksteal -m "not slow and not alone" $(PYTEST) || test $$? -eq 5; } \
		&& { $(BIN)/pytest -n 2 --dist worksteal -m slow $(PYTEST) || test $$? -eq 5; } \
		&& { $(BIN)/pytest -m alone $(PYTEST) || test $$? -eq 5; }

# One after the other, in the order that is written here, so that one sees how far it is; CONTRIBUTING.md says how long each part takes.
chaos: setup ## the tests of faults in full, for hours: kill -9 everywhere, a thousand sequences of faults, simulated days
	@addresses=$$($(BIN)/python scripts/services.py start) && export $$addresses && KRUISPOST_CHAOS=everywhere KRUISPOST_FAULT_SEQUENCES=1000 \
		$(BIN)/pytest -v -p no:randomly --durations=20 $(CHAOS) $(PYTEST)

bench: setup ## measure, each figure beside its ceiling; writes var/bench/report.json
	@addresses=$$($(BIN)/python scripts/services.py start) && export $$addresses && PYTHONPATH=tests $(BIN)/python -m bench

demo: setup ## a business month from Chargebee into Exact Online, on simulators; ENGINE=embedded or rabbitmq
	@addresses=; if [ "$(ENGINE)" = rabbitmq ]; then addresses=$$($(BIN)/python scripts/services.py start) || exit 1; fi; \
		env $$addresses $(BIN)/kruispost demo --engine $(ENGINE) $(DEMO)

run: setup ## all services in one process, as configured by kruispost.yaml and .env
	@if [ -f .env ]; then set -a; . ./.env; set +a; fi; exec $(BIN)/kruispost run

k8s: ## print the manifests; OVERLAY=demo for the one with servers and simulators
	@kubectl kustomize deploy/k8s/$(if $(OVERLAY),overlays/$(OVERLAY),base)

stop: ## end the PostgreSQL and RabbitMQ that a test or a demo started
	@test ! -f var/services/state.json || $(BIN)/python scripts/services.py stop

clean: stop ## remove what running left behind (not the virtual environment)
	@rm -rf var .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
