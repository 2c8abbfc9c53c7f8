"""Where MIL and PyTorch define the same function, both must give the same for any arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mil_programs import value, values
from torch.nn import functional as F

settings.register_profile(
    "mil", max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
settings.load_profile("mil")

sizes = st.integers(1, 7)
seeds = st.integers(0, 2**16)


def normal(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def same(found: Any, expected: torch.Tensor, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(found, expected.numpy(), atol=atol, rtol=1e-4)


@st.composite
def windows(draw: Callable[..., Any], rank: int) -> dict[str, Any]:
    kernel = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    return {
        "kernel": kernel,
        "strides": draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)),
        "dilations": draw(st.lists(st.integers(1, 2), min_size=rank, max_size=rank)),
        "pad": [draw(st.integers(0, size // 2)) for size in kernel],
        "shape": draw(st.lists(st.integers(5, 8), min_size=rank, max_size=rank)),
    }


def doubled(pads: list[int]) -> list[int]:
    return [pad for pad in pads for _ in range(2)]


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data(), seed=seeds, groups=st.integers(1, 2), bias=st.booleans())
def test_convolution(rank: int, data: Any, seed: int, groups: int, bias: bool) -> None:
    window = data.draw(windows(rank))
    x = normal(seed, 2, 2 * groups, *window["shape"])
    weight = normal(seed + 1, 3 * groups, 2, *window["kernel"])
    shift = normal(seed + 2, 3 * groups) if bias else None
    result = value(
        lambda x: mb.conv(
            x=x,
            weight=weight,
            bias=shift,
            strides=window["strides"],
            dilations=window["dilations"],
            pad_type="custom",
            pad=doubled(window["pad"]),
            groups=groups,
        ),
        x=x,
    )
    function: Any = (F.conv1d, F.conv2d, F.conv3d)[rank - 1]
    expected = function(
        torch.tensor(x),
        torch.tensor(weight),
        None if shift is None else torch.tensor(shift),
        window["strides"],
        window["pad"],
        window["dilations"],
        groups,
    )
    same(result, expected, 1e-4)


@pytest.mark.parametrize("rank", [1, 2, 3])
@given(data=st.data(), seed=seeds, groups=st.integers(1, 2))
def test_transposed_convolution(rank: int, data: Any, seed: int, groups: int) -> None:
    window = data.draw(windows(rank))
    x = normal(seed, 1, 2 * groups, *window["shape"])
    weight = normal(seed + 1, 2 * groups, 3, *window["kernel"])
    result = value(
        lambda x: mb.conv_transpose(
            x=x,
            weight=weight,
            strides=window["strides"],
            dilations=window["dilations"],
            pad_type="custom",
            pad=doubled(window["pad"]),
            groups=groups,
        ),
        x=x,
    )
    function: Any = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[rank - 1]
    arguments = (torch.tensor(x), torch.tensor(weight), None, window["strides"], window["pad"], 0, groups)
    same(result, function(*arguments, window["dilations"]), 1e-4)


@pytest.mark.parametrize("rank", [1, 2])
@given(data=st.data(), seed=seeds, ceil=st.booleans(), counted=st.booleans())
def test_pooling(rank: int, data: Any, seed: int, ceil: bool, counted: bool) -> None:
    window = data.draw(windows(rank))
    kernel, strides, pad = window["kernel"], window["strides"], window["pad"]
    if any(step > size for step, size in zip(strides, kernel, strict=True)):
        strides = kernel  # PyTorch drops windows that lie beyond the input, MIL only where there is padding
    x = normal(seed, 1, 2, *window["shape"])
    padding = {"pad_type": "custom", "pad": doubled(pad)}
    shared = {"kernel_sizes": kernel, "strides": strides, "ceil_mode": ceil, **padding}
    largest, mean = values(
        lambda x: [
            mb.max_pool(x=x, **shared),
            mb.avg_pool(x=x, exclude_padding_from_average=not counted, **shared),
        ],
        x=x,
    )
    maximum: Any = (F.max_pool1d, F.max_pool2d)[rank - 1]
    average: Any = (F.avg_pool1d, F.avg_pool2d)[rank - 1]
    same(largest, maximum(torch.tensor(x), kernel, strides, pad, ceil_mode=ceil))
    same(mean, average(torch.tensor(x), kernel, strides, pad, ceil, counted))


@given(seed=seeds, height=sizes, width=sizes, to=st.tuples(sizes, sizes), corners=st.booleans())
def test_bilinear_resizing(seed: int, height: int, width: int, to: tuple[int, int], corners: bool) -> None:
    x = normal(seed, 1, 2, height, width)
    mode = "STRICT_ALIGN_CORNERS" if corners else "UNALIGN_CORNERS"
    result = value(
        lambda x: mb.resize_bilinear(
            x=x, target_size_height=to[0], target_size_width=to[1], sampling_mode=mode
        ),
        x=x,
    )
    same(result, F.interpolate(torch.tensor(x), to, mode="bilinear", align_corners=corners))


@given(seed=seeds, size=sizes, to=st.tuples(sizes, sizes))
def test_nearest_resizing(seed: int, size: int, to: tuple[int, int]) -> None:
    x = normal(seed, 1, 2, size, size)
    result = value(
        lambda x: mb.resize_nearest_neighbor(x=x, target_size_height=to[0], target_size_width=to[1]), x=x
    )
    same(result, F.interpolate(torch.tensor(x), to, mode="nearest-exact"))


@given(seed=seeds, mode=st.sampled_from(["bilinear", "nearest"]), corners=st.booleans(), data=st.data())
def test_resampling(seed: int, mode: str, corners: bool, data: Any) -> None:
    padding, name = data.draw(
        st.sampled_from(
            [
                ("constant", "zeros"),
                ("border", "border"),
                ("reflection" if corners else "symmetric", "reflection"),
            ]
        )
    )
    x, places = normal(seed, 2, 3, 4, 5), 1.5 * normal(seed + 1, 2, 3, 2, 2)
    result = value(
        lambda x, c: mb.resample(
            x=x,
            coordinates=c,
            sampling_mode=mode,
            padding_mode=padding,
            padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one",
            align_corners=corners,
        ),
        x=x,
        c=places,
    )
    expected = F.grid_sample(torch.tensor(x), torch.tensor(places), mode, name, corners)
    same(result, expected, 1e-4)


REDUCTIONS: dict[str, Callable[..., torch.Tensor]] = {
    "reduce_l1_norm": lambda x, a, k: x.abs().sum(a, k),
    "reduce_l2_norm": lambda x, a, k: torch.linalg.vector_norm(x, 2, a, k),
    "reduce_log_sum_exp": torch.logsumexp,
    "reduce_max": torch.amax,
    "reduce_mean": torch.mean,
    "reduce_min": torch.amin,
    "reduce_sum": torch.sum,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(seed=seeds, axes=st.sets(st.integers(-3, 2), min_size=1), keep=st.booleans())
def test_reductions(name: str, seed: int, axes: set[int], keep: bool) -> None:
    chosen = sorted({axis % 3: axis for axis in axes}.values())
    x = normal(seed, 2, 3, 4)
    result = value(lambda x: getattr(mb, name)(x=x, axes=chosen, keep_dims=keep), x=x)
    same(result, REDUCTIONS[name](torch.tensor(x), chosen, keep))


@given(seed=seeds, data=st.data())
def test_slices_follow_python(seed: int, data: Any) -> None:
    shape = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    x = normal(seed, *shape)
    begin, end, stride = [], [], []
    for size in shape:
        first = data.draw(st.integers(0, size - 1))
        last = data.draw(st.integers(first + 1, size))
        begin.append(first - size if data.draw(st.booleans()) else first)
        end.append(last)
        stride.append(data.draw(st.integers(1, 3)))
    result = value(lambda x: mb.slice_by_index(x=x, begin=begin, end=end, stride=stride), x=x)
    expected = x[tuple(slice(*ends) for ends in zip(begin, end, stride, strict=True))]
    np.testing.assert_array_equal(result, expected)


@given(seed=seeds, axis=st.integers(-3, 2), count=st.integers(1, 5))
def test_gather_is_index_select(seed: int, axis: int, count: int) -> None:
    x = normal(seed, 3, 4, 5)
    indices = np.random.default_rng(seed).integers(0, x.shape[axis], count).astype(np.int32)
    result = value(lambda x, i: mb.gather(x=x, indices=i, axis=axis), x=x, i=indices)
    same(result, torch.tensor(x).index_select(axis, torch.tensor(indices).long()))


@given(seed=seeds, axis=st.integers(0, 2))
def test_scatter_along_an_axis_is_scatter_add(seed: int, axis: int) -> None:
    x, updates = normal(seed, 3, 4, 5), normal(seed + 1, 3, 4, 5)
    indices = np.random.default_rng(seed).integers(0, x.shape[axis], x.shape).astype(np.int32)
    result = value(
        lambda x, i, u: mb.scatter_along_axis(data=x, indices=i, updates=u, axis=axis, mode="add"),
        x=x,
        i=indices,
        u=updates,
    )
    same(result, torch.tensor(x).scatter_add(axis, torch.tensor(indices).long(), torch.tensor(updates)))


@given(seed=seeds, length=st.integers(1, 4), batch=st.integers(1, 3), both=st.booleans(), every=st.booleans())
def test_lstm(seed: int, length: int, batch: int, both: bool, every: bool) -> None:
    torch.manual_seed(seed)
    inputs, hidden = 3, 2
    reference = torch.nn.LSTM(inputs, hidden, bidirectional=both)
    x = normal(seed, length, batch, inputs)
    directions = 2 if both else 1
    h, c = normal(seed + 1, batch, directions * hidden), normal(seed + 2, batch, directions * hidden)

    def ours(suffix: str) -> dict[str, np.ndarray[Any, Any]]:
        """PyTorch's gates stand in the order input, forget, cell, output; MIL has the output third."""
        state = {name: tensor.numpy() for name, tensor in reference.state_dict().items()}

        def sorted_gates(name: str) -> np.ndarray[Any, Any]:
            i, f, z, o = np.split(state[f"{name}_l0{suffix}"], 4)
            return np.concatenate([i, f, o, z])

        return {
            "weight_ih": sorted_gates("weight_ih"),
            "weight_hh": sorted_gates("weight_hh"),
            "bias": sorted_gates("bias_ih") + sorted_gates("bias_hh"),
        }

    arguments = ours("")
    if both:
        arguments |= {f"{name}_back": array for name, array in ours("_reverse").items()}
    results = values(
        lambda x, h, c: mb.lstm(
            x=x,
            initial_h=h,
            initial_c=c,
            direction="bidirectional" if both else "forward",
            output_sequence=every,
            **arguments,
        ),
        x=x,
        h=h,
        c=c,
    )

    def split(state: np.ndarray[Any, Any]) -> torch.Tensor:
        return torch.tensor(np.stack(np.split(state, directions, axis=1)))

    with torch.no_grad():
        sequence, (last_h, last_c) = reference(torch.tensor(x), (split(h), split(c)))
    if every:
        same(results[0], sequence)
    same(results[1], torch.cat(list(last_h), -1))
    same(results[2], torch.cat(list(last_c), -1))


