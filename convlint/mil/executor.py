"""The executor: runs a MIL program anywhere, one operation after the other.

Every value has the dtype that the program declares. Arithmetic on float16 is done in float32 and rounded
once for each operation; no Core ML device rounds less.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

import numpy as np
import torch

from convlint import coremltools_adapter as adapter
from convlint.errors import ConvlintError
from convlint.mil.dtypes import Precision, carrier, numpy_of, tensor_of
from convlint.mil.failures import ExecutionError, ShapeMismatch, UnsupportedOperation
from convlint.mil.inputs import check_names, input_tensor
from convlint.mil.plan import Argument, Result, Step, plan_block
from convlint.mil.settling import fitted, limited, without_underflow
from convlint.mil.table import ACCUMULATING
from convlint.text import single_line

Watch = Callable[[Any, tuple[Any, ...]], tuple[Any, ...] | None]
"""Called after each operation with the operation and its values."""


def run(
    program: Any,
    inputs: Mapping[str, Any],
    precision: Precision | None = None,
    *,
    function: str | None = None,
    state: MutableMapping[str, Any] | None = None,
    accumulator_limit: float | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """The outputs of a MIL program by name, as arrays.

    ``program`` is a MIL program (``convert_to="milinternal"``), an ``MLModel``, or the path of an
    ``.mlpackage``. ``precision`` makes all floats float16 or float32; None takes them as the program
    declares them. ``state`` keeps the states from one call to the next: pass the same dictionary, empty
    at first, and find arrays in it. ``accumulator_limit`` makes a sum of products beyond it infinite where
    its result is float16, as 32752 does on the Neural Engine. ``function`` names the function of a program
    that has several. ``watch`` is called after each operation with the operation and its values, and may
    return other values in their place.
    """
    _check_options(precision, accumulator_limit)
    source = load(program)
    name = function or source.default_function_name
    if name not in source.functions:
        raise ExecutionError(
            f"the program has no function {name!r}; it has {', '.join(sorted(source.functions))}."
        )
    chosen = source.functions[name]
    states: MutableMapping[str, Any] = {} if state is None else state
    machine = Machine(precision, accumulator_limit, states, watch)
    with torch.inference_mode():
        outputs = machine.call(chosen, inputs)
    for variable in filter(adapter.is_state, chosen.inputs.values()):
        states[variable.name] = numpy_of(states[variable.name], adapter.value_type(variable)[0])
    return outputs


def _check_options(precision: str | None, accumulator_limit: float | None) -> None:
    if precision not in (None, "float16", "float32"):
        raise ExecutionError(
            f"{precision!r} is not a precision of the executor. Give 'float16' or 'float32', or leave it out"
            " to have each value at the dtype that the program declares."
        )
    if accumulator_limit is not None and not accumulator_limit > 0:
        raise ExecutionError(
            f"an accumulator limit of {accumulator_limit} would make every sum infinite. Give a positive "
            "number; 32752 is what has been measured on the Neural Engine."
        )


def load(source: Any) -> Any:
    """The MIL program of any source that :func:`run` takes."""
    try:
        return adapter.mil_program(source)
    except ConvlintError:
        raise
    except Exception as error:  # coremltools' reader raises whatever its parts raise
        text = single_line(error, 300)
        named = os.fspath(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__
        raise ExecutionError(
            f"{named} cannot be read as a MIL program ({type(error).__name__}: {text}). Give a MIL program, "
            "an MLModel of type mlprogram (coremltools makes one for iOS15 and later), or the path of an "
            ".mlpackage."
        ) from error


class Machine:
    """One run of a program: its options, its states, and the values that are still needed."""

    def __init__(
        self,
        precision: Precision | None,
        accumulator_limit: float | None,
        states: MutableMapping[str, Any],
        watch: Watch | None = None,
    ) -> None:
        self.precision = precision
        self.limit = accumulator_limit
        self.states = states
        self.watch = watch
        self.values: dict[Any, Any] = {}
        self.plans: dict[Any, tuple[Step, ...]] = {}

    def call(self, function: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run a whole function, with arrays as inputs and outputs."""
        declared = {name: var for name, var in function.inputs.items() if not adapter.is_state(var)}
        check_names(inputs, declared)
        for name, variable in declared.items():
            kind = adapter.value_type(variable)
            self.values[variable] = input_tensor(f"input {name!r}", inputs[name], *kind, self.precision)
        for variable in function.inputs.values():
            if adapter.is_state(variable):
                self.values[variable] = variable.name
                self.prepare_state(variable)
        results = self.run_block(function)
        return {
            variable.name: _output_array(value, adapter.value_type(variable)[0])
            for variable, value in zip(function.outputs, results, strict=True)
        }

    def prepare_state(self, variable: Any) -> None:
        """Prepare a state, which starts as zeros where the caller gives none."""
        dtype, shape = adapter.value_type(variable)
        kind = carrier(dtype, self.precision)
        if kind is None or shape is None or None in shape:
            raise UnsupportedOperation(f"state {variable.name!r} has no fixed shape of numbers.")
        value = self.states.get(variable.name)
        if value is None:
            value = torch.zeros([size for size in shape if size is not None], dtype=kind.dtype)
        self.states[variable.name] = input_tensor(
            f"state {variable.name!r}", value, dtype, shape, self.precision
        )

    def run_block(self, block: Any) -> list[Any]:
        """The values of a block's outputs; its other values are dropped after their last use."""
        steps = self.plans.get(block)
        if steps is None:
            steps = self.plans[block] = plan_block(block, self.precision)
        for step in steps:
            self.take(step)
        return [self.value(variable) for variable in block.outputs]

    def take(self, step: Step) -> None:
        operation = step.operation
        try:
            outputs = self.outputs(step)
            values = tuple(
                self.settled(step, result, value) for result, value in zip(step.results, outputs, strict=True)
            )
        except ConvlintError as error:
            if isinstance(error, ShapeMismatch):
                error.operation = operation.name
            if operation.name in str(error):
                raise
            raise type(error)(f"{operation.op_type} {operation.name!r}: {error}") from error
        except Exception as error:  # torch and NumPy raise many kinds
            text = single_line(error, 300)
            raise ExecutionError(
                f"{operation.op_type} {operation.name!r} cannot be executed "
                f"({type(error).__name__}: {text}). "
                "If Core ML can run this program, this is a bug in convlint: report it with the program."
            ) from error
        if self.watch is not None:
            values = self.watch(operation, values) or values
        for result, value in zip(step.results, values, strict=True):
            self.values[result.variable] = value
        for variable in step.last_uses:
            self.values.pop(variable, None)

    def outputs(self, step: Step) -> tuple[Any, ...]:
        kind = step.operation.op_type
        if step.function is not None:
            arguments = {argument.name: self.argument(argument) for argument in step.arguments}
            result = step.function(**arguments)
            return result if isinstance(result, tuple) else (result,)
        special = getattr(self, f"_{kind}", None)
        if special is None:
            raise UnsupportedOperation(
                f"convlint cannot execute the operation {kind}, which is in no op set from iOS15 to iOS18."
            )
        return tuple(special(step.operation))

    def settled(self, step: Step, result: Result, value: Any) -> Any:
        """``value`` as the program declares it."""
        if not isinstance(value, torch.Tensor):
            return value
        if result.carrier is not None:
            narrow = self.limit is not None and result.carrier.dtype is torch.float16
            if narrow and step.operation.op_type in ACCUMULATING:
                value = limited(value, float(self.limit or 0))
            value = result.carrier.settle(value)
        if step.operation.blocks:
            return value
        return fitted(value, result.shape, f"the result of {step.operation.op_type} {step.operation.name!r}")

    def argument(self, argument: Argument) -> Any:
        if isinstance(argument.source, tuple):
            return tuple(self.widened(self.value(variable), argument.widen) for variable in argument.source)
        value = self.value(argument.source)
        if argument.plain and isinstance(value, torch.Tensor):
            return value.tolist()
        return self.widened(value, argument.widen)

    def widened(self, value: Any, widen: bool) -> Any:
        if widen and isinstance(value, torch.Tensor) and value.dtype is torch.float16:
            return value.float()
        return value

    def value(self, variable: Any) -> Any:
        if variable in self.values:
            return self.values[variable]
        return self.constant(variable)

    def constant(self, variable: Any) -> Any:
        """The value of a constant, created for each use, because it shares the program's memory."""
        operation = variable.op
        if operation is None or operation.op_type != "const":
            raise ExecutionError(f"the value of {variable.name!r} is not known where it is read.")
        value = variable.val
        dtype, shape = adapter.value_type(variable)
        kind = carrier(dtype, self.precision) if dtype else None
        if kind is None or isinstance(value, (str, list)):
            return value
        declared = tensor_of(np.asarray(value), carrier(dtype) or kind)
        settled = kind.settle(declared)
        if self.precision == "float16":
            settled = without_underflow(declared, settled)
        return settled if shape is None else settled.reshape([int(size) for size in settled.shape])

    def _cond(self, operation: Any) -> list[Any]:
        taken = operation.blocks[0 if bool(self.value(operation.pred)) else 1]
        return self.run_block(taken)

    def _while_loop(self, operation: Any) -> list[Any]:
        condition, body = operation.blocks
        carried = [self.value(variable) for variable in operation.loop_vars]
        while True:
            self.values.update(zip(condition.inputs, carried, strict=True))
            (go_on,) = self.run_block(condition)
            if not bool(go_on):
                return carried
            self.values.update(zip(body.inputs, carried, strict=True))
            carried = self.run_block(body)

    def _read_state(self, operation: Any) -> list[Any]:
        return [self.states[self.value(operation.input)]]

    def _coreml_update_state(self, operation: Any) -> list[Any]:
        value = self.value(operation.value)
        self.states[self.value(operation.state)] = value
        return [value]


def _output_array(value: Any, dtype: str) -> Any:
    return numpy_of(value, dtype) if isinstance(value, torch.Tensor) else value
