# Every target sets up what it needs; `make` lists them.
PORT ?= 8080
IDP_PORT ?= 8081
ONCE ?=
TLS ?=
RESET ?=
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.DEFAULT_GOAL := help
.PHONY: help demo check test coverage run bench failover mutate screenshots lint fix migration

help:  ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1|/' | column -t -s '|'

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Changegate needs Python 3.11 or newer.")'
	@$(PYTHON) -m venv .venv
	@echo "Installing into .venv …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $(READY)

demo: $(READY)  ## Run the demo, then keep serving (ONCE=1 TLS=1 RESET=1 PORT=8080 IDP_PORT=8081)
	@$(BIN)/changegate demo $(if $(ONCE),--once) $(if $(TLS),--tls) $(if $(RESET),--reset) --port $(PORT) --idp-port $(IDP_PORT)

run: $(READY)  ## Serve this instance (PORT=8080)
	@$(BIN)/changegate serve --port $(PORT)

check: $(READY)  ## Check style, types, and the fast tests on SQLite: for every commit
	@tests/run -m "not slow"

test: $(READY)  ## Run every test
	@tests/run

coverage: $(READY)  ## Run every test under coverage, which takes half as long again, and require 95 %
	@tests/run --cov --cov-report=term

bench: $(READY)  ## Measure the product against its floors
	@$(BIN)/python -m benchmarks $(ARGS)

failover: $(READY)  ## Let real engines fail under load: PostgreSQL under Patroni, HAProxy, PgBouncer, Valkey
	@tests/failover/run $(ARGS)

mutate: $(READY)  ## Mutate the rules of assertions, access, moves, and approvals; list the changes that no test notices
	@rm -rf build/mutate && mkdir -p build/mutate
	@cd build/mutate && ln -s ../../platform src && ln -s ../../tests ../../migrations ../../app.py ../../pyproject.toml .
	@cd build/mutate && nice ../../$(BIN)/python -P ../../tests/mutate.py

screenshots: $(READY)  ## Take the pictures of the documentation
	@$(BIN)/python -m tests.browser.pictures

lint: $(READY)  ## Check style, types and import rules
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: $(READY)  ## Fix what ruff can fix
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

migration: $(READY)  ## Write the next migration from the models (m="what it does")
	@test -n "$(m)" || { echo 'Say what it does: make migration m="Add the owner of an integration"'; exit 2; }
	@$(BIN)/flask --app app db migrate --message "$(m)" \
		--rev-id "$$(printf '%04d' $$(($$(ls migrations/versions/[0-9]*.py 2>/dev/null | wc -l) + 1)))"
