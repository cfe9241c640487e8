# Signpost. `make` lists what there is.
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint bench clean

help: ## Say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/run ## Start the sample payer, fire three sample hooks at it, and stay (ARGS=--once stops after them)
	@$(BIN)/signpost demo $(ARGS)

test: .venv/dev lint ## Run every check and test, those of ledger and shared state on PostgreSQL and Redis too
	@$(BIN)/pytest $(ARGS)
	@$(BIN)/pytest --servers $(ARGS)

lint: .venv/dev ## Check style and types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: .venv/dev ## Measure speed against a floor in the same run
	@$(BIN)/python -m bench $(ARGS)

clean: ## Remove the environment, caches and the sample ledger
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis data build *.egg-info

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Signpost needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv .venv \
		|| { echo "Python cannot make an environment here. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/run: pyproject.toml | .venv/python
	@echo "Installing (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

.venv/dev: pyproject.toml | .venv/python
	@echo "Installing what the tests need (once) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/run
