# The commands of the house. `make help` lists them.
PY ?= python3
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help demo test test-clients check bench lock clean

help:    ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

$(READY): requirements-dev.txt pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headwater needs Python 3.11 or newer. Try this: make PY=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || { echo "Making .venv (once; about a minute)"; $(PY) -m venv .venv; }
	@$(PIP) install --require-hashes --only-binary :all: -r requirements-dev.txt
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## everything on a made-up company, no account needed   (ARGS=--once ends after one cycle)
	@$(BIN)/headwater demo $(ARGS)

test: $(READY) ## all tests, on real parts   (OLIST=FOLDER adds the real company, RECORDED=FOLDER a real org's answers; T='-k name' narrows)
	@$(BIN)/python -m pytest -q -p no:valkey -n 2 --dist loadfile --no-loadscope-reorder $(if $(OLIST),--olist=$(abspath $(OLIST))) $(if $(RECORDED),--recorded=$(abspath $(RECORDED))) $(T)

test-clients: $(READY) ## other people's Salesforce clients, installed and unchanged, on a practice org   (C=name runs one)
	@$(BIN)/python -m tests.clients $(C)

check: $(READY) ## format, lint, types, import contracts
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo

bench: $(READY) ## ratios against yardsticks, taken in one run   (B=name runs one)
	@$(BIN)/python -m tests.bench $(B)

lock:    ## make the two requirements files again from pyproject.toml (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q pyproject.toml -o requirements.txt
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -q --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean:   ## forget the virtual environment and the embedded data
	rm -rf .venv .headwater
