"""Samples of the operations that move, choose and make elements."""

from __future__ import annotations

from collections.abc import Sequence
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
    axis,
    chosen_axes,
    distinct,
    numbers,
    one,
    shape,
    since,
    yes,
)
from torch.nn import functional as F

NARROW = (np.int8, np.uint8, np.int16, np.uint16)


def anything(r: Random, target: str, size: tuple[int, ...]) -> Array:
    """A tensor of any dtype that ops which compute nothing take at this target."""
    kinds = (*FLOATS, np.int32, bool, *(NARROW if target in ("iOS17", "iOS18") else ()))
    return numbers(r, size, one(r, kinds))


def reshape(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r))
    wanted = [int(size) for size in r.permutation(x.shape)]
    expected = x.reshape(wanted)
    if yes(r):
        wanted[int(r.integers(len(wanted)))] = -1
    return Sample("reshape", {"x": x}, {"shape": wanted}, target, [expected])


def expand_dims(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 1, 3))
    axes = chosen_axes(r, x.ndim + 1)[:2]
    axes = axes if yes(r) else axes[:1]
    axes = [a - len(axes) + 1 if a < 0 else a for a in axes]
    rank = x.ndim + len(axes)
    if len({a % rank for a in axes}) < len(axes):
        axes = axes[:1]
        axes = [axes[0] % (x.ndim + 1)]
    return Sample("expand_dims", {"x": x}, {"axes": axes}, target, [np.expand_dims(x, tuple(axes))])


def squeeze(r: Random) -> Sample:
    target = since(r, "iOS15")
    size = tuple(int(s) for s in r.choice([1, 1, 2, 3], int(r.integers(2, 5))))
    x = anything(r, target, size)
    single = [a for a, s in enumerate(size) if s == 1]
    if not single or len(single) == len(size):
        return squeeze(r)
    axes = [a - (x.ndim if yes(r) else 0) for a in single if yes(r)]
    parameters = {"axes": axes} if axes else {}
    expected = np.squeeze(x, tuple(axes) if axes else None)
    return Sample("squeeze", {"x": x}, parameters, target, [expected])


def transpose(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 1, 5, 3))
    perm = [int(a) - (x.ndim if yes(r) else 0) for a in r.permutation(x.ndim)]
    return Sample("transpose", {"x": x}, {"perm": perm}, target, [x.transpose(perm)])


def reverse(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r))
    axes = chosen_axes(r, x.ndim)
    parameters = {"axes": axes} if yes(r) else {}
    return Sample("reverse", {"x": x}, parameters, target, [np.flip(x, tuple(axes) if parameters else None)])


def reverse_sequence(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 2, 4))
    sequence, batch = (int(a) for a in r.permutation(x.ndim)[:2])
    lengths = r.integers(0, x.shape[sequence] + 1, x.shape[batch]).astype(np.int32)
    expected = x.copy()
    for index in np.ndindex(*x.shape):
        length = lengths[index[batch]]
        if index[sequence] < length:
            source = list(index)
            source[sequence] = length - 1 - index[sequence]
            expected[index] = x[tuple(source)]
    parameters = {"seq_axis": sequence, "batch_axis": batch}
    if yes(r):
        parameters = {name: a - x.ndim for name, a in parameters.items()}
    return Sample("reverse_sequence", {"x": x, "lengths": lengths}, parameters, target, [expected])


def flatten2d(r: Random) -> Sample:
    x = numbers(r, shape(r), one(r, FLOATS))
    cut = axis(r, x.ndim)
    rows = int(np.prod(x.shape[: cut % x.ndim], dtype=int))
    return Sample("flatten2d", {"x": x}, {"axis": cut}, since(r, "iOS15"), [x.reshape(rows, -1)])


