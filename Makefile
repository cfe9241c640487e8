# Signpost. `make` lists what there is.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint bench audit sbom clean

help: ## Say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run ## Start the sample payer, fire three sample hooks at it, and stay (ARGS=--once stops after them)
	@$(BIN)/signpost demo $(ARGS)

test: .venv/dev lint ## Run every check and test, those of ledger and shared state on PostgreSQL and Redis too
	@$(BIN)/pytest -n auto --dist loadgroup $(ARGS)
	@$(BIN)/pytest -n auto --dist loadgroup --servers $(ARGS)

lint: .venv/dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/dev ## Measure speed against a floor in the same run
	@$(BIN)/python -m bench $(ARGS)

audit: .venv/shipped ## Look among known vulnerabilities for what is shipped (asks PyPI; ARGS="-s osv" asks OSV)
	@.venv/audit/bin/pip-audit --strict --skip-editable --progress-spinner off --path .venv/shipped/lib/python3*/site-packages $(ARGS) \
		|| { echo "Something is vulnerable, or could not be looked up, which is no pass either."; exit 1; }

sbom: .venv/shipped ## Write sbom.cdx.json, what is shipped with it (CycloneDX)
	@.venv/audit/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o sbom.cdx.json .venv/shipped
	@echo sbom.cdx.json

clean: ## Remove the environment, caches and the sample ledger
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis data build *.egg-info

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Signpost needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { echo "Python cannot make an environment here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

# What a deployment has, without the tools of development; and beside it what looks at it.
.venv/shipped: pyproject.toml | .venv/python
	@echo "Installing what is shipped (once) ..."
	@$(PYTHON) -m venv --clear .venv/audit .venv/shipped
	@.venv/shipped/bin/pip install --quiet --disable-pip-version-check --editable '.[servers,traces]'
	@.venv/audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.9' 'cyclonedx-bom>=7'
	@touch $@

.venv/run: pyproject.toml | .venv/python
	@echo "Installing (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: pyproject.toml | .venv/python
	@echo "Installing what the tests need (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/run
