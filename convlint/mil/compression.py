"""Compressed constants and quantised values: ``constexpr_*``, ``quantize`` and ``dequantize``.

The tests compare with coremltools' reference code for the first (``materialized_val_inference``), which is
too slow to use: it repeats a lookup table for every element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}

Parameter = Tensor | Sequence[int] | float | int


def _along(value: Parameter, data: Tensor, axis: int | None) -> Tensor:
    """A scalar, or a vector shaped to broadcast along ``axis`` of ``data``."""
    tensor = torch.as_tensor(value).float()
    if tensor.dim() == 0 or axis is None:
        return tensor
    sizes = [1] * data.dim()
    sizes[axis] = -1
    return tensor.reshape(sizes)


def quantize(
    input: Tensor,  # noqa: A002 - the name of the parameter in MIL
    scale: Parameter,
    output_dtype: str,
    zero_point: Parameter | None = None,
    axis: int | None = None,
) -> Tensor:
    """``clip(round(input / scale) + zero_point)``, halves to even."""
    low, high = _RANGES[output_dtype]
    quantized = torch.round(input / _along(scale, input, axis))
    if zero_point is not None:
        quantized = quantized + _along(zero_point, input, axis)
    return quantized.clamp(low, high)


def dequantize(
    input: Tensor,  # noqa: A002 - the name of the parameter in MIL
    scale: Parameter,
    zero_point: Parameter | None = None,
    axis: int | None = None,
) -> Tensor:
    """``scale * (input - zero_point)``."""
    shifted = input.float()
    if zero_point is not None:
        shifted = shifted - _along(zero_point, input, axis)
    return shifted * _along(scale, input, axis)


def constexpr_affine_dequantize(
    quantized_data: Tensor, zero_point: Parameter, scale: Parameter, axis: int
) -> Tensor:
    return dequantize(torch.as_tensor(quantized_data), scale, zero_point, axis)


def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    return source_val.float()


def _blockwise(parameter: Tensor, shape: Sequence[int]) -> Tensor:
    """A parameter with one value for each block, repeated over the blocks of ``shape``."""
    for axis, size in enumerate(shape):
        block = size // parameter.shape[axis]
        if block > 1 and parameter.shape[axis] > 1:
            parameter = parameter.repeat_interleave(block, axis)
    return parameter


def constexpr_blockwise_shift_scale(data: Tensor, scale: Tensor, offset: Tensor | None = None) -> Tensor:
    """``scale * (data - offset)``, one scale and offset for each block."""
    data, scale = torch.as_tensor(data), torch.as_tensor(scale)
    shifted = data.float()
    if offset is not None:
        shifted = shifted - _blockwise(torch.as_tensor(offset).float(), data.shape)
    return shifted * _blockwise(scale.float(), data.shape)


def _unpacked(packed: Tensor, bits: int, count: int) -> Tensor:
    """``count`` numbers of ``bits`` bits from bytes, least significant bit first."""
    stream = np.unpackbits(packed.numpy().astype(np.uint8), bitorder="little")[: count * bits]
    weights = 1 << np.arange(bits)
    return torch.from_numpy((stream.reshape(count, bits) * weights).sum(-1))


def _dense_from_table(indices: Tensor, lut: Tensor, vector_axis: int | None) -> Tensor:
    """Look ``indices`` up in ``lut``: its axes are the groups of each axis, the palette, and the vector."""
    groups, palettes, width = lut.shape[:-2], lut.shape[-2], lut.shape[-1]
    group = torch.zeros((), dtype=torch.long)
    for axis, (size, count) in enumerate(zip(indices.shape, groups, strict=True)):
        sizes = [1] * indices.dim()
        sizes[axis] = size
        group = group * count + (torch.arange(size) // (size // count)).reshape(sizes)
    values = lut.reshape(-1, width)[group * palettes + indices.long()]
    if width == 1:
        return values.squeeze(-1)
    axis = (vector_axis or 0) % indices.dim()
    return values.movedim(-1, axis + 1).flatten(axis, axis + 1)


def constexpr_lut_to_dense(
    indices: Tensor,
    lut: Tensor,
    shape: Sequence[int] | Tensor | None = None,
    vector_axis: int | None = None,
) -> Tensor:
    """Decompress palettised weights; with ``shape`` (iOS16) the indices are packed, with one palette."""
    indices, lut = torch.as_tensor(indices), torch.as_tensor(lut)
    if shape is None:
        return _dense_from_table(indices, lut, vector_axis)
    sizes = [int(size) for size in torch.as_tensor(shape).tolist()]
    bits = int(lut.numel()).bit_length() - 1
    return lut[_unpacked(indices, bits, int(np.prod(sizes)))].reshape(sizes)


def constexpr_sparse_to_dense(
    nonzero_data: Tensor, mask: Tensor, shape: Sequence[int] | Tensor | None = None
) -> Tensor:
    """The values where ``mask`` has a bit, else zeros; with ``shape`` (iOS16) the mask is packed."""
    nonzero_data, mask = torch.as_tensor(nonzero_data), torch.as_tensor(mask)
    if shape is not None:
        sizes = [int(size) for size in torch.as_tensor(shape).tolist()]
        mask = _unpacked(mask, 1, int(np.prod(sizes))).reshape(sizes)
    dense = torch.zeros(mask.shape, dtype=nonzero_data.dtype)
    dense[mask != 0] = nonzero_data
    return dense


def constexpr_lut_to_sparse(
    indices_mask: Tensor, indices_nonzero_data: Tensor, lut: Tensor, vector_axis: int | None = None
) -> tuple[Tensor, Tensor]:
    """The mask of the palettised values, stretched for vectors, and the values."""
    mask = torch.as_tensor(indices_mask)
    indices = constexpr_sparse_to_dense(indices_nonzero_data, mask)
    values = _dense_from_table(indices, lut, vector_axis)
    if lut.shape[-1] > 1:
        mask = mask.repeat_interleave(lut.shape[-1], vector_axis or 0)
    return mask, values[mask != 0]


def constexpr_sparse_blockwise_shift_scale(
    data_mask: Tensor, nonzero_data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    mask = torch.as_tensor(data_mask)
    dense = constexpr_blockwise_shift_scale(constexpr_sparse_to_dense(nonzero_data, mask), scale, offset)
    return mask, dense[mask != 0]


OPERATIONS: dict[str, Callable[..., Tensor | tuple[Tensor, Tensor]]] = {
    "constexpr_affine_dequantize": constexpr_affine_dequantize,
    "constexpr_blockwise_shift_scale": constexpr_blockwise_shift_scale,
    "constexpr_cast": constexpr_cast,
    "constexpr_lut_to_dense": constexpr_lut_to_dense,
    "constexpr_lut_to_sparse": constexpr_lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": constexpr_sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": constexpr_sparse_to_dense,
    "dequantize": dequantize,
    "quantize": quantize,
}
