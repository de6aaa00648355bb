# Vasari's set-up and its daily commands. `make demo` and `make test` start from a bare checkout.

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow lint format readme bench bench-memory clean
MAKEFLAGS += --no-print-directory

# The first of these that is 3.10, 3.11 or 3.12; `make PYTHON=...` chooses another.
VERSION_FITS := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))
PYTHON ?= $(shell for python in python3 python3.12 python3.11 python3.10; do \
	$$python -c '$(VERSION_FITS)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
FOLDERS := generate watermark provenance detect models eval

help:
	@echo "make demo          make a talking video and verify it: out/demo"
	@echo "make test          run the tests"
	@echo "make lint          ruff and mypy"
	@echo "make format        let ruff format"
	@echo "make readme        put the program's help into the README"
	@echo "make bench         print the figures of the README"
	@echo "make bench-memory  peak memory for one minute and for one hour of speech (an hour or so)"
	@echo "make clean         remove what the others made"

# Each set of dependencies has a stamp, so that set-up runs once and again when they change.
.venv/demo.stamp: EXTRAS = demo
.venv/dev.stamp: EXTRAS = dev,text,heic
.venv/%.stamp: pyproject.toml | .venv/bin/python
	@echo "Installing Vasari and its dependencies into .venv (a few minutes, once) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]' \
		&& $(MAKE) headless || { echo "The installation failed: see pip's message above" >&2; exit 1; }
	@touch $@

.venv/bin/python:
	@$(or $(PYTHON),false) -c '$(VERSION_FITS)' 2>/dev/null || { echo "Vasari needs Python 3.10,\
	 3.11 or 3.12$(if $(PYTHON),: $(PYTHON) is none,; none was found). Install one, or name it:\
	 make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) has no venv module:\
	 on Debian and Ubuntu, apt install python3-venv" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

# mediapipe pulls in OpenCV's wheel with a window system, which needs libGL and glib. The headless
# wheel of the same version is the same library without it.
.PHONY: headless
headless:
	@version=$$($(BIN)/python -c 'from importlib.metadata import version as v;\
	 print(v("opencv-contrib-python"))' 2>/dev/null) || exit 0; \
	$(BIN)/python -m pip uninstall --quiet --yes opencv-contrib-python && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--force-reinstall "opencv-contrib-python-headless==$$version"

demo: .venv/demo.stamp
	@$(BIN)/python examples/demo.py out/demo

test: .venv/dev.stamp
	@$(BIN)/python -m pytest -m "not slow and not gpu"

test-slow: .venv/dev.stamp
	@$(BIN)/python -m pytest -m "not gpu"

lint: .venv/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@rm -rf build/types && mkdir -p build/types/vasari
	@ln -s $(addprefix ../../../,$(wildcard src/vasari/*) $(FOLDERS)) build/types/vasari/
	@$(BIN)/mypy

format: .venv/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

readme: .venv/dev.stamp
	@$(BIN)/python docs/readme.py
	@$(BIN)/python docs/schema.py

bench: .venv/dev.stamp
	@$(BIN)/python benchmarks/generate.py

bench-memory: .venv/dev.stamp
	@$(BIN)/python benchmarks/memory.py

clean:
	rm -rf .venv build dist out *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
