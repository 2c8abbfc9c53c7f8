"""The other frontend: a TorchScript trace, made as a user makes it, and what it lost on the way."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlint.capture.build import borrowed, weight_bytes, zero_weights
from convlint.capture.methods import Attempts, Source, quiet_torch
from convlint.capture.outputs import flat_outputs, outputs_proviso, tensor_leaves
from convlint.capture.owned import refuse_owned_names
from convlint.interface.inputs import InputSpec, spec_of
from convlint.model import CaptureFailure, Proviso
from convlint.sandbox import time_limit, user_code
from convlint.trial.interface import interface_type
from convlint.usercode.sites import definition_of

if TYPE_CHECKING:
    import torch

_FROM_DATA = (
    "data-dependent-branch",
    "data-dependent-assertion",
    "python-number",
    "data-dependent-index",
    "data-dependent-shape",
)

_READS = re.compile(
    r"^(if|elif|while)\b|\b(int|float|bool|len|range|tensor|as_tensor|new_tensor)\(|\.(item|tolist|numpy)\("
)
"""A line that reads a value by itself, and not in a function that it calls."""

WRAPPED = "convlint_wrapped"
"""The name of the model inside the module that takes its nested inputs apart."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A trace, the inputs that it was made with, and how it differs from the model."""

    model: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    provisos: tuple[Proviso, ...] = ()
    warned: frozenset[tuple[str, int]] = frozenset()
    """Where the tracer warned that a tensor became a number; most are sizes, which are fixed anyway."""

    def fixed_sizes(self, failures: Iterable[CaptureFailure]) -> Iterator[Proviso]:
        """What torch.export could not go past and the trace went past by a number of the example's.

        A recorded run has no call that reads the size of a tensor whose size follows from values.
        """
        for failure in failures:
            site = failure.site
            if site is None or failure.kind not in _FROM_DATA or (site.path, site.line) not in self.warned:
                continue
            if "tracing" not in site.source and not site.source.startswith("assert"):
                what = "branch" if re.match(r"(if|elif|while)\b", site.source) else "value"
                text = f"the {what} is that of the example, whatever the input"
                yield Proviso("frozen", text, site, failure.caller, failure.module)

    def fixes(self, read: Proviso) -> bool:
        """Whether the trace fixes what Python was seen to read; a scripted function keeps its branches."""
        line = read.site.source if read.site is not None else ""
        return not _has_branches(self.model.inlined_graph) or bool(_READS.search(line))


def trace_torchscript(source: Source, limit: float | None, memory_limit: int) -> Traced:
    """The model as TorchScript.

    Traced with real random weights where they fit into ``memory_limit`` bytes, else with weights that are
    all one zero in memory.
    """
    attempts = Attempts(source, limit, None, values=False)
    args, kwargs = source.make_inputs()
    with quiet_torch(), time_limit(limit):
        if source.instance is not None:
            module = attempts.with_data(source.instance)
        else:
            from convlint.capture.weightless import build_weightless

            assert source.build is not None
            module = source.to_judge(build_weightless(source.build, memory_limit), weights=False)
            module = zero_weights(module) if weight_bytes(module) > memory_limit else attempts.real()[0]
        with borrowed(module):
            return trace_with_provisos(module, args, kwargs)