def concat(r: Random) -> Sample:
    target = since(r, "iOS15")
    size = shape(r)
    along, interleave = axis(r, len(size)), yes(r)
    first = anything(r, target, size)
    parts = [first]
    for _ in range(int(r.integers(0, 3))):
        other = list(size)
        if not interleave:
            other[along] = int(r.integers(1, 4))
        parts.append(numbers(r, other, first.dtype))
    if interleave:
        stacked = np.stack(parts, along % len(size) + 1)
        merged = list(size)
        merged[along] *= len(parts)
        expected = stacked.reshape(merged)
    else:
        expected = np.concatenate(parts, along)
    tensors = {f"v{index}": part for index, part in enumerate(parts)}
    return Sample("concat", tensors, {"axis": along, "interleave": interleave}, target, [expected])


def stack(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 1, 3))
    parts = [x, *(numbers(r, x.shape, x.dtype) for _ in range(int(r.integers(0, 3))))]
    along = axis(r, x.ndim + 1)
    tensors = {f"v{index}": part for index, part in enumerate(parts)}
    return Sample("stack", tensors, {"axis": along}, target, [np.stack(parts, along)])


def split(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, "iOS16", shape(r, 1, 4, 6))
    along = axis(r, x.ndim)
    length = x.shape[along]
    if yes(r):
        parts = int(one(r, [n for n in range(1, length + 1) if length % n == 0]))
        parameters: dict[str, Any] = {"num_splits": parts}
        expected = np.split(x, parts, along)
    else:
        cuts = sorted({int(c) for c in r.integers(1, length, 2)}) if length > 1 else []
        sizes = [b - a for a, b in zip([0, *cuts], [*cuts, length], strict=True)]
        parameters = {"split_sizes": sizes}
        expected = np.split(x, cuts, along)
    return Sample("split", {"x": x}, {"axis": along, **parameters}, target, expected)


def tile(r: Random) -> Sample:
    x = numbers(r, shape(r, 1, 3), one(r, (*FLOATS, np.int32)))
    reps = [int(n) for n in r.integers(1, 4, x.ndim)]
    return Sample("tile", {"x": x}, {"reps": reps}, since(r, "iOS15"), [np.tile(x, reps)])


def pad(r: Random) -> Sample:
    target = since(r, "iOS15")
    mode = one(r, ("constant", "reflect", "replicate"))
    x = numbers(r, shape(r, 1, 4), one(r, FLOATS))
    count = int(r.integers(1, min(2, x.ndim) + 1)) if mode != "constant" else int(r.integers(1, x.ndim + 1))
    pairs = []
    for size in x.shape[x.ndim - count :]:
        most = {"constant": 3, "reflect": size - 1, "replicate": size}[mode]
        pairs.append([int(n) for n in r.integers(0, most + 1, 2)])
    parameters: dict[str, Any] = {"pad": [n for pair in pairs for n in pair], "mode": mode}
    whole = [[0, 0]] * (x.ndim - count) + pairs
    if mode == "constant":
        value = x.dtype.type(one(r, (0, 3)))
        parameters["constant_val"] = value
        expected = np.pad(x, whole, constant_values=value)
    else:
        expected = np.pad(x, whole, mode={"reflect": "reflect", "replicate": "edge"}[mode])
    return Sample("pad", {"x": x}, parameters, target, [expected])


def fill(r: Random) -> Sample:
    size = np.array(shape(r), np.int32)
    value = one(r, (np.float32(1.5), np.float16(-2), np.int32(7), True))
    return Sample("fill", {"shape": size}, {"value": value}, since(r, "iOS15"), [np.full(size, value)])


def fill_like(r: Random) -> Sample:
    x = numbers(r, shape(r))
    value = one(r, (np.float32(1.5), np.float16(-2), np.int32(7), True))
    return Sample("fill_like", {"ref_tensor": x}, {"value": value}, since(r, "iOS16"),
                  [np.full(x.shape, value)])  # fmt: skip


