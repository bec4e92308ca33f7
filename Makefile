# Everything from a bare machine with python3 and make: `make demo`, `make test`. See `make help`.

PYTHON ?= python3
# Test processes side by side, one thread each; WORKERS=0 runs the tests in one process (for a debugger).
WORKERS ?= 2

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
# Sound: fully installed, not moved since, and its Python still there. Anything else is built afresh.
SOUND := $(shell test -e $(STAMP) && $(BIN)/python -I -c 'import luthier, os, sys; \
	sys.stdout.write("yes" * os.path.samefile(luthier.__path__[0], "src/luthier"))' 2>/dev/null)
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all check clean rebuild

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-15s %s\n", $$1, $$2}'

install: $(STAMP) ## set up .venv with the tested versions

demo: $(STAMP) ## compare all arms on the demo task; writes runs/demo/report.html
	$(BIN)/luthier study studies/demo.yaml --out runs/demo

test: check ## check, then the fast tests
	$(PYTEST) -m "not slow"

test-all: check ## check, then every test
	$(PYTEST)

check: $(STAMP) ## lint, types, layers of imports, freshness of the docs
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/check_docs.py
	$(BIN)/python scripts/method_tables.py --check

clean: ## remove .venv and the tools' caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamp is removed while pip works, so that what an interruption leaves half-made is built afresh. torch goes first,
# pinned: pip would otherwise bring a newer one, with several GB of libraries for GPUs.
$(STAMP): pyproject.toml constraints.txt $(if $(SOUND),,rebuild)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Luthier needs Python 3.11 or later: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@rm -f $@
	@test -n "$(SOUND)" || { rm -rf $(VENV); $(PYTHON) -m venv $(VENV); } \
		|| { echo "No virtual environment could be made: install the python3-venv package, then run make again"; exit 1; }
	@echo "Installing torch into $(VENV) (about a minute)"
	@$(PIP) install --constraint constraints.txt torch setuptools
	@echo "Installing Luthier and its libraries (about two minutes)"
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@
