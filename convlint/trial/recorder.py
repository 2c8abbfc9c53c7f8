"""Keep going: every failing node of a conversion in one pass.

coremltools stops at the first op that it cannot convert. Here each converter is wrapped: where one
raises, or none exists, the failure is noted and a stand-in of the shape and dtype that the capture
names takes the op's place, so that the conversion goes on to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.text import single_line
from convlint.torch_adapter import size_hint

STAND_IN = "convlint_stand_in"


@dataclass(slots=True)
class NodeFailure:
    """A node that coremltools refused, in plain picklable data."""

    node: str
    kind: str
    error_type: str
    error: str
    follows: str = ""
    traced: tuple[str, str, str] | None = None
    """Kind, source range and scope of a node of a trace, as torch has them: names are coremltools' own."""


@dataclass(slots=True)
class Recorder:
    """Wraps converters, and keeps what they raise.

    ``report`` hears of each failure at once, ``position`` of each node before it is converted. ``passed``
    are the kinds of which a node was converted.
    """

    report: Callable[[NodeFailure], None]
    position: Callable[[str], None]
    failures: list[NodeFailure] = field(default_factory=list)
    passed: set[str] = field(default_factory=set)
    stood_in: set[str] = field(default_factory=set)

    @contextmanager
    def listening(self, kinds: Iterable[str]) -> Iterator[None]:
        """While open, converters of ``kinds`` and of all registered names are wrapped."""
        names = {*adapter.registered_converters(), *kinds, STAND_IN}
        originals: dict[str, Callable[..., Any] | None] = {}
        for name in names:
            originals[name] = adapter.converter_for(name) if adapter.is_registered(name) else None
            if originals[name] is None and name != STAND_IN and adapter.converter_for(name) is not None:
                originals.pop(name)  # found under another spelling, as in-place names are
                continue
            adapter.register_converter(name, self._wrapped(name, originals[name]))
        try:
            with adapter.node_reader(self._read):
                yield
        finally:
            for name, original in originals.items():
                if original is None:
                    adapter.unregister_converter(name)
                else:
                    adapter.register_converter(name, original)

    def note(
        self,
        node: str,
        kind: str,
        error: BaseException,
        inputs: Iterable[Any] = (),
        whose: str = "",
        traced: tuple[str, str, str] | None = None,
    ) -> None:
        follows = next((name for name in _names(inputs) if name in self.stood_in), "")
        text = whose + single_line(error, 800)
        failure = NodeFailure(node, kind, type(error).__name__, text, follows, traced)
        self.failures.append(failure)
        self.report(failure)

    def _read(self, raw: Any, original: Callable[[], Any]) -> Any:
        try:
            node = original()
        except Exception as error:
            if not hasattr(raw, "all_input_nodes"):
                raise
            kind = adapter.export_kind(raw)
            self.note(raw.name, kind, error)
            return adapter.internal_node(STAND_IN, raw.name, [], dict(raw.meta))
        if node.meta is None:
            node.meta = torchscript_meta(raw)
        return node

    def _wrapped(self, name: str, original: Callable[..., Any] | None) -> Callable[..., Any]:
        def convert(context: Any, node: Any) -> None:
            self.position(node.name)
            if node.kind == STAND_IN:
                self._stand_in(context, node)
                return
            try:
                if original is None:
                    raise NotImplementedError(
                        f"PyTorch convert function for op '{node.kind}' not implemented."
                    )
                with _saying_its_origin(node):
                    original(context, node)
                if adapter.is_foreign(original):
                    _check_result(context, node)
                self.passed.add(str(node.kind))
            except CannotStandIn:  # from a block inside this node
                raise
            except Exception as error:
                whose = "" if original is None else _whose(original, error)
                traced = (node.meta or {}).get("traced")
                self.note(node.name, node.kind, error, node.inputs, whose, traced)
                self._stand_in(context, node)

        convert.__name__ = name
        return convert

    def _stand_in(self, context: Any, node: Any) -> None:
        self.stood_in.update(node.outputs)
        self.stood_in.add(node.name)
        value = (node.meta or {}).get("val")
        if value is None:
            if not node.outputs or not (node.meta or {}).get("needed", True):
                return
            raise CannotStandIn(node.name)
        known = bool((node.meta or {}).get("known"))
        if isinstance(value, (list, tuple)) and len(node.outputs) <= 1:
            parts = [_variable(item, f"{node.name}_{index}", known) for index, item in enumerate(value)]
            context.add(tuple(parts), torch_name=node.name, override=True)
        elif isinstance(value, (list, tuple)):
            for output, item in zip(node.outputs, value, strict=False):
                context.add(_variable(item, output, known), torch_name=output, override=True)
        else:
            context.add(_variable(value, node.name, known), torch_name=node.name, override=True)


