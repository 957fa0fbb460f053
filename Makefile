# Two commands matter: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# A third of the tests' time is waiting for processes and providers: three for two cores.
WORKERS := $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))

.PHONY: install demo up test check bench lock clean

install: $(INSTALLED)

# pip and venv, not uv: nothing to fetch before the first package, and a ministry's own
# package mirror, set in pip.conf, is honoured. The lock file carries every hash.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -m venv $(VENV) || { echo "install: $(PYTHON) with its venv module is needed (Debian: apt install python3.11-venv)"; exit 1; }
	@echo "install: packages from requirements.lock"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install
	@$(BIN)/mouachir demo

up: install
	@$(BIN)/mouachir up

test: install
	@$(BIN)/python -m tests.chromium
	@$(BIN)/python -m pytest --numprocesses=$(WORKERS) --dist=worksteal

check: install
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: install
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements.bench.lock
	@$(BIN)/python -m tests.bench

# The only rule that needs uv: resolves pyproject.toml again and writes every hash.
lock: install
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --extra embedded --extra dev pyproject.toml --output-file requirements.lock
	@echo "weasyprint>=70" | $(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate --no-header \
	  --python-version 3.11 --constraints requirements.lock --output-file requirements.bench.lock -

clean:
	rm -rf $(VENV) var build *.egg-info
