# `make run` starts Runyard, `make test` runs every test; both install what they need first.
.PHONY: help run link native demo venv check test test-postgresql test-split contract-forge interface soak bench lint format lock clean
.DEFAULT_GOAL := help

# Write bytecode even if the environment forbids it: starts are three times faster.
unexport PYTHONDONTWRITEBYTECODE
VENV_PYTHON := .venv/bin/python
# rules, statements and calls: no browser, few processes
CHECKED := tests/domain tests/state tests/records tests/api tests/test_architecture.py

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 26

run: ## start Runyard and open its page (ARGS="--port 8081")
	@scripts/make-venv run
	@$(VENV_PYTHON) main.py serve $(ARGS)

link: ## print a link that signs a browser in, once
	@scripts/make-venv run
	@.venv/bin/runyard login-link $(ARGS)

native: ## start Runyard and open a desktop window
	@scripts/make-venv run
	@scripts/add-native
	@scripts/window-libraries
	@$(VENV_PYTHON) main.py serve --native $(ARGS)

demo: ## watch the demo project's story in the terminal (about 40 s; nothing is kept)
	@scripts/make-venv run
	@.venv/bin/runyard demo $(ARGS)

venv: ## make .venv with everything pinned, for running and testing
	@scripts/make-venv test

check: ## the quick tests, a few minutes: domain, state, records on SQLite, API, architecture
	@scripts/run-tests $(CHECKED) -m "not slow and not soak" -k "not postgresql" $(ARGS)

test: ## install what the tests need, run them all (ARGS="-k words")
	@scripts/run-tests $(ARGS)

test-postgresql: ## the same on PostgreSQL, wherever a test does not choose
	@RUNYARD_TEST_DATABASE=postgresql scripts/run-tests $(ARGS)

test-split: ## the same with new runs in a second database (SPLIT=mixed: on PostgreSQL)
	@RUNYARD_TEST_SPLIT=$(or $(SPLIT),1) scripts/run-tests $(ARGS)

contract-forge: ## the contract of forges against a real one (RUNYARD_TEST_FORGE_URL, RUNYARD_TEST_FORGE_TOKEN)
	@test -n "$$RUNYARD_TEST_FORGE_URL" && test -n "$$RUNYARD_TEST_FORGE_TOKEN" || \
	  { echo "Set RUNYARD_TEST_FORGE_URL and RUNYARD_TEST_FORGE_TOKEN: see docs/forges.md." >&2; exit 2; }
	@scripts/run-tests -n 0 --reruns 0 tests/contracts/git/test_forges.py -k server $(ARGS)

interface: venv ## record an intended change of the interface
	@scripts/install-test-needs
	@$(VENV_PYTHON) -m tests.interface

soak: ## the tests that need minutes, root or a whole machine
	@scripts/install-test-needs soak
	@scripts/run-tests -n 0 -m soak --timeout=1800 --reruns 0 $(ARGS)

bench: venv ## measure speed and memory (DATABASE=postgresql, ARGS="--row page")
	@scripts/install-test-needs
	@scripts/make-bench-client
	@$(VENV_PYTHON) -m tests.bench $(if $(DATABASE),--database $(DATABASE)) $(ARGS)

lint: venv ## check style and types
	@$(VENV_PYTHON) -m ruff check .
	@$(VENV_PYTHON) -m ruff format --check .
	@$(VENV_PYTHON) -m pyright
	@$(VENV_PYTHON) -m tests.types

format: venv ## fix style where possible
	@$(VENV_PYTHON) -m ruff check --fix .
	@$(VENV_PYTHON) -m ruff format .

lock: ## pin the newest versions that the files *.in allow
	@scripts/lock-requirements

clean: ## remove everything that was built here; your data folder stays
	rm -rf .venv .venv-bench build dist .pytest_cache .ruff_cache .hypothesis test-results *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