def range_1d(r: Random) -> Sample:
    kind = one(r, (np.float32, np.int32))
    start, step = kind(r.integers(-5, 5)), kind(r.integers(1, 4))
    if kind is np.float32:
        step = kind(step / 4)
    end = kind(start + step * int(r.integers(1, 6)))
    if yes(r):
        start, end, step = end, start, kind(-step)
    parameters = {"start": start, "end": end, "step": step}
    return Sample("range_1d", {}, parameters, since(r, "iOS15"), [np.arange(start, end, step)])


def one_hot(r: Random) -> Sample:
    size = int(r.integers(1, 5))
    indices = r.integers(0, size, shape(r, 1, 3)).astype(np.int32)
    on, off = one(r, ((np.float32(2), np.float32(-1)), (np.int32(1), np.int32(0))))
    along = axis(r, indices.ndim + 1)
    expected = np.moveaxis(np.where(np.eye(size, dtype=bool)[indices], on, off), -1, along)
    parameters = {"one_hot_vector_size": size, "axis": along, "on_value": on, "off_value": off}
    return Sample("one_hot", {"indices": indices}, parameters, since(r, "iOS15"), [expected])


def band_part(r: Random) -> Sample:
    x = numbers(r, shape(r, 2, 4, 5), one(r, FLOATS))
    lower, upper = (int(n) for n in r.integers(-1, 4, 2))
    m, n = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = ((lower < 0) | (m - n <= lower)) & ((upper < 0) | (n - m <= upper))
    parameters = {"lower": lower, "upper": upper}
    return Sample("band_part", {"x": x}, parameters, since(r, "iOS15"), [np.where(kept, x, 0)])


def non_zero(r: Random) -> Sample:
    x = np.round(numbers(r, shape(r, 1, 3), one(r, (np.float32, np.int32))))
    x.flat[0] = 1
    return Sample("non_zero", {"x": x}, {}, since(r, "iOS15"), [np.argwhere(x)])


def argsort(r: Random) -> Sample:
    x = distinct(r, shape(r), one(r, (*FLOATS, np.int32)))
    along, ascending = axis(r, x.ndim), yes(r)
    expected = np.argsort(x if ascending else -x, along)
    parameters = {"axis": along, "ascending": ascending}
    return Sample("argsort", {"x": x}, parameters, since(r, "iOS15"), [expected])


def topk(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = distinct(r, shape(r), one(r, (*FLOATS, np.int32)))
    along, ascending = axis(r, x.ndim), yes(r)
    k = int(r.integers(1, x.shape[along] + 1))
    places = np.argsort(x if ascending else -x, along).take(range(k), along)
    parameters: dict[str, Any] = {"k": k, "axis": along, "ascending": ascending}
    expected = [np.take_along_axis(x, places, along), places]
    if target in ("iOS17", "iOS18") and yes(r):
        parameters["output_indices_dtype"] = "uint16"
    elif target != "iOS15" and yes(r):
        parameters["return_indices"] = False
        expected = expected[:1]
    return Sample("topk", {"x": x}, parameters, target, expected)


def sizes(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, "iOS16", shape(r))
    return Sample("shape", {"x": x}, {}, target, [np.array(x.shape)])


def identity(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r))
    return Sample("identity", {"x": x}, {}, target, [x])


def blocks(op: str, r: Random) -> Sample:
    """Space to depth and back, in the orders of TensorFlow and PyTorch."""
    n, c, h, w = (int(s) for s in r.integers(1, 4, 4))
    b = int(r.integers(2, 4))
    inward = op in ("space_to_depth", "pixel_unshuffle")
    x = numbers(r, (n, c, h * b, w * b) if inward else (n, c * b * b, h, w), one(r, FLOATS))
    tensor = torch.tensor(x)
    if op == "pixel_shuffle":
        expected, name = F.pixel_shuffle(tensor, b), "upscale_factor"
    elif op == "pixel_unshuffle":
        expected, name = F.pixel_unshuffle(tensor, b), "downscale_factor"
    elif op == "space_to_depth":  # of the channels that PyTorch makes, TensorFlow counts the block first
        folded = F.pixel_unshuffle(tensor, b).reshape(n, c, b * b, h, w)
        expected, name = folded.transpose(1, 2).reshape(n, c * b * b, h, w), "block_size"
    else:
        turned = tensor.reshape(n, b * b, c, h, w).transpose(1, 2).reshape(x.shape)
        expected, name = F.pixel_shuffle(turned, b), "block_size"
    target = since(r, "iOS16" if op == "pixel_unshuffle" else "iOS15")
    return Sample(
        op, {"x": x}, {name: np.uint32(b) if op == "pixel_unshuffle" else b}, target, [expected.numpy()]
    )


