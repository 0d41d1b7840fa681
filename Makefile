# SPDX-License-Identifier: GPL-2.0-or-later
# cordboard's commands. Each target sets up what it needs first; variables: PYTHON, PJSIP_SOURCE, ILBC_SOURCE, CONF, SKIP_PACKAGES (see etc/setup).
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
CONF ?= etc/sems.conf
WORKERS ?= $(shell echo $$((2 * $$(nproc) + 1)))
export PYTHON PJSIP_SOURCE ILBC_SOURCE SKIP_PACKAGES

.PHONY: help run setup setup-test test check lint bench fuzz lock wheel clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## Set up what is missing, then serve in the foreground (CONF=file for another configuration)
	@exec $(BIN)/cordboard serve -f $(CONF)

setup: ## Set up packages, Python, SIP stack; leaves the command at .venv/bin/cordboard
	@etc/setup/setup.sh run

setup-test:
	@etc/setup/setup.sh test

# Tests of real programs mostly wait, so there are twice as many workers as cores. With ARGS there is one process, as -k, --pdb or -x expect.
PARALLEL = -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=25
test: setup-test ## Install what the tests need and run all of them (WORKERS=… at a time, or ARGS=… for pytest)
	@$(BIN)/python -m pytest $(if $(ARGS),$(ARGS),$(PARALLEL))

check: lint ## Lint, format, types, import arrows, house rules
	@$(BIN)/python -m pytest -q tests/arch

lint: setup-test ## What of it is no test
	@$(BIN)/ruff format --check --quiet di interfaces media clients tests
	@$(BIN)/ruff check di interfaces media clients tests
	@$(BIN)/mypy di interfaces media clients
	@$(BIN)/lint-imports --no-cache

bench: setup-test ## Measure; write what is worth keeping into docs/performance.md
	@for bench in tests/benches/bench_*.py; do echo "== $$bench"; \
		case $$bench in *_ramp.py) size="--steps 50,100 --seconds 10";; *) size=;; esac; $(BIN)/python $$bench $$size || exit 1; done

FUZZ = tests/property tests/unit tests/compat/gateways/test_same_decision.py tests/peers/test_hostile_rtp.py tests/peers/test_sip_garbage.py tests/peers/test_fuzz_beside_a_call.py
fuzz: setup-test ## The border tests at full size (100 000 messages and more a gateway)
	@CORDBOARD_LONG=1 $(BIN)/python -m pytest $(FUZZ) -k "fuzz or hostile or test_any or reference or packed or garbage or decides" \
		--timeout=7200 --durations=0 $(ARGS)

LOCK = $(BIN)/python -m piptools compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header --no-emit-options \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host $(if $(UPGRADE),--upgrade)
lock: setup-test ## Lock the Python packages anew, with hashes, after a change of pyproject.toml (UPGRADE=1: newer versions of all)
	@$(LOCK) -o etc/setup/requirements-build.txt etc/setup/requirements-build.in
	@$(LOCK) -c etc/setup/requirements-build.txt -o etc/setup/requirements.txt pyproject.toml
	@$(LOCK) -c etc/setup/requirements-build.txt -c etc/setup/requirements.txt --extra dev -o etc/setup/requirements-test.txt pyproject.toml

wheel: setup ## Build dist/cordboard_app-….whl: what those who write applications install (docs/app-tutorial.md)
	@etc/setup/wheel.sh && ls dist/*.whl

clean: ## Remove the private environment and everything generated
	-[ ! -x $(BIN)/cordboard ] || $(BIN)/cordboard prompts clear # your own recordings stay
	rm -rf $(VENV) .setup-logs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