@given(seed=seeds, length=st.integers(1, 4), batch=st.integers(1, 3))
def test_gru_with_the_reset_after_the_product(seed: int, length: int, batch: int) -> None:
    torch.manual_seed(seed)
    reference = torch.nn.GRU(3, 2)
    x, h = normal(seed, length, batch, 3), normal(seed + 1, batch, 2)
    state = {name: tensor.numpy() for name, tensor in reference.state_dict().items()}

    def sorted_gates(name: str) -> np.ndarray[Any, Any]:
        """PyTorch has reset, update, new; MIL has reset, new, update."""
        r, z, n = np.split(state[f"{name}_l0"], 3)
        return np.concatenate([r, n, z])

    results = values(
        lambda x, h: mb.gru(
            x=x,
            initial_h=h,
            weight_ih=sorted_gates("weight_ih"),
            weight_hh=sorted_gates("weight_hh"),
            input_bias=sorted_gates("bias_ih"),
            bias=sorted_gates("bias_hh"),
            reset_after=True,
            output_sequence=True,
        ),
        "iOS18",
        x=x,
        h=h,
    )
    with torch.no_grad():
        sequence, last = reference(torch.tensor(x), torch.tensor(h).unsqueeze(0))
    same(results[0], sequence)
    same(results[1], last[0])


