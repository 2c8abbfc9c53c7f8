"""What specs declare beyond shapes and dtypes, laid over the ports of a captured graph."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from convlint.interface.images import Image
from convlint.interface.inputs import InputSpec
from convlint.interface.outputs import OutputSpec, place_outputs
from convlint.model import Graph, Port


def declare(graph: Graph, specs: Sequence[InputSpec], outputs: Sequence[OutputSpec] = ()) -> Graph:
    """``graph`` with flexible sizes and pictures noted at its inputs, and pictures at its outputs.

    A :class:`~convlint.errors.UsageError` where an output spec names none of the outputs.
    """
    if outputs:
        graph = replace(graph, outputs=_with_pictures(graph.outputs, outputs))
    if not any(spec.flexible or spec.image for spec in specs):
        return graph
    of = spec_by_port(graph, specs)
    return replace(graph, inputs=tuple(_declared(port, of.get(port.name)) for port in graph.inputs))


def _with_pictures(ports: Sequence[Port], specs: Sequence[OutputSpec]) -> tuple[Port, ...]:
    tensors = [index for index, port in enumerate(ports) if port.kind == "tensor"]
    names = [_names(ports[index], position) for position, index in enumerate(tensors)]
    placed = {tensors[position]: spec for position, spec in place_outputs(specs, names).items()}
    return tuple(
        replace(port, image=placed[index].layout or _layout(port)) if index in placed else port
        for index, port in enumerate(ports)
    )


def _names(port: Port, position: int) -> tuple[str, ...]:
    """What an output answers to: its key in the result, its name in the graph, its position."""
    key = ".".join(re.findall(r"\w+", port.path))
    return tuple(filter(None, (key, port.name, str(position))))


def _layout(port: Port) -> str:
    sizes = port.meta.shape if port.meta is not None else ()
    return "gray" if len(sizes) > 1 and sizes[1] == 1 else "rgb"


def spec_by_port(graph: Graph, specs: Sequence[InputSpec]) -> dict[str, InputSpec]:
    """The spec of each tensor input, by the input's name."""
    return spec_by_name([port.name for port in graph.inputs if port.kind != "state"], specs)


def spec_by_name(names: Sequence[str], specs: Sequence[InputSpec]) -> dict[str, InputSpec]:
    """The spec of each of the inputs of a program; none for one that was given beside the specs.

    torch.export puts positional inputs first, wherever they stand among the specs.
    """
    named = {spec.name: spec for spec in specs if spec.name in names}
    positional = [spec for spec in specs if spec.name is None]
    rest = iter([*positional, *(spec for spec in specs if spec.name and spec.name not in named)])
    pairs = ((name, named.get(name) or next(rest, None)) for name in names)
    return {name: spec for name, spec in pairs if spec is not None}


def _declared(port: Port, spec: InputSpec | None) -> Port:
    if spec is None:
        return port
    return replace(
        port,
        flexible="enumerated" if spec.shapes else "range" if any(spec.ranges) else "",
        shape_count=len(spec.shapes) or 1,
        image=spec.image.layout if spec.image else "",
        normalisation=_normalisation(spec.image) if spec.image else "",
    )


def _normalisation(image: Image) -> Literal["", "one scale", "std for each channel"]:
    if not image.normalised:
        return ""
    return "one scale" if image.expressible else "std for each channel"
