# make demo: see it work, no hardware needed.   make test: everything that holds it together.
# make help lists the rest.

SHELL := /bin/sh
PYTHON := .venv/bin/python
RUNTIME := .venv/.runtime
TOOLS := .venv/.tools
PLOTS := .venv/.plots
RENDERER := .venv/.renderer

# Programs of this tree are started often, and should not be compiled anew each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo test lint format docs bench prove matrix torture fuzz deb packages clean
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 16

install: $(RUNTIME) ## create .venv, and nothing outside of it

demo: $(RUNTIME) ## watch a message go out and a reply come in (ONCE=1: then stop)
	@$(PYTHON) -m agent.cli demo $(if $(filter-out 0,$(ONCE)),--once)

test: packages $(TOOLS) ## run all tests (ARGS='-k name' for some)
	$(PYTHON) -m pytest -n auto --dist worksteal $(ARGS)

lint: $(TOOLS) ## ruff and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: $(TOOLS) ## let ruff mend what it can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs: $(RENDERER) ## make the pages about keys and commands anew, check all links, render into build/docs
	$(PYTHON) -m scripts.reference
	$(PYTHON) -m mkdocs build --quiet

bench: packages $(PLOTS) ## phonebridge beside its peers, into docs/benchmarks.md (ARGS='--only lines')
	$(PYTHON) -m bench $(ARGS)

prove: $(TOOLS) ## show one promise with its figures: make prove WHAT=main-job (ARGS='--only flow')
	@test -n "$(WHAT)" || { echo "say which: make prove WHAT=$$(ls tests/prove 2>/dev/null | sed -n 's/^\([a-z][a-z_]*\)\.py$$/\1/p' | tr _ - | paste -sd'|')" >&2; exit 2; }
	@$(PYTHON) -m "tests.prove.$(subst -,_,$(WHAT))" $(ARGS)

matrix: $(TOOLS) ## every kind of modem under every fault, as a table (ARGS='--personality telit')
	@$(PYTHON) -m tests.matrix $(ARGS)

deb: $(TOOLS) ## Debian packages for amd64, arm64 and armhf, in dist/ (ARCH=armhf: one of them)
	@$(PYTHON) scripts/deb.py $(ARCH)

torture: packages $(TOOLS) ## everything at once for half an hour, and an account (ARGS='--seconds 180')
	@$(PYTHON) -m tests.torture $(ARGS)

fuzz: $(TOOLS) ## search for input that breaks something, a minute per target (ARGS='pdu --seconds 600')
	@$(PYTHON) -m tests.fuzz $(ARGS)

packages: ## Debian packages that the tests need
	@scripts/packages.sh

clean: ## remove .venv and what tools have left
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Made again only when the dependencies change.
$(RUNTIME): pyproject.toml scripts/venv.sh
	@scripts/venv.sh .
	@touch $@

$(TOOLS): $(RUNTIME)
	@scripts/venv.sh '.[test]'
	@touch $@

$(RENDERER): $(TOOLS)
	@scripts/venv.sh '.[test,docs]'
	@touch $@

$(PLOTS): $(TOOLS)
	@scripts/venv.sh '.[test,bench]'
	@touch $@
