# `make` lists what it can do. Python >= 3.11 and make are all it needs.
# Every tool is called as `.venv/bin/python -m ...`: the scripts beside it break in a path with spaces.

PYTHON ?= python3
JOBS ?= 2
PY := .venv/bin/python
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
SOURCES := ftpkit tests $(wildcard notebooks)

# Kernels come from .venv, also where the user's own kernel of the same name lies about.
export JUPYTER_PREFER_ENV_PATH := 1

# One thread for tests and notebooks alike. Sums are then added in the same order on every machine,
# so what a notebook prints is what its test sees; and two of them side by side leave no core idle.
test notebooks $(NOTEBOOKS): export OMP_NUM_THREADS := 1

.DEFAULT_GOAL := help
.PHONY: help lab test lint format notebooks bench doctor constraints clean $(NOTEBOOKS)

help:  ## list these targets
	@sed -n 's/^\([a-z]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo 'PYTHON=/path/to/python3.12 names the Python that .venv is made with (default: python3).'

lab: .venv/.installed  ## open JupyterLab on the first notebook
	@flags=''; \
	if [ "$$(id -u)" = 0 ]; then flags='--allow-root'; fi; \
	if [ "$$(uname)" != Darwin ] && [ -z "$$DISPLAY$$WAYLAND_DISPLAY" ]; then flags="$$flags --no-browser"; fi; \
	exec $(PY) -m jupyterlab $$flags --LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb

test: lint  ## check everything that CI checks
	$(PY) -m pytest -n $(JOBS) --dist loadscope --nbval tests ftpkit notebooks

lint: .venv/.installed  ## check style, notebooks included
	$(PY) -m ruff check $(SOURCES)
	$(PY) -m ruff format --check $(SOURCES)

format: .venv/.installed  ## mend what `make lint` can mend by itself
	$(PY) -m ruff check --fix-only $(SOURCES)
	$(PY) -m ruff format $(SOURCES)

notebooks: $(NOTEBOOKS)  ## re-execute all notebooks in place (make notebooks/NAME.ipynb: one of them)

$(NOTEBOOKS): .venv/.installed
	$(PY) -m nbconvert --to notebook --execute --inplace --log-level=WARN \
	  --ExecutePreprocessor.timeout=180 --ExecutePreprocessor.record_timing=False \
	  --ExecutePreprocessor.store_widget_state=False $@
	@$(PY) tests/hygiene.py --tidy $@

bench: .venv/.installed  ## measure what the activations cost beside ReLU
	$(PY) -m ftpkit bench

doctor: .venv/.installed  ## say what is installed, found and missing
	@$(PY) -m ftpkit doctor

constraints: .venv/.installed  ## pin the versions that .venv has now in constraints.txt
	$(PY) tests/pins.py > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove .venv and every cache (never notebooks, data or runs)
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build *.egg-info
	find ftpkit tests notebooks \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# The environment is up to date when the stamp in it is newer than the two files that describe it,
# names this folder (an installation does not survive a move), and its Python starts.
ifneq ($(shell test "$$(cat .venv/.installed 2>/dev/null)" = "$$(pwd -P)" && $(PY) -c '' 2>/dev/null && echo yes),yes)
.PHONY: .venv/.installed
endif

# .installing is there while pip works. Found at the start, the last installation was cut short and
# .venv may hold half of a package: begin again, from pip's cache.
.venv/.installed: pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "ftpkit needs Python 3.11 or newer, and '$(PYTHON)' is $$("$(PYTHON)" -V 2>/dev/null || echo not there). Name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' has no module venv. On Debian or Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@if [ -e .venv/.installing ] || ! $(PY) -m pip --version >/dev/null 2>&1; then \
	  echo 'Making .venv ...'; rm -rf .venv; "$(PYTHON)" -m venv .venv; fi
	@touch .venv/.installing
	@echo 'Installing the kit and what it stands on (several GB the first time) ...'
	@trap 'exit 130' HUP INT TERM; \
	$(PY) -m pip install --disable-pip-version-check -c constraints.txt -e '.[dev]' || { rm -f .venv/.installing; exit 1; }
	@printf '%s' "$$(pwd -P)" > $@
	@rm .venv/.installing