def trace_module(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``module`` as TorchScript, its outputs flattened to a tuple of tensors."""
    return trace_with_provisos(module, args, kwargs).model


def trace_with_provisos(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Traced:
    """``module`` as TorchScript, its outputs flattened to a tuple of tensors, with what that changed.

    ``torch.jit.trace`` takes tensors, tuples and dicts of tensors alone, and coremltools takes tensors;
    what a user would wrap by hand (dataclasses, None, caches) is flattened here by a hook, and the hook is
    taken back.
    """
    import torch

    refuse_owned_names(module, "torchscript")
    warned: set[tuple[str, int]] = set()
    nested = any(not isinstance(value, torch.Tensor) for value in (*args, *kwargs.values()))
    if nested:
        traced, odd = _traced(*_with_flat_inputs(module, args, kwargs), {}, module, warned)
    else:
        traced, odd = _traced(module, args, kwargs, module, warned)
    provisos = [_inputs_proviso(module, args, kwargs) if nested else None, outputs_proviso(module, odd)]
    provisos += _lost(traced, module, args, kwargs)
    known = tuple(proviso for proviso in provisos if proviso is not None)
    return Traced(traced, args, kwargs, known, frozenset(warned))


def _traced(
    module: torch.nn.Module,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    of: torch.nn.Module,
    warned: set[tuple[str, int]],
) -> tuple[Any, list[str]]:
    """The trace, and the kinds of outputs that were left out of it; ``warned`` gets where the tracer warned.

    With gradients as in a session of the user's, since layers take other ways without (the fused ones of
    ``nn.TransformerEncoderLayer``, which coremltools does not have); without, where that alone works.
    """
    import torch

    def trace() -> Any:
        return torch.jit.trace(  # type: ignore[no-untyped-call]
            module,
            example_inputs=args if not kwargs else None,
            example_kwarg_inputs=_all_named(module, args, kwargs) if kwargs else None,
            strict=False,
            check_trace=False,
        )

    attached, caught_warnings = _attached(of), warnings.catch_warnings(record=True)
    with flat_outputs(of) as odd, user_code(), attached, caught_warnings as caught:
        warnings.simplefilter("always")
        try:
            with torch.enable_grad():
                traced = trace()
        except Exception:
            with torch.no_grad():
                traced = trace()
    warned |= {(each.filename, each.lineno) for each in caught if each.category.__name__ == "TracerWarning"}
    return traced, odd


@contextmanager
def _attached(module: Any) -> Iterator[None]:
    """A Lightning module with something in the place of its trainer.

    Without one, the tracer, which asks for every attribute, gets an error from that one.
    """
    from convlint.deployment.conventions import LIGHTNING, class_names

    if not set(LIGHTNING) & set(class_names(module)):
        yield
        return
    try:
        module.trainer  # noqa: B018 - raises without one
    except RuntimeError:
        module.trainer = object()
        try:
            yield
        finally:
            module.trainer = None
        return
    yield


def _with_flat_inputs(
    module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[torch.nn.Module, tuple[Any, ...]]:
    """A module that takes the tensors of these inputs one by one, and the tensors."""
    import torch

    from convlint.torch_adapter import pytree

    leaves, spec = pytree.tree_flatten((args, kwargs))

    class Flat(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add_module(WRAPPED, module)

        def forward(self, *tensors: torch.Tensor) -> Any:
            rest = iter(tensors)
            filled = [next(rest) if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
            own_args, own_kwargs = pytree.tree_unflatten(filled, spec)
            return getattr(self, WRAPPED)(*own_args, **own_kwargs)

    flat = Flat()
    flat.training = module.training
    return flat, tuple(leaf for leaf in leaves if isinstance(leaf, torch.Tensor))


def _inputs_proviso(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Proviso | None:
    """That nested inputs are handed over one by one; None where they are none at all."""
    import torch

    kinds = dict.fromkeys(
        type(value).__qualname__
        for value in (*args, *kwargs.values())
        if not isinstance(value, torch.Tensor) and tensor_leaves(value)
    )
    if not kinds:
        return None
    text = f"each input is a tensor by itself, and not in a {' or '.join(kinds)}"
    return Proviso("inputs", text, definition_of(module))


def _lost(
    traced: Any, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[Proviso]:
    """Each input that no output of the trace follows from, though in PyTorch one does."""
    import torch

    from convlint.torch_adapter import pytree

    graph = traced.inlined_graph
    ports = [port for port in graph.inputs() if port.type().kind() == "TensorType"]
    leaves, spec = pytree.tree_flatten((args, kwargs))
    places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    if len(places) != len(ports):
        return
    unread = [place for place, port in zip(places, ports, strict=True) if not port.uses()]
    if not unread:
        return
    before = _run(module, leaves, spec)
    for place in unread:
        tensor = leaves[place]
        changed = ~tensor if tensor.dtype == torch.bool else tensor + 1
        after = _run(module, [*leaves[:place], changed, *leaves[place + 1 :]], spec)
        if before is None or after is None or len(before) != len(after):
            continue
        if any(not _alike(one, other) for one, other in zip(before, after, strict=True)):
            which = places.index(place) + 1
            text = f"input {which} is the example's: the outputs do not follow from it any more"
            yield Proviso("frozen", text, definition_of(module))


def _has_branches(graph: Any) -> bool:
    return any(node.kind() in ("prim::If", "prim::Loop") for node in graph.nodes())


def _run(module: torch.nn.Module, leaves: Sequence[Any], spec: Any) -> list[Any] | None:
    """The tensors that a model returns, None where it does not run."""
    import torch

    from convlint.torch_adapter import pytree

    own = [leaf.clone() if isinstance(leaf, torch.Tensor) else leaf for leaf in leaves]
    args, kwargs = pytree.tree_unflatten(own, spec)
    try:
        with user_code(), torch.no_grad(), torch.random.fork_rng(devices=()), _kept(module):
            torch.manual_seed(0)
            return tensor_leaves(module(*args, **kwargs))
    except Exception:
        return None


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    import torch

    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return bool(torch.equal(torch.nan_to_num(one.to_dense()), torch.nan_to_num(other.to_dense())))


@contextmanager
def _kept(module: torch.nn.Module) -> Iterator[None]:
    """Buffers that ``forward`` changes are as before afterwards."""
    import torch

    copies = [(buffer, buffer.clone()) for buffer in module.buffers() if not buffer.is_meta]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, value in copies:
                if not torch.equal(buffer, value):
                    buffer.copy_(value)


def input_types(
    args: tuple[Any, ...], kwargs: dict[str, Any], specs: Sequence[InputSpec] = ()
) -> tuple[Any, ...]:
    """The type of every tensor input, in the order of the trace; as ``specs`` declare it, where given."""
    import torch

    from convlint.torch_adapter import pytree

    if specs:
        positional = [spec for spec in specs if spec.name is None]
        named = {spec.name: spec for spec in specs if spec.name is not None}
        rest = {name: value for name, value in kwargs.items() if isinstance(value, torch.Tensor)}
        ordered = [*positional, *(named.get(name) or spec_of(value) for name, value in rest.items())]
    else:
        tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        ordered = [spec_of(tensor) for tensor in tensors]
    return tuple(map(interface_type, ordered))


def _all_named(module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    import inspect

    return dict(inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments)
