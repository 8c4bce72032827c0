# Everything runs in an environment of its own, built once with the pinned versions of
# constraints.txt and built again only when pyproject.toml or constraints.txt change.

PYTHON ?= python3
JOBS ?= auto
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs clean

demo: $(VENV)/.base ## the main job on scikit-learn's digits: a few CPU minutes
	$(BIN)/python -m simulations.support_dimension --dataset digits --preset quick --out results

test: lint ## lint, types, tests, doctests and coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/.docs ## the site in docs/_build/html: everything executed, warnings as errors, links checked
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -n -b html docs docs/_build/html
	$(BIN)/python docs/check_links.py docs/_build/html

clean:
	rm -rf $(VENV) docs/_build docs/api/generated docs/gallery

$(VENV)/.base: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "otlmc needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	@touch $@

$(VENV)/.test $(VENV)/.docs: $(VENV)/.%: $(VENV)/.base
	$(INSTALL) -e ".[$*]"
	@touch $@
