"""One-op programs in MIL, under the names of the published table of one-op placements.

The study does not give every shape. Where it does not, these are of the same kind: the table is about which
op it is, and the limits that it names (a kernel of 17, an axis of 65537) are in the name of the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "one_op_m4.json"
IMAGE = (1, 64, 32, 32)


def published() -> dict[str, tuple[str, ...]]:
    """The units that each test of the study was offered."""
    data = json.loads(TABLE.read_text(encoding="utf-8"))
    return {name: tuple(units.split(",")) for name, units in data["units"].items()}


def programs(names: set[str]) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Name of each test, the op type that it is about, and how to make its MIL program."""
    for name, (kind, inputs, build) in _tests().items():
        if name in names:
            yield name, kind, lambda inputs=inputs, build=build: _program(inputs, build)


def _program(inputs: list[tuple[Any, ...]], build: Callable[..., Any]) -> Any:
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    kinds = {"h": types.fp16, "i": types.int32, "s": types.int16}
    specs = [mb.TensorSpec(shape, dtype=kinds[dtype]) for dtype, *shape in inputs]
    given: dict[int, Callable[..., Any]] = {
        1: lambda a: build(a),
        2: lambda a, b: build(a, b),
        3: lambda a, b, c: build(a, b, c),
        4: lambda a, b, c, d: build(a, b, c, d),
    }
    return mb.program(input_specs=specs, opset_version=ct.target.iOS18)(given[len(specs)])


Test = tuple[str, list[tuple[Any, ...]], Callable[..., Any]]


