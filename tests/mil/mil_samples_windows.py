"""Samples of convolution, pooling, normalisation, resizing and compressed constants."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

import numpy as np
import torch
from mil_samples import (
    FLOATS,
    Array,
    Random,
    Sample,
    Sampler,
    chosen_axes,
    numbers,
    one,
    positive,
    shape,
    since,
    yes,
)
from torch.nn import functional as F


def double(x: Array) -> torch.Tensor:
    return torch.tensor(x.astype(np.float64))


def window_starts(size: int, kernel: int, stride: int, low: int, high: int) -> list[int]:
    """Where the windows of one axis begin, floor mode, in places of the unpadded axis."""
    return list(range(-low, size + high - kernel + 1, stride))


def window_pads(r: Random, kind: str, sizes: Any, reach: Any, strides: Any) -> list[tuple[int, int]]:
    """The padding of each axis; ``same`` gives as many outputs as strides fit, rounded up."""
    if kind == "valid":
        return [(0, 0)] * len(sizes)
    if kind == "custom":
        return [(int(a), int(b)) for a, b in r.integers(0, 2, (len(sizes), 2))]
    pads = []
    for size, width, stride in zip(sizes, reach, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + width - size)
        less, more = total // 2, total - total // 2
        pads.append((less, more) if kind == "same" else (more, less))
    return pads


def flat(pads: list[tuple[int, int]]) -> list[int]:
    return [n for pair in pads for n in pair]


def conv(r: Random) -> Sample:
    """Summed window by window, which no kernel of PyTorch does."""
    rank, groups = int(r.integers(1, 4)), int(r.integers(1, 3))
    kernel, strides = [int(n) for n in r.integers(1, 4, rank)], [int(n) for n in r.integers(1, 4, rank)]
    dilations = [int(n) for n in r.integers(1, 3, rank)]
    sizes = [int(n) for n in r.integers(5, 8 if rank < 3 else 6, rank)]
    dtype = one(r, FLOATS)
    x = numbers(r, (2, 2 * groups, *sizes), dtype, 1.0)
    weight = numbers(r, (3 * groups, 2, *kernel), dtype, 1.0)
    kind = one(r, ("valid", "custom", "same", "same_lower") if rank < 3 else ("valid", "custom", "same"))
    target = since(r, "iOS16" if kind == "same_lower" else "iOS15")
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = window_pads(r, kind, sizes, reach, strides)
    whole = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *pads])
    axes = [
        window_starts(size + a + b, width, stride, 0, 0)
        for size, (a, b), width, stride in zip(sizes, pads, reach, strides, strict=True)
    ]
    expected = np.zeros((2, 3 * groups, *map(len, axes)))
    for out in np.ndindex(*map(len, axes)):
        place = tuple(
            slice(starts[i], starts[i] + width, d)
            for starts, i, width, d in zip(axes, out, reach, dilations, strict=True)
        )
        for g in range(groups):
            seen = whole[(slice(None), slice(2 * g, 2 * g + 2), *place)]
            filters = weight[3 * g : 3 * g + 3].astype(np.float64)
            expected[(slice(None), slice(3 * g, 3 * g + 3), *out)] = np.tensordot(
                seen, filters, (range(1, rank + 2), range(1, rank + 2))
            )
    parameters: dict[str, Any] = {
        "weight": weight,
        "strides": strides,
        "dilations": dilations,
        "groups": groups,
        "pad_type": kind,
    }
    if kind == "custom":
        parameters["pad"] = flat(pads)
    if yes(r):
        parameters["bias"] = numbers(r, (3 * groups,), dtype)
        expected += parameters["bias"].astype(np.float64).reshape(1, -1, *[1] * rank)
    return Sample("conv", {"x": x}, parameters, target, [expected])


def conv_transpose(r: Random) -> Sample:
    """Every input spread over its window, then cut by the padding."""
    rank, groups = int(r.integers(1, 4)), int(r.integers(1, 3))
    kernel, strides = [int(n) for n in r.integers(2, 4, rank)], [int(n) for n in r.integers(1, 3, rank)]
    dilations = [int(n) for n in r.integers(1, 3, rank)]
    sizes = [int(n) for n in r.integers(2, 5, rank)]
    x = numbers(r, (2, 2 * groups, *sizes), np.float32, 1.0)
    weight = numbers(r, (2 * groups, 3, *kernel), np.float32, 1.0)
    full = [
        (n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(sizes, strides, kernel, dilations, strict=True)
    ]
    expected = np.zeros((2, 3 * groups, *full))
    for g in range(groups):
        channels = slice(2 * g, 2 * g + 2)
        for at in np.ndindex(*sizes):
            for tap in np.ndindex(*kernel):
                to = tuple(i * s + j * d for i, s, j, d in zip(at, strides, tap, dilations, strict=True))
                spread = (
                    x[(slice(None), channels, *at)].astype(np.float64) @ weight[(channels, slice(None), *tap)]
                )
                expected[(slice(None), slice(3 * g, 3 * g + 3), *to)] += spread
    kind = one(r, ("valid", "custom"))
    parameters: dict[str, Any] = {
        "weight": weight,
        "strides": strides,
        "dilations": dilations,
        "groups": groups,
        "pad_type": kind,
    }
    if kind == "custom":
        pads = [(int(a), int(b)) for a, b in r.integers(0, 2, (rank, 2))]
        parameters["pad"] = flat(pads)
        cut = [slice(a, n - b) for n, (a, b) in zip(full, pads, strict=True)]
        expected = expected[(slice(None), slice(None), *cut)]
    if yes(r):
        parameters["bias"] = numbers(r, (3 * groups,))
        expected = expected + parameters["bias"].reshape(1, -1, *[1] * rank)
    return Sample("conv_transpose", {"x": x}, parameters, since(r, "iOS15"), [expected])


def conv_quantized(r: Random) -> Sample:
    x = numbers(r, (1, 2, 5, 5), np.float32, 1.0)
    weight = r.integers(0, 255, (3, 2, 2, 2)).astype(np.uint8)
    scale, bias = positive(r, (3,)), numbers(r, (3,))
    dense = weight * scale.reshape(3, 1, 1, 1).astype(np.float64) + bias.reshape(3, 1, 1, 1)
    expected = F.conv2d(double(x), double(dense), stride=2).numpy()
    parameters = {
        "weight": weight,
        "quantization_type": "linear",
        "quant_scale": scale,
        "quant_bias": bias,
        "strides": [2, 2],
        "pad_type": "valid",
    }
    return Sample("conv_quantized", {"x": x}, parameters, "iOS15", [expected])


def pool(op: str, r: Random) -> Sample:
    """Window by window; ``ceil_mode`` has its own tests against PyTorch."""
    rank = int(r.integers(1, 3 if op == "l2_pool" else 4))
    kernel, strides = [int(n) for n in r.integers(2, 4, rank)], [int(n) for n in r.integers(1, 4, rank)]
    sizes = [int(n) for n in r.integers(4, 8 if rank < 3 else 6, rank)]
    x = numbers(r, (2, 2, *sizes), one(r, FLOATS))
    kind = one(r, ("valid", "custom", "same", "same_lower") if rank < 3 else ("valid", "custom", "same"))
    target = since(r, "iOS16" if kind == "same_lower" else "iOS15")
    pads = window_pads(r, kind, sizes, kernel, strides)
    parameters: dict[str, Any] = {"kernel_sizes": kernel, "strides": strides, "pad_type": kind}
    if kind == "custom":
        parameters["pad"] = flat(pads)
    excluded = op == "avg_pool" and yes(r)
    if excluded:
        parameters["exclude_padding_from_average"] = True
    axes = [
        window_starts(size, width, stride, a, b)
        for size, width, stride, (a, b) in zip(sizes, kernel, strides, pads, strict=True)
    ]
    expected = np.zeros((2, 2, *map(len, axes)))
    for out in np.ndindex(*map(len, axes)):
        place = tuple(
            slice(max(0, starts[i]), starts[i] + width)
            for starts, i, width in zip(axes, out, kernel, strict=True)
        )
        seen = x[(slice(None), slice(None), *place)].astype(np.float64).reshape(2, 2, -1)
        if op == "avg_pool":
            found = seen.sum(-1) / (seen.shape[-1] if excluded else np.prod(kernel))
        else:
            found = seen.max(-1) if op == "max_pool" else np.sqrt(np.square(seen).sum(-1))
        expected[(slice(None), slice(None), *out)] = found
    return Sample(op, {"x": x}, parameters, target, [expected])


def batch_norm(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 5), one(r, FLOATS))
    c = (x.shape[1],)
    parameters: dict[str, Any] = {"mean": numbers(r, c, x.dtype), "variance": positive(r, c, x.dtype)}
    if yes(r):
        parameters |= {"gamma": numbers(r, c, x.dtype), "beta": numbers(r, c, x.dtype)}
    if yes(r):
        parameters["epsilon"] = x.dtype.type(0.1)
    flat_ = {name: v.astype(np.float64).reshape(1, -1, *[1] * (x.ndim - 2)) for name, v in parameters.items()
             if name != "epsilon"}  # fmt: skip
    expected = (x - flat_["mean"]) / np.sqrt(flat_["variance"] + float(parameters.get("epsilon", 1e-5)))
    expected = expected * flat_.get("gamma", 1) + flat_.get("beta", 0)
    return Sample("batch_norm", {"x": x}, parameters, since(r, "iOS15"), [expected])


def instance_norm(r: Random) -> Sample:
    x = numbers(r, (*shape(r, 2, 2), *[int(n) for n in r.integers(2, 5, int(r.integers(1, 3)))]))
    parameters: dict[str, Any] = {"epsilon": np.float32(0.1)}
    v = x.astype(np.float64)
    axes = tuple(range(2, x.ndim))
    expected = (v - v.mean(axes, keepdims=True)) / np.sqrt(v.var(axes, keepdims=True) + 0.1)
    if yes(r):
        parameters |= {"gamma": numbers(r, (x.shape[1],)), "beta": numbers(r, (x.shape[1],))}
        sizes = [1, -1] + [1] * (x.ndim - 2)
        expected = expected * parameters["gamma"].reshape(sizes) + parameters["beta"].reshape(sizes)
    return Sample("instance_norm", {"x": x}, parameters, since(r, "iOS15"), [expected])


def l2_norm(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 5), one(r, FLOATS))
    v = x.astype(np.float64)
    expected = v / np.sqrt(np.square(v).sum((-3, -2, -1), keepdims=True) + 0.1)
    return Sample("l2_norm", {"x": x}, {"epsilon": x.dtype.type(0.1)}, since(r, "iOS15"), [expected])


def layer_norm(r: Random) -> Sample:
    x = numbers(r, shape(r, 2, 4))
    axes = sorted(chosen_axes(r, x.ndim), key=lambda a: a % x.ndim)
    v, over = x.astype(np.float64), tuple(axes)
    parameters: dict[str, Any] = {"axes": axes, "epsilon": np.float32(0.1)}
    expected = (v - v.mean(over, keepdims=True)) / np.sqrt(v.var(over, keepdims=True) + 0.1)
    if yes(r):
        size = [x.shape[a] for a in axes]
        parameters |= {"gamma": numbers(r, size), "beta": numbers(r, size)}
        sizes = [s if a in {b % x.ndim for b in axes} else 1 for a, s in enumerate(x.shape)]
        expected = expected * parameters["gamma"].reshape(sizes) + parameters["beta"].reshape(sizes)
    return Sample("layer_norm", {"x": x}, parameters, since(r, "iOS15"), [expected])


def local_response_norm(r: Random) -> Sample:
    x = numbers(r, (*shape(r, 2, 2, 6), *shape(r, 1, 2)))
    size = int(one(r, (1, 3, 5)))
    v = x.astype(np.float64)
    total = np.zeros_like(v)
    for c, other in itertools.product(range(x.shape[1]), repeat=2):
        if abs(c - other) <= size // 2:
            total[:, c] += v[:, other] ** 2
    expected = v / (2 + 0.5 / size * total) ** 0.6
    parameters = {"size": size, "alpha": np.float32(0.5), "beta": np.float32(0.6), "k": np.float32(2)}
    return Sample("local_response_norm", {"x": x}, parameters, since(r, "iOS15"), [expected])


def grid(size: int, count: int, mode: str) -> Array:
    """The grid points of the documentation of ``resize_bilinear``, word for word."""
    i = np.arange(count)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if count == 1:
            points = np.array([(size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0])
        else:
            points = i * (size - 1) / (count - 1)
    elif mode == "DEFAULT":
        points = i * (size - size / count) / max(1, count - 1)
    elif mode == "OFFSET_CORNERS":
        delta = max(1, size - 1) / count
        points = 0.5 * delta + i * delta
    else:
        spacing = size / count
        points = i * spacing + 0.5 * spacing - 0.5
    return points.clip(0, size - 1)


def resized(x: Array, rows: Array, columns: Array) -> Array:
    """Bilinear interpolation at these points, term by term."""
    out = np.zeros((*x.shape[:-2], len(rows), len(columns)))
    for (a, y), (b, z) in itertools.product(enumerate(rows), enumerate(columns)):
        for h, w in itertools.product(range(x.shape[-2]), range(x.shape[-1])):
            out[..., a, b] += max(0, 1 - abs(y - h)) * max(0, 1 - abs(z - w)) * x[..., h, w].astype(float)
    return out


SAMPLING = ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS")


def resize_bilinear(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 4, 5), one(r, FLOATS))
    height, width = (int(n) for n in r.integers(1, 7, 2))
    mode = one(r, SAMPLING)
    target = since(r, "iOS16" if mode == "UNALIGN_CORNERS" else "iOS15")
    parameters = {"target_size_height": height, "target_size_width": width, "sampling_mode": mode}
    expected = resized(x, grid(x.shape[-2], height, mode), grid(x.shape[-1], width, mode))
    return Sample("resize_bilinear", {"x": x}, parameters, target, [expected])


def resize(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 4, 5), np.float32)
    height, width = (int(n) for n in r.integers(0, 7, 2))
    mode = one(r, SAMPLING)
    parameters = {
        "shape": np.array([1, height, width], np.int32),
        "resized_dims": np.uint32(2),
        "interpolation_mode": "LINEAR",
        "sampling_mode": mode,
    }
    rows = grid(x.shape[-2], height or x.shape[-2], mode)
    expected = resized(x, rows, grid(x.shape[-1], width or x.shape[-1], mode))
    return Sample("resize", {"x": x}, parameters, since(r, "iOS17"), [expected])


def resize_nearest(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 4, 5), one(r, FLOATS))
    height, width = (int(n) for n in r.integers(1, 7, 2))
    expected = x[..., _under_centres(x.shape[-2], height), :][..., _under_centres(x.shape[-1], width)]
    parameters = {"target_size_height": height, "target_size_width": width}
    return Sample("resize_nearest_neighbor", {"x": x}, parameters, since(r, "iOS15"), [expected])


def _under_centres(size: int, count: int) -> Array:
    return np.array([(2 * i + 1) * size // (2 * count) for i in range(count)])


def upsample_nearest(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 4, 5), one(r, FLOATS))
    height, width = (int(n) for n in r.integers(1, 4, 2))
    expected = x.repeat(height, -2).repeat(width, -1)
    parameters = {"scale_factor_height": height, "scale_factor_width": width}
    return Sample("upsample_nearest_neighbor", {"x": x}, parameters, since(r, "iOS15"), [expected])


def upsample_bilinear(r: Random) -> Sample:
    x = numbers(r, shape(r, 3, 4, 5), one(r, FLOATS))
    height, width = (int(n) for n in r.integers(1, 4, 2))
    corners = yes(r)
    mode = "STRICT_ALIGN_CORNERS" if corners else "UNALIGN_CORNERS"
    expected = resized(
        x, grid(x.shape[-2], x.shape[-2] * height, mode), grid(x.shape[-1], x.shape[-1] * width, mode)
    )
    parameters = {"scale_factor_height": height, "scale_factor_width": width, "align_corners": corners}
    return Sample("upsample_bilinear", {"x": x}, parameters, since(r, "iOS15"), [expected])


def crop(r: Random) -> Sample:
    x = numbers(r, (*shape(r, 1, 2), 6, 6), one(r, FLOATS))
    (top, bottom), (left, right) = ([int(n) for n in r.integers(0, 3, 2)] for _ in range(2))
    expected = x[..., top : 6 - bottom, left : 6 - right]
    parameters = {"crop_height": [top, bottom], "crop_width": [left, right]}
    return Sample("crop", {"x": x}, parameters, since(r, "iOS15"), [expected])


def crop_resize(r: Random) -> Sample:
    """Boxes inside the image; beyond it the documentation allows none."""
    x = numbers(r, (2, 2, 5, 6))
    low = r.integers(0, 3, (3, 2))
    high = low + r.integers(1, 3, (3, 2))
    mode, convention = one(r, SAMPLING[:4]), one(r, ("CORNERS", "CENTER_SIZE"))
    order = one(r, ("HEIGHT_FIRST", "WIDTH_FIRST"))
    turn = slice(None) if order == "HEIGHT_FIRST" else slice(None, None, -1)
    first, second = (low, high) if convention == "CORNERS" else ((low + high) / 2, high - low)
    boxes = np.concatenate([first[:, turn], second[:, turn]], 1).astype(np.float32)
    owners = r.integers(0, 2, 3).astype(np.int32)
    height, width = (int(n) for n in r.integers(1, 5, 2))
    expected = np.stack([
        resized(
            x[owner],
            start[0] + grid(int(stop[0] - start[0]) + 1, height, mode),
            start[1] + grid(int(stop[1] - start[1]) + 1, width, mode),
        )
        for owner, start, stop in zip(owners, low, high, strict=True)
    ])  # fmt: skip
    parameters = {
        "boxes": boxes,
        "box_indices": owners,
        "target_height": height,
        "target_width": width,
        "sampling_mode": mode,
        "box_coordinate_mode": f"{convention}_{order}",
    }
    return Sample("crop_resize", {"x": x}, parameters, since(r, "iOS17"), [expected])


def resample(r: Random) -> Sample:
    x, places = numbers(r, (2, 3, 4, 5)), 1.5 * numbers(r, (2, 3, 2, 2), np.float32, 0.7)
    corners, mode = yes(r), one(r, ("bilinear", "nearest"))
    padding, name = one(r, (("constant", "zeros"), ("border", "border"),
                            ("reflection" if corners else "symmetric", "reflection")))  # fmt: skip
    if mode == "nearest":  # away from halves, whose rounding nobody documents
        places = places + np.float32(0.013)
    zero_to_one = yes(r)
    parameters = {
        "sampling_mode": mode,
        "padding_mode": padding,
        "padding_value": 0.0,
        "coordinates_mode": "normalized_zero_to_one" if zero_to_one else "normalized_minus_one_to_one",
        "align_corners": corners,
    }
    expected = F.grid_sample(torch.tensor(x), torch.tensor(places), mode, name, corners).numpy()
    given = (places + 1) / 2 if zero_to_one else places
    return Sample("resample", {"x": x, "coordinates": given}, parameters, since(r, "iOS15"), [expected])


def affine(r: Random) -> Sample:
    x = numbers(r, (2, 2, 4, 5))
    matrices = numbers(r, (int(one(r, (1, 2))), 6), np.float32, 0.5)
    height, width = (int(n) for n in r.integers(2, 5, 2))
    theta = torch.tensor(np.broadcast_to(matrices, (2, 6)).copy()).reshape(2, 2, 3)
    places = F.affine_grid(theta, [2, 2, height, width], align_corners=True)
    expected = F.grid_sample(torch.tensor(x), places, "bilinear", "zeros", True).numpy()
    parameters = {
        "output_height": height,
        "output_width": width,
        "sampling_mode": "bilinear",
        "padding_mode": "constant",
        "padding_value": 0.0,
        "coordinates_mode": "normalized_minus_one_to_one",
        "align_corners": True,
    }
    tensors = {"x": x, "transform_matrix": matrices}
    return Sample("affine", tensors, parameters, since(r, "iOS15"), [expected])


def quantization(op: str, r: Random) -> Sample:
    size = shape(r)
    along = int(r.integers(len(size)))
    kind = one(r, (np.int8, np.uint8))
    single = yes(r)
    scale = np.float32(0.25) if single else positive(r, (size[along],))
    sizes = [-1 if a == along else 1 for a in range(len(size))]
    factor = scale if single else scale.reshape(sizes)
    parameters: dict[str, Any] = {"scale": scale} if single else {"scale": scale, "axis": along}
    shift: Any = 0
    if yes(r):
        parameters["zero_point"] = kind(5) if single else r.integers(0, 9, size[along]).astype(kind)
        shift = parameters["zero_point"] if single else parameters["zero_point"].reshape(sizes)
        shift = np.asarray(shift).astype(int)
    if op == "dequantize":
        x = r.integers(np.iinfo(kind).min, np.iinfo(kind).max + 1, size).astype(kind)
        expected = factor * (x.astype(int) - shift)
    else:
        x = numbers(r, size, np.float32, 30)
        parameters["output_dtype"] = np.dtype(kind).name
        bounds = np.iinfo(kind)
        expected = np.clip(np.round(x / factor) + shift, bounds.min, bounds.max)
    return Sample(op, {"input": x}, parameters, since(r, "iOS17"), [expected])


WINDOWS: dict[str, Sampler] = {
    **{op: partial(pool, op) for op in ("avg_pool", "l2_pool", "max_pool")},
    **{op: partial(quantization, op) for op in ("dequantize", "quantize")},
    "affine": affine,
    "batch_norm": batch_norm,
    "conv": conv,
    "conv_quantized": conv_quantized,
    "conv_transpose": conv_transpose,
    "crop": crop,
    "crop_resize": crop_resize,
    "instance_norm": instance_norm,
    "l2_norm": l2_norm,
    "layer_norm": layer_norm,
    "local_response_norm": local_response_norm,
    "resample": resample,
    "resize": resize,
    "resize_bilinear": resize_bilinear,
    "resize_nearest_neighbor": resize_nearest,
    "upsample_bilinear": upsample_bilinear,
    "upsample_nearest_neighbor": upsample_nearest,
}
