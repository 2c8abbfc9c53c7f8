# Sets up .venv by itself. `make demo` checks real models, `make test` runs all checks and tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The releases that the tests and benchmarks were measured with.
PINS := torch==2.14.1 torchvision==0.29.1 coremltools==9.0 "numpy<2.4"
# A second release of coremltools, beside the first, for tests that compare the two.
NEXT_COREMLTOOLS := 9.1.dev1

.PHONY: demo test types unit bench docs venv clean
.DEFAULT_GOAL := test

venv: $(READY)

$(READY): pyproject.toml Makefile
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PINS)
	$(BIN)/python -m pip install --quiet $(PINS) --editable ".[dev]"
	rm -rf $(VENV)/coremltools-$(NEXT_COREMLTOOLS)
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/coremltools-$(NEXT_COREMLTOOLS) \
	    coremltools==$(NEXT_COREMLTOOLS)
	touch $@

# Exit code 1 says that the second model does not convert, which is what it shows.
demo: $(READY)
	$(BIN)/convlint check torchvision.models:resnet50 --input 1x3x224x224
	$(BIN)/convlint check torchvision.models:swin_t --input 1x3x224x224 --frontend export || test $$? -eq 1

# Types are checked beside the tests; what is wrong in either fails the whole.
test: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --jobs=2 types unit

types: $(READY)
	$(BIN)/mypy

# The tests start many Pythons, which would each compile convlint anew.
unit: export PYTHONDONTWRITEBYTECODE =
unit: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# The pages of the rules, from the rule files. The tests say when they are stale.
docs: $(READY)
	$(BIN)/python -m convlint.docs

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
