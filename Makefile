# Every target makes the virtual environment that it needs; only make and Python 3.11 or newer must be
# installed. `make PYTHON=python3.12 test` uses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := $(VENV)/runtime-installed
DEVELOPMENT := $(VENV)/development-installed
BENCHMARKS := $(VENV)/benchmarks-installed

# Type checkers must not find the folder socketserver/ under its own name, where it would replace the
# standard library's module: they run in a folder that holds only these links.
TYPED := prefork tools tests benchmarks
TYPING := build/typing

.DEFAULT_GOAL := help
.PHONY: help demo test check lint types compat mutants bench packaging clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUNTIME) ## measure a CPU-heavy server on 1, 2, ... workers, with a table and a chart
	$(BIN)/prefork demo

test: $(DEVELOPMENT) ## run the tests (`ARGS='-k drain'` selects tests by name)
	$(BIN)/python tools/run_tests.py $(ARGS)

check: lint types ## all that a change must pass: lint, format, types, tests (`ARGS=fast`: quick tests)
	$(BIN)/python tools/run_tests.py $(if $(filter fast,$(ARGS)),--fast,$(ARGS))

lint: $(DEVELOPMENT) ## run ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DEVELOPMENT) ## run mypy, strict
	@mkdir -p $(TYPING)
	@for package in $(TYPED); do ln -sfn ../../$$package $(TYPING)/$$package; done
	cd $(TYPING) && ../../$(BIN)/mypy --config-file ../../pyproject.toml $(TYPED:%=-p %)

compat: $(RUNTIME) ## run CPython's own test modules on our module, on every Python that is found
	$(BIN)/python tools/compat.py $(ARGS)

mutants: $(DEVELOPMENT) ## check that the tests notice known defects
	$(BIN)/python tools/mutants.py $(ARGS)

bench: $(BENCHMARKS) ## measure the cost of a request (`ARGS='echo lines'` selects measurements)
	$(BIN)/python -m benchmarks $(ARGS)

packaging: $(DEVELOPMENT) ## install in every way, and use the result from outside the checkout
	$(BIN)/python tools/packaging.py $(ARGS)

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is written last, so that an installation that was interrupted is done again.
$(RUNTIME): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("prefork needs \
	Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + \
	": name another one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

$(BENCHMARKS): $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	@touch $@
