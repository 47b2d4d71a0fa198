# holdwatch: `make` lists the targets. Each does its own set-up; all that a machine needs is Python 3.11 and make.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Wheels are not compiled at install: what is used is compiled when it is first imported, which is a tenth of it.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-compile
# Of the history that `make bench` makes up and asks.
EVENTS ?= 1000000
# Where `make spark` exports the events to.
EVENTS_DIR ?= .holdwatch/events
# What only the checks of generated files use; nobody needs Node to run holdwatch.
NODE_DIR := dashboards/checks/node
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

.PHONY: help
help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/running ## From concurrent holds to dashboards, on an embedded PostgreSQL; ends in a report
	@$(BIN)/holdwatch demo

.PHONY: up
up: $(VENV)/running ## Database, Dagster UI and daemon with the schedule on; Ctrl-C stops everything
	@$(BIN)/holdwatch up

.PHONY: test
test: $(VENV)/developing ## The test suite on real PostgreSQL, without the minutes-long tests
	@$(PYTEST) -m "not slow and not spark"

.PHONY: test-all
test-all: $(VENV)/developing ## The whole test suite, the minutes-long tests included
	@$(PYTEST) -m "not spark"

.PHONY: test-spark
test-spark: $(VENV)/developing $(VENV)/spark java ## The same events on Spark and on PostgreSQL (installs PySpark, 480 MB)
	@$(BIN)/python -m pytest -m spark

.PHONY: bench
bench: $(VENV)/developing ## Holds and EVENTS=1000000 of history against the machine's limits, as ratios; also .holdwatch/bench.json
	@$(BIN)/python -m tests.benchmarks
	@$(BIN)/python -m tests.benchmarks.history --events $(EVENTS)

.PHONY: spark
spark: $(VENV)/spark java ## Export the events to EVENTS_DIR=.holdwatch/events, and build the views from them on Spark
	@$(BIN)/holdwatch events export "$(EVENTS_DIR)"
	@$(BIN)/holdwatch pipeline spark "$(EVENTS_DIR)"

# As root on Debian what is missing is installed; elsewhere the command says what to install.
.PHONY: java
java:
	@if ! command -v java > /dev/null && [ -z "$${JAVA_HOME:-}" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		echo "Installing Java (Debian's openjdk-17-jre-headless) …" >&2; \
		DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
			openjdk-17-jre-headless > /dev/null; fi

.PHONY: dbt-docs
dbt-docs: $(VENV)/running ## What dbt knows of the views, as one HTML page: .holdwatch/dbt-docs/index.html
	@$(BIN)/holdwatch pipeline docs

.PHONY: data-docs
data-docs: $(VENV)/running ## What is expected of the data, and what the last checks found: .holdwatch/data-docs/index.html
	@$(BIN)/holdwatch pipeline data-docs

.PHONY: docs-site
docs-site: $(VENV)/developing ## The docs as a site that needs no network: .holdwatch/docs-site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --config-file docs/site/mkdocs.yml --site-dir "$(CURDIR)/.holdwatch/docs-site"
	@echo "Written: .holdwatch/docs-site/index.html"

.PHONY: reference
reference: $(VENV)/developing ## The pages of docs/reference anew, from the code
	@$(BIN)/python -m orchestration.reference

.PHONY: pictures
pictures: $(VENV)/running ## The pictures in docs/pictures anew, of a made-up incident
	@$(BIN)/holdwatch dashboards preview --demo --docs

.PHONY: check
check: $(VENV)/developing ## Format, lint, types, layering, SQL style, generated files (their queries run in the tests)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --processes 2 dbt_project
	$(BIN)/sqlfluff lint --templater placeholder holds_core/sql
	$(BIN)/holdwatch dashboards check --no-queries
	$(BIN)/holdwatch flags registry --check
	$(BIN)/python -m orchestration.reference --check
	$(BIN)/holdwatch flags stale --strict

.PHONY: check-full
check-full: $(VENV)/developing check-tools ## What ops load, by every tool there is for it; a check that lacks its tool fails
	@$(BIN)/python -m tests.dashboards.full
	@HOLDWATCH_TOOLS_REQUIRED=1 $(BIN)/python -m pytest --quiet tests/dashboards/test_prism.py

# As root on Debian what is missing is installed; elsewhere the checks say what to install.
.PHONY: check-tools
check-tools:
	@if command -v npm > /dev/null; then $(MAKE) --silent $(NODE_DIR)/node_modules/.package-lock.json; fi
	@if ! command -v promtool > /dev/null || ! command -v amtool > /dev/null; then \
		if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
			echo "Installing promtool and amtool (Debian's prometheus and prometheus-alertmanager) …" >&2; \
			DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
				prometheus prometheus-alertmanager > /dev/null; \
		fi; fi

$(NODE_DIR)/node_modules/.package-lock.json: $(NODE_DIR)/package-lock.json
	@echo "Installing the TypeScript compiler, Grafana's types and Prism into $(NODE_DIR)/node_modules/ …" >&2
	@npm ci --prefix $(NODE_DIR) --ignore-scripts --silent
	@touch $@

.PHONY: setup
setup: $(VENV)/running ## Create the environment alone, in .venv/
	@echo "Ready: $(BIN)/holdwatch"

.PHONY: setup-dev
setup-dev: $(VENV)/developing ## Create the environment with the tools for developing

.PHONY: lock
lock: $(VENV)/developing ## Resolve the dependencies anew and write the lock files
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --upgrade --generate-hashes --no-annotate --no-header \
		--extra embedded --extra pipeline --extra dashboards --group build --output-file requirements.lock > /dev/null
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header \
		--extra embedded --extra pipeline --extra dashboards --extra supabase --extra openfeature --group dev --constraint requirements.lock \
		--output-file requirements-dev.lock > /dev/null
	@$(BIN)/uv pip compile pyproject.toml --quiet --universal --generate-hashes --no-annotate --no-header \
		--extra spark --constraint requirements-dev.lock --output-file requirements-spark.lock > /dev/null

.PHONY: clean
clean: ## Stop the embedded server and delete the environment; the data in .holdwatch/ stays
	@if [ -x $(BIN)/holdwatch ]; then $(BIN)/holdwatch db stop; fi
	@rm -rf $(VENV)

# One stamp for running, one for developing: the demo never waits for the tools of the tests. A stamp is written last, so
# that an interrupted install is taken up again.
$(VENV)/bin/python:
	@if ! "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
		echo "holdwatch needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@"$(PYTHON)" -m venv $(VENV)

$(VENV)/running: requirements.lock pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV)/ (the first time takes a minute or two) …" >&2
	@$(PIP_INSTALL) --require-hashes --requirement requirements.lock
	@$(PIP_INSTALL) --no-build-isolation --editable .
	@touch $@

$(VENV)/spark: requirements-spark.lock $(VENV)/running
	@echo "Installing Spark into $(VENV)/ (480 MB) …" >&2
	@$(PIP_INSTALL) --require-hashes --requirement requirements-spark.lock
	@touch $@

$(VENV)/developing: requirements-dev.lock $(VENV)/running
	@echo "Installing the tools for developing into $(VENV)/ …" >&2
	@$(PIP_INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@