def space_and_batch(op: str, r: Random) -> Sample:
    a, b = (int(s) for s in r.integers(1, 4, 2))
    n, c, h, w = (int(s) for s in r.integers(2, 4, 4))
    ends = r.integers(0, 2, (2, 2)).astype(np.int32)
    if op == "batch_to_space":
        x = numbers(r, (n * a * b, c, h, w), one(r, FLOATS))
        ends = np.minimum(ends, (np.array([[h * a], [w * b]]) - 1) // 2).astype(np.int32)
        whole = np.zeros((n, c, h * a, w * b), x.dtype)
        for i in range(a):
            for j in range(b):
                whole[:, :, i::a, j::b] = x[(i * b + j) * n : (i * b + j + 1) * n]
        expected = whole[:, :, ends[0, 0] : h * a - ends[0, 1], ends[1, 0] : w * b - ends[1, 1]]
        return Sample(op, {"x": x}, {"block_shape": [a, b], "crops": ends}, since(r, "iOS15"), [expected])
    x = numbers(r, (n, c, h * a, w * b), one(r, FLOATS))
    ends = (ends * np.array([[a], [b]])).astype(np.int32)
    whole = np.pad(x, [[0, 0], [0, 0], *ends.tolist()])
    expected = np.concatenate([whole[:, :, i::a, j::b] for i in range(a) for j in range(b)])
    return Sample(op, {"x": x}, {"block_shape": [a, b], "paddings": ends}, since(r, "iOS15"), [expected])


def sliding_windows(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = numbers(r, shape(r, 1, 3, 6), one(r, (*FLOATS, np.int32)))
    along = axis(r, x.ndim)
    size, stride = int(r.integers(1, x.shape[along] + 1)), int(r.integers(1, 4))
    seen = np.lib.stride_tricks.sliding_window_view(x, size, along % x.ndim)
    seen = np.moveaxis(seen, -1, along % x.ndim + 1)
    every = tuple(slice(None, None, stride) if a == along % x.ndim else slice(None) for a in range(x.ndim))
    parameters = {"axis": along, "size": size, "stride": stride}
    return Sample("sliding_windows", {"x": x}, parameters, target, [seen[every]])


def slices(r: Random, x: Array) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The arguments of a slice that is not empty, and the same for NumPy."""
    begin, end, stride, begins, ends, squeezes, places = [], [], [], [], [], [], []
    for size in x.shape:
        step = int(one(r, (1, 1, 2, 3, -1, -2)))
        first = int(r.integers(size))
        last = int(r.integers(first + 1, size + 1)) if step > 0 else int(r.integers(-1, first))
        no_first, no_last = r.random() < 0.2, r.random() < 0.2 or last == -1
        squeeze = bool(r.random() < 0.2)
        begins.append(bool(no_first and not squeeze)), ends.append(bool(no_last)), squeezes.append(squeeze)
        begin.append(first - size if yes(r) else first)
        end.append(last - size if yes(r) and last < size else last)
        stride.append(1 if squeeze else step)
        whole = slice(None if no_first else first, None if no_last else last, step)
        places.append(first if squeeze else whole)
    if all(squeezes):
        squeezes[0], places[0], begin[0], end[0] = False, slice(0, 1), 0, 1
        begins[0], ends[0], stride[0] = False, False, 1
    parameters = {"begin": begin, "end": end, "stride": stride}
    parameters |= {"begin_mask": begins, "end_mask": ends, "squeeze_mask": squeezes}
    return parameters, tuple(places)


def slice_by_index(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 1, 4, 5))
    parameters, places = slices(r, x)
    return Sample("slice_by_index", {"x": x}, parameters, target, [x[places]])


def slice_update(r: Random) -> Sample:
    x = anything(r, "iOS18", shape(r, 1, 4, 5))
    parameters, places = slices(r, x)
    update = numbers(r, x[places].shape, x.dtype)
    expected = x.copy()
    expected[places] = update
    return Sample("slice_update", {"x": x, "update": update}, parameters, "iOS18", [expected])


def slice_by_size(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = anything(r, target, shape(r, 1, 4, 5))
    begin = [int(r.integers(s)) for s in x.shape]
    size = [int(r.integers(1, s - b + 1)) for s, b in zip(x.shape, begin, strict=True)]
    expected = x[tuple(slice(b, b + s) for b, s in zip(begin, size, strict=True))]
    rest = [-1 if s == whole - b else s for s, b, whole in zip(size, begin, x.shape, strict=True)]
    return Sample("slice_by_size", {"x": x}, {"begin": begin, "size": rest}, target, [expected])


def index_array(r: Random, length: int, size: tuple[int, ...], target: str) -> Array:
    """Valid indices; negative ones up to iOS16, where they are defined."""
    low = -length if target in ("iOS15", "iOS16") else 0
    kind = one(r, (np.int32, np.int32, np.int16) if target != "iOS15" else (np.int32,))
    return r.integers(low, length, size).astype(kind)


def gather(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = numbers(r, shape(r), one(r, (*FLOATS, np.int32)))
    batch = int(r.integers(0, x.ndim)) if target != "iOS15" else 0
    along = int(r.integers(batch, x.ndim))
    indices = index_array(r, x.shape[along], (*x.shape[:batch], *shape(r, 1, 2)), target)
    if x.ndim + indices.ndim - batch - 1 > 5:
        return gather(r)
    if batch:
        expected = np.stack([
            np.take(x[place], indices[place], along - batch) for place in np.ndindex(*x.shape[:batch])
        ])  # fmt: skip
        expected = expected.reshape(*x.shape[:batch], *expected.shape[1:])
    else:
        expected = np.take(x, indices, along)
    parameters = {"axis": along - x.ndim if yes(r) else along}
    parameters |= {"batch_dims": batch} if target != "iOS15" else {}
    return Sample("gather", {"x": x, "indices": indices}, parameters, target, [expected])


def gather_along_axis(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = numbers(r, shape(r), one(r, (*FLOATS, np.int32)))
    along = axis(r, x.ndim)
    size = list(x.shape)
    size[along] = int(r.integers(1, 5))
    indices = index_array(r, x.shape[along], tuple(size), target)
    expected = np.take_along_axis(x, indices.astype(int), along)
    return Sample("gather_along_axis", {"x": x, "indices": indices}, {"axis": along}, target, [expected])


def gather_nd(r: Random) -> Sample:
    target = since(r, "iOS15")
    x = numbers(r, shape(r), one(r, (*FLOATS, np.int32)))
    depth = int(r.integers(1, x.ndim + 1))
    lead = shape(r, 1, 2)
    columns = [index_array(r, x.shape[d], lead, target).astype(np.int32) for d in range(depth)]
    indices = np.stack(columns, -1)
    if x.ndim - depth + len(lead) > 5:
        return gather_nd(r)
    return Sample("gather_nd", {"x": x, "indices": indices}, {}, target, [x[tuple(columns)]])


COMBINE = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum}
MODES = ("update", *COMBINE, "div")


def combined(data: Array, updates: Sequence[tuple[tuple[Any, ...], Any]], mode: str) -> Array:
    out = data.astype(np.float64)
    for place, value in updates:
        if mode == "update":
            out[place] = value
        else:
            out[place] = out[place] / value if mode == "div" else COMBINE[mode](out[place], value)
    return out


def scatter(op: str, r: Random) -> Sample:
    """Each place is written at most once here: the order of several writers is not defined."""
    target, mode = since(r, "iOS15"), one(r, MODES)
    data = numbers(r, shape(r, 1, 3), np.float32, 1.0)
    along = axis(r, data.ndim)
    length = data.shape[along]
    count = int(r.integers(1, length + 1))
    front = (slice(None),) * (along % data.ndim)
    if op == "scatter":
        indices = r.permutation(length)[:count].astype(np.int32)
        size = list(data.shape)
        size[along] = count
        updates = np.abs(numbers(r, size)) + np.float32(0.5)
        writes = [((*front, int(to)), updates[(*front, i)]) for i, to in enumerate(indices)]
        parameters: dict[str, Any] = {"axis": along, "mode": mode}
    elif op == "scatter_along_axis":
        size = list(data.shape)
        indices = np.argsort(r.random(size), along).take(range(count), along).astype(np.int32)
        updates = np.abs(numbers(r, indices.shape)) + np.float32(0.5)
        writes = []
        for place in np.ndindex(*indices.shape):
            to = list(place)
            to[along] = int(indices[place])
            writes.append((tuple(to), updates[place]))
        parameters = {"axis": along, "mode": mode}
    else:
        places = [tuple(map(int, p)) for p in r.permutation(list(np.ndindex(*data.shape)))[:3]]
        indices = np.array(places, np.int32)
        updates = np.abs(numbers(r, (len(places),))) + np.float32(0.5)
        writes = list(zip(places, updates, strict=True))
        parameters = {"mode": mode}
    tensors = {"data": data, "indices": indices, "updates": updates}
    return Sample(op, tensors, parameters, target, [combined(data, writes, mode)])


def reshape_like(r: Random) -> Sample:
    x = numbers(r, (2, 3, 4), np.float32)
    first, second = np.zeros((4, 3, 9), np.float32), np.zeros((7, 2), bool)
    parameters = {
        "ref_tensors": (first, second),
        "begins": (0, 1),
        "ends": (2, 0),
        "end_masks": (False, True),
    }
    return Sample("reshape_like", {"x": x}, parameters, since(r, "iOS16"), [x.reshape(4, 3, 2)])


MOVING: dict[str, Sampler] = {
    **{op: partial(blocks, op)
       for op in ("depth_to_space", "pixel_shuffle", "pixel_unshuffle", "space_to_depth")},
    **{op: partial(scatter, op) for op in ("scatter", "scatter_along_axis", "scatter_nd")},
    **{op: partial(space_and_batch, op) for op in ("batch_to_space", "space_to_batch")},
    "argsort": argsort,
    "band_part": band_part,
    "concat": concat,
    "expand_dims": expand_dims,
    "fill": fill,
    "fill_like": fill_like,
    "flatten2d": flatten2d,
    "gather": gather,
    "gather_along_axis": gather_along_axis,
    "gather_nd": gather_nd,
    "identity": identity,
    "non_zero": non_zero,
    "one_hot": one_hot,
    "pad": pad,
    "range_1d": range_1d,
    "reshape": reshape,
    "reshape_like": reshape_like,
    "reverse": reverse,
    "reverse_sequence": reverse_sequence,
    "shape": sizes,
    "slice_by_index": slice_by_index,
    "slice_by_size": slice_by_size,
    "slice_update": slice_update,
    "sliding_windows": sliding_windows,
    "split": split,
    "squeeze": squeeze,
    "stack": stack,
    "tile": tile,
    "topk": topk,
    "transpose": transpose,
}  # fmt: skip
