"""Runs coremltools' own tests of its MIL ops through convlint's executor and counts what is equal.

The tests, which coremltools ships, build programs with inputs and expected outputs and compare with Core ML
on macOS. Here ``run_compare_builder`` is replaced within this process: the program is run by
``convlint.mil``, as it was built and, with ``--convert``, as it leaves coremltools' passes. Each constant
that coremltools folds on the way (``value_inference``) is a case too.

    python -m benchmarks.mil_conformance --out FILE [--sample 0.1] [--seconds 500] [--convert] [-k NAME]
    python -m benchmarks.mil_conformance --table FILE

A run that ended early is taken up again by the same command.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import warnings
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

TESTS = "coremltools.converters.mil.mil.ops.tests"


class Recorder:
    """Writes one line a case; knows which tests are done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = set()
        if path.exists():
            self.done = {json.loads(line)["test"] for line in path.read_text().splitlines()}
        self.test = ""
        self.lines: list[dict[str, Any]] = []

    def add(self, kind: str, ops: list[str], status: str, detail: str = "") -> None:
        self.lines.append(
            {"test": self.test, "kind": kind, "ops": ops, "status": status, "detail": detail[:300]}
        )

    def finish(self) -> None:
        self.lines = self.lines or [
            {"test": self.test, "kind": "none", "ops": [], "status": "none", "detail": ""}
        ]
        with self.path.open("a") as out:
            out.writelines(json.dumps(line) + "\n" for line in self.lines)
        self.lines = []


class Plugin:
    """Chooses the tests that are still to run, and ends when the time is over."""

    def __init__(self, recorder: Recorder, sample: float, seconds: float) -> None:
        self.recorder = recorder
        self.sample = sample
        self.end = time.monotonic() + seconds

    def pytest_collection_modifyitems(self, config: Any, items: list[Any]) -> None:
        chosen = [
            item
            for item in items
            if item.nodeid not in self.recorder.done
            and zlib.crc32(item.nodeid.encode()) % 10_000 < self.sample * 10_000
        ]
        print(f"{len(items)} tests, {len(self.recorder.done)} done, {len(chosen)} to run", flush=True)
        items[:] = chosen

    def pytest_runtest_setup(self, item: Any) -> None:
        self.recorder.test = item.nodeid

    def pytest_runtest_teardown(self, item: Any) -> None:
        self.recorder.finish()
        if time.monotonic() > self.end:
            item.session.shouldstop = "time is over; run the same command again to go on"


def op_types(program: Any) -> list[str]:
    from convlint.coremltools_adapter import operations

    return sorted({operation.op_type for operation in operations(program)})


def holds_half(program: Any) -> bool:
    """Whether any value of a program is float16: such cases are compared as loosely as that is."""
    from convlint.coremltools_adapter import value_type

    function = program.functions["main"]
    made = [variable for operation in function.operations for variable in operation.outputs]
    return any(value_type(variable)[0] == "fp16" for variable in [*function.inputs.values(), *made])


def judge(found: Any, expected: Any, atol: float, rtol: float) -> str:
    """Empty where both agree, else how they differ."""
    import numpy as np

    if isinstance(expected, dict) or isinstance(found, (str, dict)):
        if isinstance(found, dict):
            near = found.keys() == expected.keys() and all(
                abs(found[key] - expected[key]) <= 1e-3 for key in found
            )
            return "" if near else f"{found} instead of {expected}"
        return "" if found == expected else f"{found!r} instead of {expected!r}"
    left, right = np.asarray(found), np.asarray(expected)
    if left.size == right.size == 1:
        left, right = left.reshape(()), right.reshape(())
    if left.shape != right.shape:
        return f"shape {left.shape} instead of {right.shape}"
    left, right = left.astype(np.float64), right.astype(np.float64)
    if np.allclose(left, right, atol=atol, rtol=rtol, equal_nan=True):
        return ""
    with np.errstate(invalid="ignore"):
        error, scale = np.nanmax(np.abs(left - right)), np.nanmax(np.abs(right))
        return f"differs by {error:.3g} where values reach {scale:.3g}"


