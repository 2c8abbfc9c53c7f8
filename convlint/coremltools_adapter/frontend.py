"""What the frontend makes of nodes: its internal graph, and the variables of the MIL program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
