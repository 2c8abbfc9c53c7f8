"""What a converted model takes and gives: ``ct.TensorType`` and ``ct.ImageType`` as they were declared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from convlint.capture.declared import spec_by_port
from convlint.interface.inputs import InputSpec
from convlint.model import Graph, Port

_DTYPES = {
    "int64": "int32", "int32": "int32", "int16": "int32", "bool": "bool_", "float16": "float16",
}  # fmt: skip
"""What coremltools itself makes of the dtypes of inputs; all others are float32."""


def interface_types(graph: Graph | None, specs: Sequence[InputSpec]) -> tuple[Any, ...]:
    """The types of all inputs of an exported program, or none where all are as the program says."""
    if graph is None or not any(spec.flexible or spec.image for spec in specs):
        return ()
    of = spec_by_port(graph, specs)
    return tuple(
        interface_type(of.get(port.name) or InputSpec(port.name, _fixed(port), port.meta.dtype))
        for port in graph.inputs
        if port.kind != "state" and port.meta is not None
    )


def output_types(graph: Graph | None) -> tuple[Any, ...]:
    """The types of all outputs where one is to be a picture, or none. Names are left to the program."""
    import coremltools as ct

    if graph is None or not any(port.image for port in graph.outputs):
        return ()
    layouts = {**_layouts(), "gray16": ct.colorlayout.GRAYSCALE_FLOAT16}
    return tuple(
        ct.ImageType(color_layout=layouts[port.image]) if port.image else ct.TensorType()
        for port in graph.outputs
        if port.kind == "tensor"
    )


def interface_type(spec: InputSpec) -> Any:
    """One input as coremltools is told of it. Its name is left to the program."""
    import coremltools as ct
    import numpy as np

    shape = _shape(spec)
    if spec.image is None:
        return ct.TensorType(shape=shape, dtype=getattr(np, _DTYPES.get(spec.dtype, "float32")))
    scale, bias = spec.image.scale_and_bias()
    return ct.ImageType(
        shape=shape,
        scale=scale,
        bias=bias[0] if spec.image.layout == "gray" else list(bias),
        color_layout=_layouts()[spec.image.layout],
    )


def _layouts() -> dict[str, Any]:
    import coremltools as ct

    return {"rgb": ct.colorlayout.RGB, "bgr": ct.colorlayout.BGR, "gray": ct.colorlayout.GRAYSCALE}


def _fixed(port: Port) -> tuple[int, ...]:
    """The sizes of an input that no spec describes, which are never flexible."""
    assert port.meta is not None
    return tuple(size for size in port.meta.shape if isinstance(size, int))


def _shape(spec: InputSpec) -> Any:
    import coremltools as ct

    if spec.shapes:
        return ct.EnumeratedShapes([list(shape) for shape in spec.shapes], default=list(spec.shapes[0]))
    if not any(spec.ranges):
        return spec.shape or (1,)
    pairs = zip(spec.shape, spec.ranges, strict=True)
    return ct.Shape(
        [ct.RangeDim(each.low, each.high, default=size) if each else size for size, each in pairs]
    )