@given(seed=seeds, axes=st.sampled_from([[-1], [1, 2], [0], [0, 2]]), affine=st.booleans())
def test_layer_norm(seed: int, axes: list[int], affine: bool) -> None:
    x = normal(seed, 3, 4, 5)
    shape = [x.shape[axis] for axis in axes]
    parameters = {"gamma": normal(seed + 1, *shape), "beta": normal(seed + 2, *shape)} if affine else {}
    result = value(lambda x: mb.layer_norm(x=x, axes=axes, epsilon=1e-3, **parameters), x=x)
    tensor = torch.tensor(x)
    variance, mean = torch.var_mean(tensor, axes, correction=0, keepdim=True)
    expected = (tensor - mean) / torch.sqrt(variance + 1e-3)
    if affine:
        broadcast = [size if axis in {a % 3 for a in axes} else 1 for axis, size in enumerate(x.shape)]
        expected = expected * torch.tensor(parameters["gamma"]).reshape(broadcast)
        expected = expected + torch.tensor(parameters["beta"]).reshape(broadcast)
    same(result, expected)


@given(seed=seeds, batch=st.sampled_from([(), (1,), (2,), (3, 2)]), x_t=st.booleans(), y_t=st.booleans())
def test_matmul_broadcasts(seed: int, batch: tuple[int, ...], x_t: bool, y_t: bool) -> None:
    x = normal(seed, *batch, *((4, 3) if x_t else (3, 4)))
    y = normal(seed + 1, *((5, 4) if y_t else (4, 5)))
    result = value(lambda x, y: mb.matmul(x=x, y=y, transpose_x=x_t, transpose_y=y_t), x=x, y=y)
    left, right = torch.tensor(x), torch.tensor(y)
    same(result, (left.mT if x_t else left) @ (right.mT if y_t else right))


