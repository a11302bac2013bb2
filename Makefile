# Two commands set up everything on a fresh machine with Python >= 3.11 and make:
#   make demo    the main job on the shipped logs
#   make test    lint, types, import contracts, all tests
# and two measure: make bench (speed, beside the peers), make accuracy (docs/accuracy.md).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
ARGS   ?=
STAMP  := $(VENV)/.installed

.PHONY: demo test check deps firmware bench accuracy clean

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -e ".[all]" --group dev
	$(BIN)/python -m compileall -q src
	touch $@

demo: $(STAMP)
	$(BIN)/battlife demo --out demo-out

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread of linear algebra each, as the command line has it.
test: check
	OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest -n auto $(ARGS)

# What the firmware tests compile, emulate and check with (Debian; nothing else needs it).
DEPS := gcc-avr avr-libc binutils-avr libsimavr-dev cppcheck clang-14 \
	libfuzzer-14-dev libclang-rt-14-dev make gcc
ROOT := $(if $(filter-out 0,$(shell id -u)),sudo)
deps:
	$(ROOT) apt-get update -qq
	$(ROOT) apt-get install -y -qq --no-install-recommends $(DEPS)

# Images of the bridges with their hashes, as in a release (needs `make deps`).
firmware:
	$(MAKE) -C firmware_bridges release

# The peers live in an environment of their own: they pin old versions of much.
bench:
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-bench/bin/python -m pip install --quiet -e ".[all]" --group bench
	mkdir -p .benchmarks
	$(VENV)-bench/bin/pytest benchmarks --benchmark-only \
		--benchmark-json=.benchmarks/bench.json $(ARGS)

# Measured data that may not be shipped stand beside the project.
SHARED ?= ../shared/data
accuracy: $(STAMP)
	$(BIN)/python benchmarks/accuracy $(SHARED) docs/accuracy.md \
		--kept .benchmarks/accuracy \
		$(if $(wildcard .benchmarks/bench.json),--bench .benchmarks/bench.json)

clean:
	rm -rf $(VENV) $(VENV)-bench demo-out
