"""Every private API of coremltools that convlint uses, and nothing else.

When a release moves one of them, this is the file to change. Each function imports coremltools
itself, so that importing this module costs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partialmethod
from types import SimpleNamespace
from typing import Any


def registered_converters() -> tuple[str, ...]:
    """The names of all torch ops that the installed coremltools has a converter for, sorted."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return tuple(sorted(_TORCH_OPS_REGISTRY.name_to_func_mapping))


def converter_name_of(kind: str) -> str:
    """The name under which the installed coremltools looks for a converter of, say, ``aten::add.Tensor``."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    return str(sanitize_op_kind(kind))


def converter_for(kind: str) -> Callable[..., Any] | None:
    """The function that converts ops of this name, None where the installed coremltools has none."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    function: Callable[..., Any] | None = _TORCH_OPS_REGISTRY.get_func(kind)
    return function


def is_registered(kind: str) -> bool:
    """Whether the export frontend, which does not strip the underscore of in-place names, knows this name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return kind in _TORCH_OPS_REGISTRY.name_to_func_mapping


def register_converter(kind: str, function: Callable[..., Any]) -> None:
    """Put ``function`` in the place of the converter of ``kind``, in-place names included."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    for name in {kind, _looked_up(kind)}:
        _TORCH_OPS_REGISTRY.set_func_by_name(function, name)


def unregister_converter(kind: str) -> None:
    """Take back a name that coremltools itself does not register."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    for name in {kind, _looked_up(kind)}:
        _TORCH_OPS_REGISTRY.name_to_func_mapping.pop(name, None)


def converter_table() -> dict[str, Callable[..., Any]]:
    """A copy of the table of converters, by name."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    return dict(_TORCH_OPS_REGISTRY.name_to_func_mapping)


def set_converter_table(table: Mapping[str, Callable[..., Any]]) -> None:
    """Make ``table`` the table of converters; the table itself stays the same object."""
    from coremltools.converters.mil.frontend.torch.torch_op_registry import _TORCH_OPS_REGISTRY

    _TORCH_OPS_REGISTRY.name_to_func_mapping.clear()
    _TORCH_OPS_REGISTRY.name_to_func_mapping.update(table)


def foreign_converters() -> frozenset[str]:
    """The names whose converters are not coremltools' own: registered, or overridden, by somebody else."""
    return frozenset(name for name, function in converter_table().items() if is_foreign(function))


def is_foreign(function: Callable[..., Any]) -> bool:
    """Whether a converter is not coremltools' own."""
    return (getattr(function, "__module__", None) or "").partition(".")[0] != "coremltools"


def _looked_up(kind: str) -> str:
    """The name that a lookup of ``kind`` ends at: ``__or__`` is looked up as ``or``, ``add_`` as ``add``."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind, unify_inplace_and_functional

    return str(unify_inplace_and_functional(sanitize_op_kind(kind)))


def export_kind(node: Any) -> str:
    """The name under which the export frontend looks for the converter of an fx node."""
    from coremltools.converters.mil.frontend.torch.utils import sanitize_op_kind

    target = node.target
    if hasattr(target, "name") and callable(target.name):
        name = target.name()
    else:
        name = getattr(target, "__name__", None) or str(target)
    return str(sanitize_op_kind(name))


@contextmanager
def node_reader(read: Callable[[Any, Callable[[], Any]], Any]) -> Iterator[None]:
    """While open, ``read(raw_node, original)`` makes coremltools' internal node of each graph node."""
    from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode

    names = ("from_exir_node", "from_torchscript_node")
    originals = {name: InternalTorchIRNode.__dict__[name] for name in names}

    def wrapped(name: str) -> Any:
        original = originals[name].__func__

        def from_node(cls: Any, node: Any, *args: Any, **kwargs: Any) -> Any:
            return read(node, lambda: original(cls, node, *args, **kwargs))

        return classmethod(from_node)

    for name in names:
        setattr(InternalTorchIRNode, name, wrapped(name))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(InternalTorchIRNode, name, original)


@contextmanager
def transcription(note: Callable[[str, Any], None]) -> Iterator[None]:
    """While open, ``note`` hears of every PyTorch value by its name, with the MIL variables it became."""
    from coremltools.converters.mil.frontend.torch.converter import TranscriptionContext

    original = TranscriptionContext.add

    def add(self: Any, ssa_var: Any, torch_name: str | None = None, override: bool = False) -> None:
        original(self, ssa_var, torch_name, override)
        note(ssa_var.name if torch_name is None else torch_name, ssa_var)

    TranscriptionContext.add = add
    try:
        yield
    finally:
        TranscriptionContext.add = original


