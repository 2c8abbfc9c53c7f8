"""What a rule can look at, and the names that conditions and messages may use for each.

The names are data, so that the loader can refuse a rule that asks for something that is never
there. An op has, beside these, every argument of its schema under the schema's own name.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from convlint.coreml.dtypes import COREML_DTYPES, Unusual, coreml_dtypes, with_dtypes
from convlint.coreml.remains import folded_calls
from convlint.coreml.supported import Snapshot
from convlint.coreml.versions import Release, parse_release, parse_target
from convlint.errors import UsageError
from convlint.model import (
    CaptureFailure,
    Frontend,
    Graph,
    OpCall,
    Port,
    Subject,
    SubjectKind,
    TensorArg,
    TrialFailure,
)

COMPONENTS = ("coremltools", "torch", "numpy", "python")
"""What an ``environment`` block can name."""

CONTEXT = (*COMPONENTS, "frontend", "target")
"""The names that every subject has: versions, the frontend, the deployment target."""

CAPTURE_KINDS = (
    "python-number",
    "data-dependent-branch",
    "data-dependent-assertion",
    "data-dependent-shape",
    "data-dependent-index",
    "item-call",
    "numpy-call",
    "tensor-text",
    "unsupported-output",
    "unsupported-python",
    "fake-tensor",
    "no-fake-implementation",
    "shape-error",
    "time-limit",
    "specialised-dimension",
    "tied-dimensions",
    "breaking-size",
    "other-path",
    "frozen-by-trace",
    "owned-name",
    "unknown",
)
TRIAL_STAGES = ("trace", "input", "output", "frontend", "passes", "backend", "process")
"""Where a trial conversion can fail; "trace" is torch.jit.trace, "process" the process, hung or dead."""
KINDS: Mapping[SubjectKind, tuple[str, ...]] = {
    "op": (),
    "capture": CAPTURE_KINDS,
    "input": ("tensor", "constant", "state"),
    "output": ("tensor", "constant", "state", "input-mutation"),
    "model": ("graph",),
    "environment": COMPONENTS,
    "trial": TRIAL_STAGES,
}
"""What a match block may name, by subject; ops are open."""

_OF_CALL = (
    "module",
    "module_type",
    "inputs",
    "outputs",
    "out",
    "given",
    "positional",
    "users",
    "used_outputs",
    "const",
)
_MADE = ("arguments",)
_FLAGS_OF_PORT = (
    "name", "kind", "mutated", "alias_of", "permuted", "used", "const", "same_as", "flexible", "shape_count",
    "image", "normalisation", "readers", "producer", "path", "initial",
)  # fmt: skip
_OF_PORT = (*_FLAGS_OF_PORT, "shape", "dtype", "coreml", "rank", "numel", "unchanged")
_PASSED_ON = frozenset(
    f"aten.{name}.default"
    for name in "alias_copy clone contiguous detach dropout feature_dropout lift_fresh_copy".split()
)
"""Ops that coremltools leaves out: frontend/torch/ops.py, noop."""
_OF_GRAPH = (
    "op_count", "input_count", "output_count", "parameter_count", "parameter_bytes", "enumerated_count",
    "shape_counts", "port_names", "sparse",
)  # fmt: skip
NAMES: Mapping[SubjectKind, tuple[str, ...]] = {
    "op": ("op", "kind", *_MADE, *_OF_CALL, *CONTEXT),
    "capture": ("method", "kind", "error_type", "message", "module", *CONTEXT),
    "input": (*_OF_PORT, *CONTEXT),
    "output": (*_OF_PORT, *CONTEXT),
    "model": (*_OF_GRAPH, *CONTEXT),
    "environment": ("name", "version", "native_error", *CONTEXT),
    "trial": ("op", "error", "error_type", "stage", "module", *CONTEXT),
}
"""The names of each subject."""


_USUAL: Unusual = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Environment:
    """What a model is linted for. A version is None where the package is not there.

    ``supported`` is the snapshot of converters that ``has_converter()`` asks; ``native_error`` is why
    the compiled part of coremltools does not load, empty where it does.
    """

    coremltools: str | None
    torch: str | None
    supported: Snapshot
    numpy: str | None = None
    python: str | None = None
    frontend: Frontend = "export"
    target: str = "iOS17"
    native_error: str = ""

    def release(self, component: str) -> Release | None:
        """The version of one of the :data:`COMPONENTS`; None where it is absent or cannot be read."""
        text = getattr(self, component)
        try:
            return None if text is None else parse_release(text)
        except UsageError:
            return None

    def context(self) -> dict[str, Any]:
        """The names of :data:`CONTEXT` with their values."""
        versions: dict[str, Any] = {component: self.release(component) for component in COMPONENTS}
        return versions | {"frontend": self.frontend, "target": parse_target(self.target)}


def argument_name(name: str) -> str:
    """How a condition spells a schema argument: ``from_``, ``target_``, ``out_`` where the name is taken."""
    return f"{name}_" if keyword.iskeyword(name) or name in NAMES["op"] else name


@dataclass(frozen=True, slots=True)
class Looked:
    """One subject, ready for conditions: the word that patterns are compared with, names and functions.

    ``folded``: an op of which nothing is left in the converted program, so that it runs nowhere.
    """

    subject: Subject
    word: str
    namespace: Mapping[str, Any]
    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    folded: bool = False


def look_at_call(
    call: OpCall,
    environment: Environment,
    context: Mapping[str, Any],
    earlier: Collection[str] | None = None,
    unusual: Unusual = _USUAL,
    folded: bool | None = None,
) -> Looked:
    """An op call as rules see it; ``earlier`` has the names of the tensors before it, where known.

    ``unusual`` has the Core ML dtypes of those that do not keep PyTorch's. Where the graph around it is
    not known, a call of constants counts as ``folded``.
    """
    args = {name: with_dtypes(value, unusual) for name, value in call.args.items()} if unusual else call.args
    namespace = {argument_name(name): value for name, value in args.items()}
    namespace |= {name: getattr(call, name) for name in _OF_CALL}
    namespace |= context
    namespace["op"] = call.op
    namespace["arguments"] = tuple(args.values())
    namespace["kind"] = environment.supported.kind(call.op, environment.frontend)
    supported, frontend = environment.supported, environment.frontend
    count = call.positional if frontend == "export" else len(call.args)
    functions: dict[str, Callable[..., Any]] = {
        "has_converter": lambda: supported.converts(call.op, frontend),
        "accepts_arguments": lambda: supported.accepts(call.op, count, frontend),
        "accepted_arguments": lambda: supported.accepted(call.op, frontend),
    }
    if earlier is not None:
        names = frozenset(earlier) if _has_text(call) else frozenset()
        functions["names_tensor"] = names.__contains__
    folded = call.const if folded is None else folded
    return Looked(Subject("op", call.op, call), call.op, namespace, functions, folded)


def _has_text(call: OpCall) -> bool:
    return any(isinstance(value, str) for value in call.args.values())


def look_at_port(
    kind: Literal["input", "output"],
    port: Port,
    context: Mapping[str, Any],
    unusual: Unusual = _USUAL,
    unchanged: str = "",
) -> Looked:
    """An input or output of the graph as rules see it; one that is no tensor has no shape.

    ``unchanged`` names the input that an output is as soon as the frontend is done. ``same_as`` of the
    port also follows ops that only later passes take away, such as a view of the same shape.
    """
    namespace: dict[str, Any] = {name: getattr(port, name) for name in _FLAGS_OF_PORT}
    namespace |= {"unchanged": unchanged, **context}
    if port.meta is not None:
        sizes = port.meta.shape
        dtype = port.meta.dtype
        coreml = unusual.get((port.name, 0)) or COREML_DTYPES.get(dtype, "")
        namespace |= {"shape": sizes, "dtype": dtype, "coreml": coreml, "rank": len(sizes)}
        numel = 1
        for size in sizes:
            numel = numel * size if isinstance(size, int) else -1
            if numel < 0:
                break
        if numel >= 0:
            namespace["numel"] = numel
    return Looked(Subject(kind, port.name, port), port.kind, namespace)


def look_at_failure(failure: CaptureFailure, context: Mapping[str, Any]) -> Looked:
    """A capture failure as rules see it."""
    names = ("method", "kind", "error_type", "message", "module")
    namespace = {name: getattr(failure, name) for name in names} | dict(context)
    return Looked(Subject("capture", failure.kind, failure), failure.kind, namespace)


def look_at_trial_failure(failure: TrialFailure, context: Mapping[str, Any]) -> Looked:
    """What a trial conversion refused, as rules see it."""
    namespace = {name: getattr(failure, name) for name in ("error", "error_type", "stage", "module")}
    namespace["op"] = failure.op or "the model"
    return Looked(Subject("trial", failure.op, failure), failure.stage, namespace | dict(context))


def look_at_graph(graph: Graph, environment: Environment) -> Iterator[Looked]:
    """Everything in a captured graph that rules look at: the model, its inputs, its ops, its outputs."""
    context = environment.context()
    facts = {
        "op_count": len(graph.tensor_calls),
        "input_count": len(graph.inputs),
        "output_count": len(graph.outputs),
        "parameter_count": graph.parameter_count,
        "parameter_bytes": graph.parameter_bytes,
        "enumerated_count": sum(port.flexible == "enumerated" for port in graph.inputs),
        "port_names": ", ".join(renamed_ports(graph)),
        "sparse": ", ".join(graph.sparse),
        "shape_counts": tuple(sorted({p.shape_count for p in graph.inputs if p.flexible == "enumerated"})),
    }
    functions = {"count_ops": partial(_count, graph)}
    yield Looked(Subject("model"), "graph", facts | context, functions)
    export = environment.frontend == "export"
    release = environment.release("coremltools")
    unusual = coreml_dtypes(graph.calls, release, graph.inputs) if export else _USUAL
    for port in graph.inputs:
        yield look_at_port("input", port, context, unusual)
    names = {port.name for port in graph.inputs}
    folded = folded_calls(graph.calls, ios18=context["target"] >= parse_target("iOS18"))
    for call in graph.calls:
        yield look_at_call(call, environment, context, names, unusual, call.name in folded)
        names.add(call.name)
    unchanged = _unchanged(graph)
    for port in graph.outputs:
        yield look_at_port("output", port, context, unusual, unchanged.get(port.name, ""))


def renamed_ports(graph: Graph) -> Iterator[str]:
    """Ports whose names in Core ML nobody can guess: parts of a structure, one of several, states."""
    tensors = [port for port in graph.outputs if port.kind == "tensor"]
    for port in graph.inputs:
        if port.kind == "state" and "." in port.name:
            yield f"state {port.name.replace('.', '_')} ({port.name})"
        elif port.kind == "tensor" and port.path not in ("", port.name):
            yield f"input {port.name} ({port.path})"
    if len(tensors) > 1:
        for port in tensors:
            yield f"output {port.name} (result{port.path})"


def _unchanged(graph: Graph) -> dict[str, str]:
    """The input that a tensor is, by the tensor's name, where nothing is done to it in between."""
    sources = {port.name: port.name for port in graph.inputs if port.kind == "tensor"}
    for call in graph.calls:
        source = next(iter(call.args.values()), None)
        if call.op in _PASSED_ON and isinstance(source, TensorArg) and source.name in sources:
            sources[call.name] = sources[source.name]
    return sources


def _count(graph: Graph, pattern: object) -> int:
    """How many ops have a name like ``pattern``, those that are computed once and for all left out."""
    return sum(not call.const and fnmatchcase(call.op, str(pattern)) for call in graph.calls)


def look_at_environment(environment: Environment) -> Iterator[Looked]:
    """Each component of the environment as rules see it."""
    context = environment.context()
    for component in COMPONENTS:
        facts = {"name": component, "version": context[component], "native_error": environment.native_error}
        yield Looked(Subject("environment", component), component, facts | context)