@given(seed=seeds, data=st.data())
def test_compressed_constants_are_as_coremltools_decompresses_them(seed: int, data: Any) -> None:
    """Against the reference code of coremltools itself, for any grouping and vector size."""
    from coremltools.converters.mil.mil.ops.defs.iOS18 import compression as reference

    from convlint.mil import compression

    rng = np.random.default_rng(seed)
    groups = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    shape = tuple(count * data.draw(st.integers(1, 3)) for count in groups)
    bits = data.draw(st.sampled_from([1, 2, 4]))
    width, axis = data.draw(st.sampled_from([(1, None), (2, 0), (2, 1), (3, 1)]))
    lut = normal(seed, *groups, 2**bits, width)
    indices = rng.integers(0, 2**bits, shape).astype(np.uint8)
    tensors = torch.tensor(indices), torch.tensor(lut)
    same(
        reference.constexpr_lut_to_dense.decompress(indices, lut, axis),
        compression.constexpr_lut_to_dense(*tensors, vector_axis=axis),
    )
    numbers = rng.integers(-8, 8, shape).astype(np.int8)
    scale, offset = normal(seed + 1, *groups), rng.integers(-8, 8, groups).astype(np.int8)
    same(
        reference.constexpr_blockwise_shift_scale.decompress(numbers, scale, offset),
        compression.constexpr_blockwise_shift_scale(
            torch.tensor(numbers), torch.tensor(scale), torch.tensor(offset)
        ),
    )
    mask = rng.integers(0, 2, shape).astype(np.uint8)
    kept = indices[mask != 0]
    for ours, theirs in zip(
        compression.constexpr_lut_to_sparse(
            torch.tensor(mask), torch.tensor(kept), torch.tensor(lut), vector_axis=axis
        ),
        reference.constexpr_lut_to_sparse.decompress(mask, kept, lut, axis),
        strict=True,
    ):
        same(theirs, ours)
