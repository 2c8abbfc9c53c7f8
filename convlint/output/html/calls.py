"""The captured calls behind the ops of a picture: what they were given, and the weights that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from convlint.model import Graph, OpCall, TensorArg
from convlint.model.placement import PlacedOp
from convlint.text import count

_CAST = "_cast_fp16"
"""What coremltools adds to the name of an op that computes in float16."""

_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Given:
    """What a call was given: its arguments that are no tensors, and its parameters and buffers."""

    arguments: str = ""
    weights: str = ""


NOTHING = Given()


def given_to(call: OpCall | None) -> Given:
    """The arguments of a call in one line, as they are written in its source or its module."""
    if call is None:
        return NOTHING
    values = [
        f"{name}={_short(value)}"
        for name, value in call.args.items()
        if name in call.given and not any(tensors_in(value))
    ]
    weights = [
        f"{name} {each.meta}"
        for name, value in call.args.items()
        for each in tensors_in(value)
        if each.origin in ("parameter", "buffer")
    ]
    return Given(", ".join(values), ", ".join(weights))


class Calls:
    """Finds the call of the captured graph that an op of a converted program comes from."""

    def __init__(self, graph: Graph | None) -> None:
        calls = graph.calls if graph is not None else ()
        self._by_name = {call.name: call for call in calls}
        self._by_place: dict[tuple[str, str, object], list[OpCall]] = {}
        for call in calls:
            self._by_place.setdefault((call.op, call.module, call.site), []).append(call)

    def of(self, op: PlacedOp) -> OpCall | None:
        """The call, None where the program has this op from a pass or from a changed line."""
        found = self._by_name.get(op.name.removesuffix(_CAST))
        if found is None or found.op != op.op:
            same = self._by_place.get((op.op, op.module, op.site), [])
            found = same[0] if len(same) == 1 else None
        return self._fused(op, found)

    def _fused(self, op: PlacedOp, call: OpCall | None) -> OpCall | None:
        """A convolution with a norm folded into it has the norm's name and the convolution's arguments."""
        if call is None or op.kind in call.op:
            return call
        for value in call.args.values():
            for tensor in tensors_in(value):
                before = self._by_name.get(tensor.call)
                if before is not None and op.kind in before.op:
                    return before
        return call


def tensors_in(value: Any) -> Iterator[TensorArg]:
    """The tensors in an argument, which may be a list of them."""
    if isinstance(value, TensorArg):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_in(item)


def _short(value: Any) -> str:
    if isinstance(value, tuple) and len(str(value)) > _LONGEST:
        return count(len(value), "value")
    text = str(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