def torchscript_graph(traced: Any) -> tuple[Any, dict[str, Any]]:
    """The graph that coremltools reads of a traced module, and its weights by the names they have there."""
    from coremltools.converters.mil.frontend.torch.torchscript_utils import _expand_and_optimize_ir

    graph, parameters, _ = _expand_and_optimize_ir(traced)
    return graph, parameters


def internal_node(kind: str, name: str, inputs: list[str], meta: dict[str, Any]) -> Any:
    """A node of coremltools' internal graph."""
    from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode

    return InternalTorchIRNode(kind=kind, name=name, inputs=inputs, outputs=[name], meta=meta)


def stand_in(shape: tuple[int, ...], dtype: str, name: str, known: bool) -> Any:
    """A MIL variable of this shape and dtype that took no memory; ``known`` if its value may be folded.

    Its value is zero without strides; hiding it makes converters treat it as computed.
    """
    import numpy as np
    from coremltools.converters.mil.mil import Builder as mb

    if dtype.startswith("complex"):
        parts = [stand_in(shape, "float32", f"{name}_{part}", known) for part in ("real", "imag")]
        return mb.complex(real_data=parts[0], imag_data=parts[1], name=name)
    if dtype == "bool":
        kind: Any = np.bool_
    elif dtype.startswith(("int", "uint")):
        kind = np.int32
    else:
        kind = np.float16 if dtype == "float16" else np.float32
    variable = mb.const(val=np.broadcast_to(np.zeros((), kind), shape), name=name)
    if not known:
        variable._sym_val = None
    return variable


def stack_text(variable: Any) -> str:
    """The stack trace that the export frontend noted for the op that made a MIL variable.

    Passes hand it on to the operations that they make; of several that became one, it is the last.
    """
    from coremltools.converters.mil.mil.scope import ScopeSource

    operation = getattr(variable, "op", variable)
    texts = operation.scopes.get(ScopeSource.EXIR_STACK_TRACE) or [None]
    return texts[-1] or ""


def origin_of_error(error: BaseException) -> str:
    """:func:`stack_text` of the operation that a pass was at when it raised; empty where none is in sight.

    Passes name no operation in what they raise, and hold it in a local variable.
    """
    from coremltools.converters.mil.mil import Operation

    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    for frame in reversed(frames):
        for value in frame.f_locals.values():
            if isinstance(value, Operation) and value.op_type != "const" and (found := stack_text(value)):
                return found
    return ""


def operations(program: Any) -> Iterator[Any]:
    """Every operation of a MIL program, those in nested blocks too, constants left out."""

    def block_operations(block: Any) -> Iterator[Any]:
        for operation in block.operations:
            for inner in operation.blocks:
                yield from block_operations(inner)
            if operation.op_type != "const":
                yield operation

    for function in program.functions.values():
        yield from block_operations(function)


def check_program(program: Any) -> None:
    """The checks that the mlprogram backend makes before it writes anything; raises as it does."""
    program._check_early_error_out_for_invalid_program()


def backend_pipeline() -> Any:
    """The passes that run after the default ones when the target is an ML Program."""
    import coremltools as ct

    return ct.PassPipeline.get_pipeline("backend_mlprogram")


def complex_pipeline() -> Any:
    """The one pass without which programs with complex numbers cannot be run; it keeps the variables."""
    import coremltools as ct

    return ct.PassPipeline(["common::lower_complex_dialect_ops"], "complex")


