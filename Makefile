# One word per deed, the same on a desk and in CI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

.PHONY: run test check fix soak bench fuzz lock setup servers clean

# Everything below needs only Python, make and the package registries. A lock file names all that is needed, so pip
# resolves nothing (--no-deps): it would take an extra's newest release for one that is not locked, and refuse.
setup: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "scim-gateway needs Python 3.11 or newer; try make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check --disable-pip-version-check
	touch $@

# sslyze pins an older cryptography than the gateway uses, so it lives apart.
.venv-tls/.installed: requirements/tls-grader.txt
	$(PYTHON) -m venv .venv-tls
	.venv-tls/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements/tls-grader.txt
	touch $@

# Caddy and a profiler; HAProxy, nginx, wrk and h2load are Debian's, fetched into build/ where the system lacks them.
.venv-bench/.installed: requirements/bench.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements/bench.txt
	touch $@

servers: .venv-tls/.installed

run: setup
	$(BIN)/scim-gateway demo $(ARGS)

test: setup servers
	$(BIN)/python -m pytest -m "not soak" $(ARGS)

soak: setup servers
	$(BIN)/python -m pytest -m soak $(ARGS)

bench: setup .venv-bench/.installed
	$(BIN)/python -m tests.bench $(ARGS)

# Only where atheris has a wheel for this Python.
.venv-fuzz/.installed: requirements/run.txt requirements/fuzz.txt
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements/run.txt --requirement requirements/fuzz.txt
	touch $@

FUZZ_SECONDS ?= 60
fuzz: .venv-fuzz/.installed
	PYTHONPATH=. .venv-fuzz/bin/python tests/fuzz/answers.py -max_total_time=$(FUZZ_SECONDS) -max_len=2048 $(ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

fix: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# Written anew when pyproject.toml changes; needs uv (pip install uv).
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
lock:
	$(LOCK) --no-emit-package scim-gateway pyproject.toml -o requirements/run.txt
	$(LOCK) --no-emit-package scim-gateway --extra demo pyproject.toml -o requirements/demo.txt
	$(LOCK) --no-emit-package scim-gateway --extra dev pyproject.toml -o requirements/dev.txt
	$(LOCK) requirements/build.in -o requirements/build.txt
	$(LOCK) requirements/tls-grader.in -o requirements/tls-grader.txt
	$(LOCK) requirements/bench.in -o requirements/bench.txt
	$(LOCK) requirements/fuzz.in -o requirements/fuzz.txt

clean:
	rm -rf $(VENV) .venv-tls .venv-bench .venv-fuzz build .mypy_cache .ruff_cache .pytest_cache .hypothesis
