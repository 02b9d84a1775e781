# Everything runs in a virtual environment that these targets make; nothing else is needed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OUT ?= demo

.PHONY: demo test lint test-integrations clean

demo: $(VENV)/.demo ## train the embedded comparison and write its table and page
	$(BIN)/aioli demo --out $(OUT)

test: $(VENV)/.dev lint ## lint, types and all fast tests
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/pyright

test-integrations: .venv-integrations/.installed .venv-trainers/.installed ## tests that need heavy libraries
	.venv-integrations/bin/python -m pytest tests/integrations --ignore=tests/integrations/trainers -o filterwarnings=
	.venv-trainers/bin/python -m pytest tests/integrations/trainers -o filterwarnings=

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[demo]'
	touch $@

$(VENV)/.dev: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/.demo

.venv-integrations/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-integrations
	.venv-integrations/bin/pip install -q --disable-pip-version-check -c constraints.txt -e '.[integrations]'
	touch $@

.venv-trainers/.installed: pyproject.toml constraints-trainers.txt
	$(PYTHON) -m venv .venv-trainers
	.venv-trainers/bin/pip install -q --disable-pip-version-check -c constraints-trainers.txt -e '.[trainers]'
	touch $@

clean:
	rm -rf $(VENV) .venv-integrations .venv-trainers
