# make app: open the app. make test: run the tests. Each installs into .venv on first use.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: help app test lint bench figures screenshots

help:
	@echo "make app [ATLAS=name]     open the app in the browser"
	@echo "make test [ARGS=...]      run the tests"
	@echo "make lint                 ruff, import layers, types"
	@echo "make bench [NAME=map]     measure: record, map, locate, attack, noise, app, play"
	@echo "make figures              write the measured figures into the documents"
	@echo "make screenshots          take the README's pictures from the running app"

app: $(VENV)/installed-app
	$(VENV)/bin/introspect app $(ATLAS)

test: $(VENV)/installed-dev
	$(VENV)/bin/python -m pytest $(ARGS)

lint: $(VENV)/installed-dev
	$(VENV)/bin/ruff check
	$(VENV)/bin/lint-imports
	$(VENV)/bin/pyright

bench: $(VENV)/installed-dev
	@mkdir -p benchmarks/results
	for name in $(or $(NAME),record map locate attack noise app play); do \
	  $(VENV)/bin/introspect bench $$name --json > benchmarks/results/$$name.part && \
	  tail -n 1 benchmarks/results/$$name.part > benchmarks/results/$$name.json && \
	  rm benchmarks/results/$$name.part || exit 1; done
	$(VENV)/bin/python docs/figures.py

figures: $(VENV)/installed-dev
	$(VENV)/bin/python docs/figures.py

screenshots: $(VENV)/installed-dev
	$(VENV)/bin/python docs/screenshots.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Introspect needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed-app: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV), once: this takes a minute or a few ..."
	$(PIP) hatchling editables
	$(PIP) --no-build-isolation -e '.[umap]'
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed-app
	$(PIP) --no-build-isolation -e '.[umap,test,dev]'
	@touch $@
