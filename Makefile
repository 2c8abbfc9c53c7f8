# Sets up .venv by itself. `make demo` checks real models, `make test` runs all checks and tests.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# The releases that the tests and benchmarks were measured with.
PINS := torch==2.14.1 torchvision==0.29.1 coremltools==9.0 "numpy<2.4"
# A second release of coremltools, beside the first, for tests that compare the two.
NEXT_COREMLTOOLS := 9.1.dev1

# The oldest and the newest set that is supported, each in an environment of its own: `make lanes`.
OLDEST := torch==2.7.1 torchvision==0.22.1 coremltools==9.0 "numpy<2.4"
NEWEST := torch==2.15.0 coremltools==9.1.dev1 "numpy<2.4"
# Tests whose examples coremltools 9.1 converts.
CONVERTED_SINCE := \
    --deselect tests/trial/test_trial.py::test_every_refused_op_is_found_in_one_pass_with_its_line \
    --deselect tests/trial/test_trial.py::test_torchscript_refusals_have_lines_too \
    --deselect tests/repair/test_fix.py::test_a_rewrite_that_is_wrong_is_taken_back
LANE_TOOLS := "rich>=13.7" "networkx>=3.2" "packaging>=22" "pytest>=8.2" "pytest-timeout>=2.3" "pytest-xdist>=3.6" pillow
LANE_TESTS := tests/project/test_torch_adapter.py tests/capture/test_capture.py tests/trial/test_trial.py tests/repair/test_fix.py \
    tests/numerics/test_parity_judging.py tests/rules/test_match.py

.PHONY: demo test types unit lanes lane-oldest lane-newest bench docs venv clean
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
	$(BIN)/vulture
	$(MAKE) --jobs=2 types unit

types: $(READY)
	$(BIN)/mypy

# The tests start many Pythons, which would each compile convlint anew.
unit: export PYTHONDONTWRITEBYTECODE =
unit: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

# A selection of the tests with the oldest and with the newest releases that are supported.
lanes: lane-oldest lane-newest

lane-oldest: $(VENV)/oldest/.ready
	$(VENV)/oldest/bin/python -m pytest -n 2 --dist worksteal $(LANE_TESTS)

lane-newest: $(VENV)/newest/.ready
	$(VENV)/newest/bin/python -m pytest -n 2 --dist worksteal $(LANE_TESTS) $(CONVERTED_SINCE)

$(VENV)/oldest/.ready: PINS_OF_LANE = $(OLDEST)
$(VENV)/newest/.ready: PINS_OF_LANE = $(NEWEST)
# A machine's own constraints may hold torch back: a lane is about the releases that it names.
$(VENV)/oldest/.ready $(VENV)/newest/.ready: Makefile
	$(PYTHON) -m venv $(@D)
	PIP_CONSTRAINT=/dev/null $(@D)/bin/python -m pip install --quiet $(PINS_OF_LANE) $(LANE_TOOLS)
	touch $@

# The pages of the rules, from the rule files. The tests say when they are stale.
docs: $(READY)
	$(BIN)/python -m convlint.tools.docs

bench: $(READY)
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