def execute(
    recorder: Recorder,
    kind: str,
    program: Any,
    inputs: dict[str, Any],
    expected: list[list[Any]],
    atol: float,
    rtol: float,
) -> None:
    """Run a program once for each set of expected outputs, with states kept, and record."""
    from convlint import mil

    ops = op_types(program)
    state: dict[str, Any] = {}
    try:
        for wanted in expected:
            outputs = list(mil.run(program, inputs, state=state).values())
            for value, right in zip(outputs, wanted, strict=True):
                difference = judge(value, right, atol, rtol)
                if difference:
                    recorder.add(kind, ops, "different", difference)
                    return
    except mil.UnsupportedOperation as error:
        recorder.add(kind, ops, "unsupported", str(error))
    except Exception as error:
        # The tests of validated indices expect Core ML to stop, as the executor does.
        refused = isinstance(error, mil.ExecutionError) and "asked to validate" in str(error)
        recorder.add(kind, ops, "refused" if refused else "failed", f"{type(error).__name__}: {error}")
    else:
        recorder.add(kind, ops, "equal")


def replace_builder(recorder: Recorder, convert: bool) -> None:
    """Put our run in the place of ``run_compare_builder``, before any test module takes it from there."""
    from coremltools.converters.mil import mil
    from coremltools.converters.mil.mil import Function
    from coremltools.converters.mil.mil.ops.tests import testing_utils

    original = testing_utils.run_compare_builder

    def program_of(build: Any, placeholders: Any, target: Any) -> Any:
        program = mil.Program()
        with Function(placeholders, opset_version=target) as function:
            outputs = build(**function.inputs)
            outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
            function.set_outputs(outputs)
            program.add_function("main", function)
        return program

    def run_compare_builder(
        build: Any,
        input_placeholders: Any,
        input_values: Any = None,
        expected_output_types: Any = None,
        expected_outputs: Any = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        backend = kwargs.get("backend")
        program = program_of(build, input_placeholders, backend.opset_version)
        if kwargs.get("frontend_only") or expected_outputs is None:
            return SimpleNamespace(_mil_program=program)
        wanted = expected_outputs if isinstance(expected_outputs, list) else [expected_outputs]
        rounds = wanted if kwargs.get("pred_iters") else [wanted]
        half = holds_half(program)
        atol, rtol = kwargs.get("atol", 1e-4), kwargs.get("rtol", 1e-5)
        if half:
            atol, rtol = max(atol, 1e-2), max(rtol, 5e-3)
        inputs = dict(input_values or {})
        execute(recorder, "as built", program, inputs, rounds, atol, rtol)
        if not convert:
            return SimpleNamespace(_mil_program=program)
        options = {
            "expected_outputs": None,
            "frontend_only": True,
            **{
                k: kwargs[k]
                for k in kwargs
                if k in ("backend", "inputs", "converter", "pass_pipeline", "compute_unit")
            },
        }
        options["expected_outputs"] = expected_outputs
        model = original(build, input_placeholders, input_values, expected_output_types, **options)
        loose = (max(atol * 100, 0.5), max(rtol * 100, 5e-2))  # coremltools' own for float16
        execute(recorder, "converted", model, inputs, rounds, *loose)
        return model

    testing_utils.run_compare_builder = run_compare_builder


def watch_folding(recorder: Recorder) -> None:
    """Check every constant that coremltools computes by itself against the executor."""
    import numpy as np
    import torch
    from coremltools.converters.mil.mil import Operation

    from convlint.coremltools_adapter import value_type
    from convlint.mil.dtypes import carrier, numpy_of, tensor_of
    from convlint.mil.executor import Machine
    from convlint.mil.failures import UnsupportedOperation
    from convlint.mil.plan import _step

    original = Operation.type_value_inference

    def type_value_inference(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = original(self, *args, **kwargs)
        if self.op_type in ("const", "_const_symbolic", "shape", "cond") or self.op_type.startswith("random"):
            return found
        inputs = self.get_flattened_inputs()
        if not self.outputs or any(getattr(v, "val", None) is None for v in (*inputs, *self.outputs)):
            return found
        machine = Machine(None, None, {})
        try:
            with torch.inference_mode():
                for variable in inputs:
                    kind = carrier(value_type(variable)[0])
                    if kind is not None and not isinstance(variable.val, (str, list)):
                        machine.values[variable] = kind.settle(tensor_of(np.array(variable.val), kind))
                    else:
                        machine.values[variable] = variable.val
                machine.take(_step(self, (), None))
            for variable in self.outputs:
                dtype = value_type(variable)[0]
                value = machine.values[variable]
                half = dtype == "fp16"
                difference = judge(
                    numpy_of(value, dtype), variable.val, 1e-2 if half else 1e-4, 5e-3 if half else 1e-4
                )
                if difference:
                    recorder.add("folded", [self.op_type], "different", difference)
                    return found
        except UnsupportedOperation as error:
            recorder.add("folded", [self.op_type], "unsupported", str(error))
        except Exception as error:
            recorder.add("folded", [self.op_type], "failed", f"{type(error).__name__}: {error}")
        else:
            recorder.add("folded", [self.op_type], "equal")
        return found

    Operation.type_value_inference = type_value_inference


def run(options: argparse.Namespace) -> int:
    os.environ["PYMIL_TEST_TARGETS"] = "mlprogram"
    os.environ["RUN_BACKWARD_COMPATIBILITY"] = "1"
    import pytest

    warnings.simplefilter("ignore")
    recorder = Recorder(options.out)
    replace_builder(recorder, options.convert)
    watch_folding(recorder)
    arguments = ["--pyargs", *(options.tests or [TESTS]), "-q", "--no-header", "--tb=no", "-r", "E"]
    arguments.append("--continue-on-collection-errors")
    arguments += [f"-pno:{plugin}" for plugin in ("cacheprovider", "xdist", "warnings", "timeout")]
    arguments += ["-c", os.devnull, "--show-capture=no"]
    if options.k:
        arguments += ["-k", options.k]
    return int(pytest.main(arguments, plugins=[Plugin(recorder, options.sample, options.seconds)]))


def table(path: Path) -> None:
    """Cases by kind and op: the op that a case is about is the rarest of its ops."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    cases = [line for line in lines if line["status"] != "none"]
    often = Counter(op for case in cases for op in case["ops"])
    print(f"{len({line['test'] for line in lines})} tests, {len(cases)} cases")
    for kind in sorted({case["kind"] for case in cases}):
        of_kind = [case for case in cases if case["kind"] == kind]
        total = Counter(case["status"] for case in of_kind)
        print(f"\n{kind}: {len(of_kind)} cases, " + ", ".join(f"{n} {s}" for s, n in total.most_common()))
        by_op: dict[str, Counter[str]] = defaultdict(Counter)
        details: dict[str, Counter[str]] = defaultdict(Counter)
        for case in of_kind:
            op = min(case["ops"] or ["none"], key=lambda name: often[name])
            by_op[op][case["status"]] += 1
            if case["status"] != "equal":
                details[op][f"{case['test'].split('::', 1)[-1]}: {case['detail']}"] += 1
        for op, counts in sorted(by_op.items()):
            print(f"  {op:40} {counts.total():6} cases {counts['equal']:6} equal", end="")
            print("".join(f" {n} {s}" for s, n in counts.items() if s != "equal"))
            for text, _ in details[op].most_common(3):
                print(f"      {text[:230]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--sample", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument("--convert", action="store_true")
    parser.add_argument("-k", default="")
    parser.add_argument("--tests", action="append", help=f"a test module instead of all of {TESTS}")
    options = parser.parse_args()
    if options.table:
        table(options.table)
        return 0
    if options.out is None:
        parser.error("--out or --table is needed")
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