def _tests() -> dict[str, Test]:
    import numpy as np
    from coremltools.converters.mil.mil import Builder as mb

    half = np.float16
    x = ("h", *IMAGE)

    def data(*shape: int) -> Any:
        return np.random.default_rng(0).random(shape).astype(half)

    found: dict[str, Test] = {}

    def add(name: str, kind: str, build: Callable[..., Any], *inputs: tuple[Any, ...]) -> None:
        found[name] = (kind, list(inputs or (x,)), build)

    def unary(name: str, kind: str | None = None, *inputs: tuple[Any, ...], **arguments: Any) -> None:
        op = kind or name
        add(name, op, lambda x, op=op: getattr(mb, op)(x=x, **arguments), *inputs)

    for name in (
        "abs acos asin atan atanh ceil cos cosh erf exp exp2 floor relu relu6 round sigmoid sign silu sin "
        "sinh softplus softsign sqrt square tan tanh"
    ).split():
        unary(name)
    for name in ("inverse", "log", "rsqrt"):
        unary(name, epsilon=half(1e-4))
    unary("clip", alpha=half(0), beta=half(1))
    unary("elu", alpha=half(1))
    unary("leaky_relu", alpha=half(0.1))
    unary("hard_sigmoid", "sigmoid_hard", alpha=half(0.2), beta=half(0.5))
    unary("scaled_tanh", alpha=half(1), beta=half(1))
    unary("thresholded_relu", alpha=half(0.5))
    unary("prelu", alpha=data(64))
    for mode in ("exact", "sigmoid", "tanh"):
        name = {"exact": "EXACT", "sigmoid": "SIGMOID_APPROXIMATION", "tanh": "TANH_APPROXIMATION"}[mode]
        unary(f"gelu_{mode}", "gelu", mode=name)
    for name, op in (
        ("add", "add"), ("sub", "sub"), ("mul", "mul"), ("real_div", "real_div"), ("floor_div", "floor_div"),
        ("mod", "mod"), ("maximum", "maximum"), ("minimum", "minimum"), ("pow", "pow"), ("equal", "equal"),
        ("greater", "greater"), ("greater_equal", "greater_equal"), ("less", "less"),
        ("less_equal", "less_equal"), ("not_equal", "not_equal"),
    ):  # fmt: skip
        add(name, op, lambda x, y, op=op: getattr(mb, op)(x=x, y=y), x, x)
    for name, shape in {
        "batch": (2, 64, 32, 32), "both": (1, 1, 32, 1), "ch": (1, 64, 1, 1), "hw": (1, 1, 32, 32),
        "w": (1, 1, 1, 32),
    }.items():  # fmt: skip
        add(f"add_bc_{name}", "add", lambda x, y: mb.add(x=x, y=y), x, ("h", *shape))
    for name, op in (("add_i32", "add"), ("mul_i32", "mul")):
        add(name, op, lambda x, y, op=op: getattr(mb, op)(x=x, y=y), ("i", *IMAGE), ("i", *IMAGE))
    add("add_f32", "add", lambda x: mb.add(x=mb.cast(x=mb.cast(x=x, dtype="fp32"), dtype="fp16"), y=x))
    add("relu_f32", "relu", lambda x: mb.relu(x=mb.cast(x=mb.cast(x=x, dtype="fp32"), dtype="fp16")))
    add("pow_const", "pow", lambda x: mb.pow(x=x, y=half(3)))
    add("pow_half", "pow", lambda x: mb.pow(x=x, y=half(0.5)))
    greater = lambda x, y: mb.greater(x=x, y=y)  # noqa: E731
    add("logical_and", "logical_and", lambda x, y: mb.logical_and(x=greater(x, y), y=greater(y, x)), x, x)
    add("select", "select", lambda x, y: mb.select(cond=greater(x, y), a=x, b=y), x, x)
    add("fill_like", "fill_like", lambda x: mb.fill_like(ref_tensor=x, value=half(1)))

    for name, dtype in (("f16_f32", "fp32"), ("f16_i32", "int32"), ("f16_i8", "int8")):
        unary(f"cast_{name}", "cast", dtype=dtype)
    add("cast_i32_f16", "cast", lambda x: mb.cast(x=x, dtype="fp16"), ("i", *IMAGE))
    scale = {"scale": half(0.1), "zero_point": np.int8(0)}
    add("quantize_i8", "quantize", lambda x: mb.quantize(input=x, output_dtype="int8", **scale))
    add(
        "q_dq_i8",
        "dequantize",
        lambda x: mb.dequantize(input=mb.quantize(input=x, output_dtype="int8", **scale), **scale),
    )

    for name, kernel, more in (
        ("conv1x1", (1, 1), {}), ("conv3x3", (3, 3), {}), ("conv3x3_d2", (3, 3), {"dilations": [2, 2]}),
        ("conv7x7_s2", (7, 7), {"strides": [2, 2]}), ("conv_k17", (17, 17), {}), ("conv_k1x31", (1, 31), {}),
        ("conv_s5", (3, 3), {"strides": [5, 5]}),
    ):  # fmt: skip
        unary(name, "conv", weight=data(64, 64, *kernel), pad_type="same", **more)
    unary("conv3x3_dw", "conv", weight=data(64, 1, 3, 3), pad_type="same", groups=64)
    unary("conv1d", "conv", ("h", 1, 64, 128), weight=data(64, 64, 3), pad_type="same")
    unary("conv3d", "conv", ("h", 1, 8, 8, 16, 16), weight=data(8, 8, 3, 3, 3), pad_type="same")
    add("conv_dynw", "conv", lambda x, w: mb.conv(x=x, weight=w, pad_type="same"), x, ("h", 64, 64, 3, 3))
    unary("conv_transpose", "conv_transpose", weight=data(64, 64, 2, 2), strides=[2, 2])
    unary("conv_transpose_k3s2", "conv_transpose", weight=data(64, 64, 3, 3), strides=[2, 2])
    unary("conv_transpose_1d", "conv_transpose", ("h", 1, 64, 64), weight=data(64, 64, 2), strides=[2])
    unary(
        "conv_transpose_3d",
        "conv_transpose",
        ("h", 1, 8, 8, 8, 8),
        weight=data(8, 8, 2, 2, 2),
        strides=[2, 2, 2],
    )
    unary("linear", "linear", ("h", 1, 128), weight=data(256, 128))
    add("linear_act", "linear", lambda x: mb.relu(x=mb.linear(x=x, weight=data(256, 128))), ("h", 1, 128))
    unary("matmul_const", "matmul", ("h", 1, 128, 256), y=data(256, 128))
    for name, left, right, dtype in (
        ("matmul_dyn", (1, 128, 256), (1, 256, 128), "h"), ("matmul_bc", (4, 128, 256), (1, 256, 128), "h"),
        ("matmul_batched4d", (1, 8, 64, 64), (1, 8, 64, 64), "h"), ("matmul_i32", (1, 8, 8), (1, 8, 8), "i"),
    ):  # fmt: skip
        add(name, "matmul", lambda x, y: mb.matmul(x=x, y=y), (dtype, *left), (dtype, *right))
    pair = ("h", 1, 128, 256)
    add("matmul_dyn_tr", "matmul", lambda x, y: mb.matmul(x=x, y=y, transpose_y=True), pair, pair)
    wide = lambda x: mb.cast(x=mb.cast(x=x, dtype="fp32"), dtype="fp16")  # noqa: E731
    add("matmul_f32", "matmul", lambda x: mb.matmul(x=wide(x), y=data(256, 128)), pair)
    heads = ("h", 1, 8, 128, 64)
    attention = mb.scaled_dot_product_attention
    add(
        "sdpa",
        "scaled_dot_product_attention",
        lambda q, k, v: attention(query=q, key=k, value=v),
        *[heads] * 3,
    )
    add(
        "sdpa_mask",
        "scaled_dot_product_attention",
        lambda q, k, v, m: attention(query=q, key=k, value=v, attn_mask=m),
        *[heads] * 3,
        ("h", 1, 1, 128, 128),
    )

    window = {"strides": [1, 1], "pad_type": "same"}
    unary("avg_pool", kernel_sizes=[2, 2], **window)
    unary("max_pool", kernel_sizes=[3, 3], **window)
    unary("max_pool_k15", "max_pool", kernel_sizes=[15, 15], **window)
    unary("l2_pool", kernel_sizes=[2, 2], **window)
    deep = ("h", 1, 8, 8, 16, 16)
    unary("avg_pool3d", "avg_pool", deep, kernel_sizes=[2, 2, 2], strides=[2, 2, 2], pad_type="valid")
    unary("global_avg", "reduce_mean", axes=[2, 3], keep_dims=True)
    unary("batch_norm", mean=data(64), variance=data(64))
    unary("instance_norm", gamma=data(64), beta=data(64), epsilon=half(1e-3))
    unary("l2_norm", epsilon=half(1e-3))
    unary("lrn", "local_response_norm", size=5)
    for name, axes in (("c", [1]), ("chw", [1, 2, 3]), ("hw", [2, 3]), ("w", [3])):
        unary(f"layer_norm_{name}", "layer_norm", axes=axes, epsilon=half(1e-3))
    for axis, name in enumerate("nchw"):
        unary(f"softmax_{name}", "softmax", axis=axis)
    add("log_softmax", "log", lambda x: mb.log(x=mb.softmax(x=x, axis=1), epsilon=half(1e-4)))
    for name in "l1_norm l2_norm log_sum log_sum_exp max mean min prod sum sum_square".split():
        unary(f"reduce_{name}_c", f"reduce_{name}", axes=[1], keep_dims=True)
    unary("reduce_sum_w", "reduce_sum", axes=[3], keep_dims=True)
    unary("reduce_sum_all", "reduce_sum", axes=[0, 1, 2, 3], keep_dims=True)
    unary("reduce_argmax_c", "reduce_argmax", axis=1)
    unary("reduce_argmax_w", "reduce_argmax", axis=3)
    unary("argmax_flat", "reduce_argmax", ("h", 4096), axis=0)
    unary("argsort_w", "argsort", axis=3)
    unary("cumsum_c", "cumsum", axis=1)
    unary("cumsum_w", "cumsum", axis=3)
    short = {"sort": True, "return_indices": True, "output_indices_dtype": "uint16"}
    for name, axis, size in (("c", 1, 5), ("w", 3, 5), ("large", 1, 50)):
        add(f"topk_{name}", "topk", lambda x, k=size, axis=axis: mb.topk(x=x, k=k, axis=axis, **short)[0])
    unary("band_part", lower=2, upper=0)
    unary("nonzero", "non_zero", ("h", 8, 8))
    add("one_hot", "one_hot", lambda x: mb.one_hot(indices=x, one_hot_vector_size=10), ("i", 8))
    add(
        "range_1d",
        "range_1d",
        lambda x: mb.range_1d(start=np.int32(0), end=mb.squeeze(x=x), step=np.int32(1)),
        ("i", 1),
    )
    add(
        "random_normal",
        "random_normal",
        lambda x: mb.add(x=x, y=mb.random_normal(shape=[4, 4], mean=half(0), stddev=half(1))),
        ("h", 4, 4),
    )
    for name, op in (("gru", "gru"), ("lstm", "lstm"), ("rnn", "rnn")):
        gates = {"gru": 3, "lstm": 4, "rnn": 1}[name]
        states = {"initial_h": data(1, 16)} | ({"initial_c": data(1, 16)} if name == "lstm" else {})
        weights = {"weight_ih": data(16 * gates, 16), "weight_hh": data(16 * gates, 16)}
        add(
            name, op, lambda x, op=op, s=states, w=weights: getattr(mb, op)(x=x, **s, **w)[0], ("h", 8, 1, 16)
        )

    pads = {"constant": "CONSTANT", "reflect": "REFLECT", "replicate": "REPLICATE"}
    for name, mode in (("pad_const", "constant"), ("pad_reflect", "reflect"), ("pad_replicate", "replicate")):
        assert mode in pads
        unary(name, "pad", pad=[1, 1, 1, 1], mode=mode, constant_val=half(0))
    unary("pad_c", "pad", pad=[0, 0, 1, 1, 0, 0, 0, 0], mode="constant", constant_val=half(0))
    unary("upsample_bilinear", scale_factor_height=2, scale_factor_width=2)
    unary(
        "upsample_bilinear_ac",
        "upsample_bilinear",
        scale_factor_height=2,
        scale_factor_width=2,
        align_corners=True,
    )
    for name, size in (("upsample_nearest", 2), ("upsample_nearest_x3", 3)):
        unary(name, "upsample_nearest_neighbor", scale_factor_height=size, scale_factor_width=size)
    unary(
        "upsample_nearest_frac", "upsample_nearest_neighbor", scale_factor_height=1.5, scale_factor_width=1.5
    )
    for name, size in (("resize_bilinear", 64), ("resize_down", 16)):
        unary(name, "resize_bilinear", target_size_height=size, target_size_width=size)
    unary("resize_nearest", "resize_nearest_neighbor", target_size_height=64, target_size_width=64)
    grid = ("h", 1, 32, 32, 2)
    sampling = {"sampling_mode": "bilinear", "padding_mode": "constant", "padding_value": half(0)}
    sampling |= {"coordinates_mode": "normalized_minus_one_to_one", "align_corners": True}
    add("resample", "resample", lambda x, y: mb.resample(x=x, coordinates=y, **sampling), x, grid)
    add(
        "affine",
        "affine",
        lambda x, y: mb.affine(x=x, transform_matrix=y, output_height=32, output_width=32, **sampling),
        x,
        ("h", 1, 6),
    )
    add(
        "crop_resize",
        "crop_resize",
        lambda x, y: mb.crop_resize(x=x, boxes=y, target_height=8, target_width=8),
        x,
        ("h", 1, 4),
    )

    gather = {"validate_indices": False}
    some = np.arange(16, dtype=np.int32)
    add("gather_c", "gather", lambda x: mb.gather(x=x, indices=some, axis=1, **gather))
    add("gather_w", "gather", lambda x: mb.gather(x=x, indices=some, axis=3, **gather))
    add("gather_dyn", "gather", lambda x, i: mb.gather(x=x, indices=i, axis=1, **gather), x, ("s", 8))
    add("embedding", "gather", lambda i: mb.gather(x=data(1000, 64), indices=i, axis=0, **gather), ("s", 8))
    add(
        "gather_along_axis",
        "gather_along_axis",
        lambda x, i: mb.gather_along_axis(x=x, indices=i, axis=1, **gather),
        ("h", 1, 8, 8),
        ("s", 1, 4, 8),
    )
    add(
        "gather_nd",
        "gather_nd",
        lambda x, i: mb.gather_nd(x=x, indices=i, **gather),
        ("h", 8, 8),
        ("s", 4, 2),
    )
    updates = ("h", 8, 64)
    add(
        "scatter",
        "scatter",
        lambda x, u: mb.scatter(data=x, indices=some[:8], updates=u, axis=0, mode="add", **gather),
        ("h", 32, 64),
        updates,
    )
    lanes = np.zeros((8, 64), np.int32)
    add(
        "scatter_along_axis",
        "scatter_along_axis",
        lambda x, u: mb.scatter_along_axis(data=x, indices=lanes, updates=u, axis=0, mode="add", **gather),
        ("h", 32, 64),
        updates,
    )
    add("concat_c", "concat", lambda x, y: mb.concat(values=[x, y], axis=1), x, x)
    add("concat_n", "concat", lambda x, y: mb.concat(values=[x, y], axis=0), x, x)
    add("concat_w", "concat", lambda x, y: mb.concat(values=[x, y], axis=3), x, x)
    add("concat_interleave", "concat", lambda x, y: mb.concat(values=[x, y], axis=1, interleave=True), x, x)
    add("stack", "stack", lambda x, y: mb.stack(values=[x, y], axis=0), x, x)
    add("split_c", "split", lambda x: mb.split(x=x, num_splits=2, axis=1)[0])
    for name, perm in (
        ("transpose_cw", [0, 3, 2, 1]), ("transpose_hw", [0, 1, 3, 2]), ("transpose_nc", [1, 0, 2, 3]),
    ):  # fmt: skip
        unary(name, "transpose", perm=perm)
    unary("transpose_r5", "transpose", ("h", 1, 2, 4, 8, 16), perm=[0, 2, 1, 4, 3])
    unary("reshape", shape=[1, 64, 1024])
    unary("reshape_split_c", "reshape", shape=[1, 8, 8, 32, 32])
    add("squeeze_expand", "squeeze", lambda x: mb.squeeze(x=mb.expand_dims(x=x, axes=[0]), axes=[0]))
    unary("reverse_w", "reverse", axes=[3])
    unary("tile", reps=[1, 2, 1, 1])
    unary("slice_c", "slice_by_index", begin=[0, 8, 0, 0], end=[1, 40, 32, 32])
    unary("slice_w_stride2", "slice_by_index", begin=[0] * 4, end=list(IMAGE), stride=[1, 1, 1, 2])
    unary("slice_by_size", begin=[0, 8, 0, 0], size=[1, 16, 32, 32])
    add(
        "slice_dyn",
        "slice_by_size",
        lambda x, b: mb.slice_by_size(x=x, begin=b, size=[1, 16, 32, 32]),
        x,
        ("i", 4),
    )
    unary("sliding_windows", axis=3, size=4, stride=2)
    unary("depth_to_space", block_size=2)
    unary("space_to_depth", block_size=2)
    unary("pixel_shuffle", upscale_factor=2)
    unary("pixel_unshuffle", downscale_factor=np.uint32(2))
    blocks = {"block_shape": [2, 2]}
    unary("space_to_batch", paddings=np.zeros((2, 2), np.int32), **blocks)
    unary("batch_to_space", "batch_to_space", ("h", 4, 8, 8, 8), crops=np.zeros((2, 2), np.int32), **blocks)

    for axis, position in (("c", 1), ("h", 2), ("w", 3)):
        for size in (16384, 16385, 65536, 65537):
            shape = [1, 1, 1, 1]
            shape[position] = size
            unary(f"relu_{axis}{size}", "relu", ("h", *shape))
    unary("relu_n64", "relu", ("h", 64, 8, 8, 8))
    for rank in (1, 2, 3, 5):
        unary(f"relu_r{rank}", "relu", ("h", *[4] * rank))
    known = published()
    return {name: test for name, test in found.items() if name in known}
