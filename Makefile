PYTHON ?= python3
VENV ?= .venv
# A file of versions to install, as in
# `make test VENV=.venv-oldest CONSTRAINTS=.ci/oldest.txt`; none takes the newest.
CONSTRAINTS ?=
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
# Each process compiles for itself and takes up to 5 GB in the end.
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: run test test-all coverage lint docs reproduce clean

run: $(STAMP)
	$(BIN)/python -m skae

test: $(STAMP)
	$(PYTEST) -m "not slow"

test-all: $(STAMP)
	XLA_FLAGS= $(PYTEST)

# The tests of `make test`, slower, and how much of the package they reach.
coverage: $(STAMP)
	$(PYTEST) --cov --cov-report=term -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build/html

# The studies of the four texts, from the data below SKAE_DATA, some forty minutes. It goes on
# where it stopped, and the gallery of the docs draws what it writes.
reproduce: $(STAMP)
	$(BIN)/python -m benchmarks.studies

clean:
	rm -rf $(VENV) docs/_build docs/api/generated docs/generated docs/sg_execution_times.rst

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet $(CONSTRAINTS:%=--constraint %) \
		--editable ".[plot,cli,io,skops,onnx,dask]" --group dev
	touch $(STAMP)