@contextmanager
def light_casts() -> Iterator[None]:
    """While open, the cast to float16 looks at the numbers in memory of a constant that is a view of few.

    A weightless conversion would copy all weights, and compare each of them with the largest number of
    float16, only to say their dtype.
    """
    import numpy as np
    from coremltools.converters.mil.mil.ops.defs.iOS15.elementwise_unary import cast
    from coremltools.converters.mil.mil.passes.defs.quantization import FP16ComputePrecision
    from numpy.lib.stride_tricks import as_strided

    def block_of(value: Any) -> Any:
        """The numbers in memory that an array is a view of, where these are fewer than its elements."""
        if not isinstance(value, np.ndarray) or value.size < 2 or min(value.strides) < 0:
            return None
        reach = sum((size - 1) * stride for size, stride in zip(value.shape, value.strides, strict=True))
        count = reach // value.itemsize + 1
        return None if count >= value.size else as_strided(value, (count,), (value.itemsize,))

    cast_value, overflows = cast.__dict__["get_cast_value"], FP16ComputePrecision.fp16_overflow

    def get_cast_value(cls: Any, input_var: Any, dtype_val: Any) -> Any:
        value = input_var.val
        block = block_of(value)
        if block is None:
            return cast_value.__func__(cls, input_var, dtype_val)
        made = np.asarray(cast_value.__func__(cls, SimpleNamespace(val=block, sym_val=block), dtype_val))
        strides = tuple(stride // value.itemsize * made.itemsize for stride in value.strides)
        return as_strided(made, value.shape, strides)

    def fp16_overflow(operation: Any) -> bool:
        constants = [
            variable.op.val
            for variable in operation.get_flattened_inputs()
            if variable is not None and variable.op is not None and variable.op.op_type == "const"
        ]
        blocks = [block_of(constant.val) for constant in constants]
        if not any(block is not None for block in blocks):
            return bool(overflows(operation))
        numbers = [
            np.asarray(each.val) if block is None else block
            for each, block in zip(constants, blocks, strict=True)
        ]
        sizes = [np.abs(value) for value in numbers if value.dtype == np.float32]
        return any(bool((size[size < 1e38] > 65504).any()) for size in sizes)

    cast.get_cast_value = classmethod(get_cast_value)
    FP16ComputePrecision.fp16_overflow = staticmethod(fp16_overflow)
    try:
        yield
    finally:
        cast.get_cast_value = cast_value
        FP16ComputePrecision.fp16_overflow = staticmethod(overflows)


@contextmanager
def without_bars() -> Iterator[None]:
    """While open, coremltools draws no progress bars: it hands tqdm no switch of its own."""
    import tqdm

    original = tqdm.tqdm.__init__
    tqdm.tqdm.__init__ = partialmethod(original, disable=True)
    try:
        yield
    finally:
        tqdm.tqdm.__init__ = original


def apply_pipeline(program: Any, pipeline: Any) -> None:
    """Run a pass pipeline over a MIL program, in place."""
    from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipelineManager

    PassPipelineManager.apply_pipeline(program, pipeline)


def apply_passes(program: Any, pipeline: Any) -> None:
    """:func:`apply_pipeline` in half of its time: the program is looked over once, at the end.

    coremltools looks it over after each pass, and spells the whole of it out for a log that nobody reads.
    """
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    pipeline.validate()
    for name in pipeline.passes:
        graph_pass = PASS_REGISTRY[name]
        graph_pass.set_options(pipeline.get_options(name))
        graph_pass(program)
    program.validate()


def accepted_counts(kind: str, frontend: str, most: int) -> tuple[int, ...]:
    """How many inputs, up to ``most``, the converter of ``kind`` takes before it looks at any of them.

    Found by asking: the converter is called with so many absent inputs, and either complains of
    their number or goes on to something else.
    """
    import re

    from coremltools.converters.mil.frontend.torch.converter import TranscriptionContext
    from coremltools.converters.mil.frontend.torch.internal_graph import InternalTorchIRNode
    from coremltools.converters.mil.frontend.torch.utils import TorchFrontend
    from coremltools.converters.mil.mil import Function

    function = converter_for(kind)
    through = TorchFrontend.TORCHEXPORT if frontend == "export" else TorchFrontend.TORCHSCRIPT
    accepted = []
    for count in range(most + 1):
        node = InternalTorchIRNode(kind=kind, inputs=[None] * count, outputs=["out"], name="out", meta={})
        try:
            with Function({}):
                function(TranscriptionContext(frontend=through), node)  # type: ignore[misc]
        except Exception as error:  # what it says of absent inputs is not of interest
            if re.search(rf"got {count} input\(s\), expected", str(error)):
                continue
        accepted.append(count)
    return tuple(accepted)


def program_of_model(model: Any) -> Any:
    """The MIL program that a model which was just converted still holds; None for one that was loaded."""
    return model._mil_program


def mil_program(source: Any) -> Any:
    """The MIL program of a Program, an MLModel, or the path of an ``.mlpackage``; TypeError for others.

    A model that was just converted still holds its program; one that was loaded is read back from its
    file with coremltools' own reader.
    """
    import coremltools as ct
    from coremltools.converters.mil.frontend.milproto.load import load
    from coremltools.converters.mil.mil import Program

    if isinstance(source, Program):
        return source
    model = source
    if not isinstance(model, ct.models.MLModel):
        if not isinstance(source, (str, os.PathLike)):
            raise TypeError(f"a {type(source).__name__} is no program, no model and no path")
        if not os.path.exists(source):
            raise FileNotFoundError("there is nothing at this path")
        model = ct.models.MLModel(os.fspath(source), skip_model_load=True)
    if model._mil_program is not None:
        return model._mil_program
    spec = model.get_spec()
    if spec.WhichOneof("Type") != "mlProgram":
        raise TypeError(f"a Core ML model of type {spec.WhichOneof('Type')} holds no MIL program")
    return load(spec, spec.specificationVersion, model.weights_dir)


def value_type(variable: Any) -> tuple[str, tuple[int | None, ...] | None]:
    """Dtype and shape of a MIL variable; None for a size that is symbolic, or for a shape that has no end.

    A list or a dictionary has the dtype "".
    """
    from coremltools.converters.mil.mil import types
    from coremltools.converters.mil.mil.types.symbolic import any_variadic, is_symbolic

    kind = variable.sym_type
    if types.is_state(kind):
        kind = kind.wrapped_type()
    if types.is_tensor(kind):
        name = types.builtin_to_string(kind.get_primitive())
        sizes = kind.get_shape()
        if any_variadic(sizes):
            return str(name), None
        # A negative size is one that type inference did not work out: topk of all elements (k = -1).
        return str(name), tuple(None if is_symbolic(size) or size < 0 else int(size) for size in sizes)
    if types.is_list(kind) or types.is_dict(kind):
        return "", None
    return str(types.builtin_to_string(kind) or ""), ()


def is_variable(value: Any) -> bool:
    """Whether this is a variable of a MIL program."""
    from coremltools.converters.mil.mil import Var

    return isinstance(value, Var)


def is_state(variable: Any) -> bool:
    """Whether a MIL variable is a state, which outlives a prediction."""
    from coremltools.converters.mil.mil import types

    return bool(types.is_state(variable.sym_type))


def is_parameter(operation: Any, name: str) -> bool:
    """Whether an input of a MIL operation must be known when the model is compiled."""
    from coremltools.converters.mil.mil.input_type import TensorInputType

    kind = operation.input_spec.input_types[name]
    return isinstance(kind, TensorInputType) and bool(kind.const)


@contextmanager
def constants_replaced(values: Mapping[Any, Any]) -> Iterator[None]:
    """While open, these constants of a MIL program have other values, of their own shape and dtype."""
    holders = {variable: variable._sym_val for variable in values}
    originals = {variable: holder.val for variable, holder in holders.items()}
    try:
        for variable, value in values.items():
            original = originals[variable]
            holders[variable].val = value.reshape(original.shape).astype(original.dtype)
        yield
    finally:
        for variable, original in originals.items():
            holders[variable].val = original


def quantize_activations(model: Any, config: Any, ranges: Mapping[str, Mapping[str, float]]) -> Any:
    """``linear_quantize_activations`` with ranges that were found elsewhere, as only macOS can predict."""
    from coremltools.optimize.coreml import _post_training_quantization as quantization

    original = quantization._get_activation_calibration_stats
    quantization._get_activation_calibration_stats = lambda *args: {k: dict(v) for k, v in ranges.items()}
    try:
        return quantization.linear_quantize_activations(model, config, [])
    finally:
        quantization._get_activation_calibration_stats = original


def operation_names() -> frozenset[str]:
    """The names of all ops in the op sets of the installed coremltools."""
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    return frozenset(SSAOpRegistry.core_ops)


def check_inputs(inputs: list[Any], target: Any) -> None:
    """The checks of inputs that a conversion to an ML Program makes, and one to MIL leaves out."""
    import coremltools as ct
    from coremltools.converters._converters_entry import _validate_enumerated_shape_inputs
    from coremltools.converters.mil.backend.backend_helper import _validate_image_input_output_shapes

    _validate_enumerated_shape_inputs(inputs, "mlprogram", target)
    for given in inputs:
        if isinstance(given, ct.ImageType):
            _validate_image_input_output_shapes(
                given.color_layout, given.shape.default, given.name, is_input=True
            )


def check_outputs(program: Any, outputs: list[Any]) -> None:
    """The checks of pictures among the outputs, which coremltools makes when it writes the model."""
    import coremltools as ct
    from coremltools.converters.mil.backend.backend_helper import _validate_image_input_output_shapes

    for variable, given in zip(program.functions["main"].outputs, outputs, strict=True):
        if isinstance(given, ct.ImageType):
            shape = value_type(variable)[1] or ()
            sizes = tuple(size if size is not None else -1 for size in shape)
            _validate_image_input_output_shapes(given.color_layout, sizes, variable.name, is_input=False)