APART = "\x1f"


def _saying_its_origin(node: Any) -> AbstractContextManager[None]:
    """While open, the MIL operations of a node of a trace say what it came from; of an export all do."""
    traced = (node.meta or {}).get("traced")
    return nullcontext() if traced is None else adapter.said_origin(APART.join(traced))


def origin_of_traced(text: str) -> tuple[str, str, str]:
    """Kind, source range and scope of the node of a trace that an operation came from."""
    kind, source, scope = text.split(APART)
    return kind, source, scope


class CannotStandIn(Exception):
    """A failing node whose shape nobody knows: the conversion ends there."""


class WrongResult(ValueError):
    """A converter of the user's own that ended, and did not give what its op gives."""


def _check_result(context: Any, node: Any) -> None:
    """Raise where the result of a node is missing, or has another shape than in PyTorch.

    coremltools does not look: what follows would fail, or silently compute with the wrong shape.
    """
    import torch

    value = (node.meta or {}).get("val")
    if not isinstance(value, torch.Tensor):
        return
    try:
        variable = context[node.outputs[0]]
    except (KeyError, ValueError):
        text = "it adds no result; it ends with context.add(result, torch_name=node.name)"
        raise WrongResult(text) from None
    shape = adapter.value_type(variable)[1]
    wanted = tuple(size if isinstance(size, int) else None for size in value.shape)
    if shape is None:
        return
    known = [pair for pair in zip(shape, wanted, strict=False) if None not in pair]
    if len(shape) != len(wanted) or any(one != other for one, other in known):
        raise WrongResult(
            f"its result has the shape {_shape(shape)}, and that of the op in PyTorch is {_shape(wanted)}"
        )


def _shape(sizes: tuple[int | None, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in sizes) or "()"


def _whose(converter: Callable[..., Any], error: Exception) -> str:
    """Where a converter that raised comes from, where it is not coremltools' own."""
    if not adapter.is_foreign(converter):
        return ""
    did = "" if isinstance(error, WrongResult) else " raised"
    return f"your converter {converter.__module__}.{converter.__qualname__}{did}: "


def _variable(value: Any, name: str, known: bool) -> Any:
    import torch

    if isinstance(value, torch.SymInt):
        return adapter.stand_in((), "int32", name, known)
    if not isinstance(value, torch.Tensor):
        return None
    shape = tuple(map(size_hint, value.shape))
    return adapter.stand_in(shape, str(value.dtype).removeprefix("torch."), name, known)


def _names(inputs: Iterable[Any]) -> Iterator[str]:
    for item in inputs:
        if isinstance(item, str):
            yield item
        elif isinstance(item, (list, tuple)):
            yield from _names(item)


def torchscript_meta(raw: Any) -> dict[str, Any]:
    """Shapes of a TorchScript node in the terms of an fx node, and where it comes from."""
    import torch

    values = []
    for output in raw.outputs():
        kind = output.type()
        sizes = kind.sizes() if kind.kind() == "TensorType" else None
        dtype = kind.dtype() if sizes is not None else None
        values.append(
            None if sizes is None or dtype is None else torch.empty(sizes, dtype=dtype, device="meta")
        )
    single = values[0] if len(values) == 1 else values
    return {
        "val": single if any(value is not None for value in values) else None,
        "traced": (raw.kind().replace("::", "."), repr(raw.sourceRange())[1:-1], raw.scopeName()),
    }
