"""Ops between layers, in MIL: a study's models in which Core ML on an M4 chose the unit of every op.

Each input and the output of an op lies behind two 3x3 convolutions with relu (four axes) or two linears with
relu (three), of the sizes that the study gives:
https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/blob/5cb462b/tools/03_compile/opdispatch_gen.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

PUBLISHED = (
    "https://github.com/751K/Apple-Neural-Engine-Microarchitecture-Study-M6/blob/5cb462b/data/03_compile/"
    "opdispatch/plan_ctx_cpune.tsv"
)
IMAGE = (1, 64, 32, 32)
ROWS = (1, 128, 256)

ENGINE = (
    "abs atan ceil clip cos elu erf exp exp2 floor gelu hard_sigmoid instance_norm inverse l2_norm "
    "layer_norm_c layer_norm_hw leaky_relu log max_pool pow_const relu6 reverse round rsqrt sigmoid "
    "sign silu sin softmax_c softmax_w softplus softsign sqrt square tanh batch_norm conv1x1 conv3x3 "
    "conv3x3_dw conv7x7_s2 conv_transpose conv_transpose_k3s2 gather_w pad pixel_unshuffle "
    "space_to_depth slice_stride transpose_hw transpose_cw transpose_nc upsample_bilinear "
    "upsample_nearest resize_bilinear tile add sub mul real_div maximum pow floor_div add_bc_hw "
    "concat_c concat_w greater linear matmul_const matmul_dyn matmul_dyn_tr conv1d conv_transpose_1d "
    "reshape relu_rows select"
).split()
"""Every op on the Neural Engine; the last relu costs the same on either unit, and lay on both."""
PROCESSOR = (
    "acos asin cosh sinh tan cumsum avg_pool global_avg reduce_mean_c reduce_sum_w reduce_max_c "
    "slice_by_size slice_c split_c gather_c depth_to_space pixel_shuffle conv_s5 conv_k17 conv_k1x31 "
    "max_pool_k15 add_bc_both matmul_batched4d matmul_bc sdpa sdpa_mask relu_c65536 squeeze_expand "
    "reduce_sum_all"
).split()
"""Every op on the CPU."""
MIXED = {"mod": "AAAAAAA.CCCCC", "band_part": "AAAACAAAA", "sliding_windows": "AAA.CCCCC"}
"""The unit of each op; a dot where the study's estimates are the same on both."""


def published(name: str, count: int) -> str:
    """The units of the ``count`` ops of one model, a letter each."""
    if name in MIXED:
        return MIXED[name]
    return "C" * count if name in PROCESSOR else "A" * (count - 1) + "."


def programs() -> Iterator[tuple[str, Callable[[], Any]]]:
    """The name of each test, and how to make its MIL program."""
    tests = _tests()
    for name in (*ENGINE, *PROCESSOR, *MIXED):
        shapes, build = tests[name]
        yield name, lambda shapes=shapes, build=build: _program(shapes, build)


def _program(shapes: list[tuple[int, ...]], build: Callable[..., Any]) -> Any:
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    specs = [mb.TensorSpec(shape, dtype=types.fp16) for shape in shapes]

    def body(*inputs: Any) -> Any:
        return _wrapped(build(*map(_wrapped, inputs)))

    given: dict[int, Callable[..., Any]] = {
        1: lambda a: body(a),
        2: lambda a, b: body(a, b),
        3: lambda a, b, c: body(a, b, c),
        4: lambda a, b, c, d: body(a, b, c, d),
    }
    return mb.program(input_specs=specs, opset_version=ct.target.iOS18)(given[len(specs)])


def _data(*shape: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).random(shape).astype(np.float16)


def _wrapped(x: Any) -> Any:
    from coremltools.converters.mil.mil import Builder as mb

    if len(x.shape) not in (3, 4):
        return x
    for _ in range(2):
        channels = x.shape[1]
        if len(x.shape) == 3:
            x = mb.linear(x=x, weight=_data(x.shape[2], x.shape[2]))
        elif channels <= 512:
            x = mb.conv(x=x, weight=_data(channels, channels, 3, 3), pad_type="same")
        else:
            x = mb.conv(x=x, weight=_data(channels, 1, 3, 3), pad_type="same", groups=channels)
        x = mb.relu(x=x)
    return x


Test = tuple[list[tuple[int, ...]], Callable[..., Any]]


def _tests() -> dict[str, Test]:
    import numpy as np
    from coremltools.converters.mil.mil import Builder as mb

    half = np.float16
    found: dict[str, Test] = {}

    def add(name: str, build: Callable[..., Any], *shapes: tuple[int, ...]) -> None:
        found[name] = (list(shapes or (IMAGE,)), build)

    def unary(name: str, kind: str = "", shape: tuple[int, ...] = IMAGE, **arguments: Any) -> None:
        add(name, lambda x: getattr(mb, kind or name)(x=x, **arguments), shape)

    for name in (
        "abs acos asin atan ceil cos cosh erf exp exp2 floor relu6 round sigmoid sign silu sin sinh softplus "
        "softsign sqrt square tan tanh"
    ).split():
        unary(name)
    for name in ("inverse", "log", "rsqrt"):
        unary(name, epsilon=half(1e-4))
    unary("clip", alpha=half(-1), beta=half(1))
    unary("elu", alpha=half(1))
    unary("leaky_relu", alpha=half(0.1))
    unary("gelu", mode="EXACT")
    unary("hard_sigmoid", "sigmoid_hard", alpha=half(0.2), beta=half(0.5))
    unary("pow_const", "pow", y=half(3))
    for name in ("add", "sub", "mul", "real_div", "maximum", "pow", "floor_div", "mod"):
        add(name, lambda x, y, name=name: getattr(mb, name)(x=x, y=y), IMAGE, IMAGE)
    add("add_bc_hw", lambda x, y: mb.add(x=x, y=y), IMAGE, (1, 1, 32, 32))
    add("add_bc_both", lambda x, y: mb.add(x=x, y=y), (1, 64, 1, 32), (1, 1, 32, 1))
    add("greater", lambda x, y: mb.cast(x=mb.greater(x=x, y=y), dtype="fp16"), IMAGE, IMAGE)
    add("select", lambda m, x, y: mb.select(cond=mb.greater(x=m, y=half(0)), a=x, b=y), IMAGE, IMAGE, IMAGE)

    same = {"pad_type": "same"}
    for name, shape, more in (
        ("conv1x1", (64, 64, 1, 1), {}), ("conv3x3", (64, 64, 3, 3), same),
        ("conv_s5", (64, 64, 5, 5), {"strides": [5, 5]}),
        ("conv3x3_dw", (64, 1, 3, 3), {**same, "groups": 64}),
        ("conv7x7_s2", (64, 64, 7, 7), {**same, "strides": [2, 2]}),
        ("conv_k17", (64, 64, 17, 17), same), ("conv_k1x31", (64, 64, 1, 31), same),
    ):  # fmt: skip
        unary(name, "conv", weight=_data(*shape), **more)
    unary("conv1d", "conv", (1, 64, 1024), weight=_data(64, 64, 3), **same)
    unary("conv_transpose", weight=_data(64, 64, 2, 2), strides=[2, 2])
    unary("conv_transpose_k3s2", "conv_transpose", weight=_data(64, 64, 3, 3), strides=[2, 2], **same)
    unary("conv_transpose_1d", "conv_transpose", (1, 64, 256), weight=_data(64, 64, 4), strides=[2])
    add("linear", lambda x: mb.linear(x=x, weight=_data(512, 256)), ROWS)
    add("matmul_const", lambda x: mb.matmul(x=x, y=_data(256, 512)), ROWS)
    for name, left, right in (
        ("matmul_dyn", ROWS, (1, 256, 128)), ("matmul_batched4d", (1, 8, 128, 64), (1, 8, 64, 128)),
        ("matmul_bc", (1, 8, 128, 64), (1, 1, 64, 128)),
    ):  # fmt: skip
        add(name, lambda x, y: mb.matmul(x=x, y=y), left, right)
    add("matmul_dyn_tr", lambda x, y: mb.matmul(x=x, y=y, transpose_y=True), ROWS, ROWS)
    heads, attention = (1, 8, 128, 64), mb.scaled_dot_product_attention
    add("sdpa", lambda q, k, v: attention(query=q, key=k, value=v), heads, heads, heads)
    add(
        "sdpa_mask",
        lambda q, k, v, m: attention(query=q, key=k, value=v, attn_mask=m),
        heads, heads, heads, (1, 1, 128, 128),
    )  # fmt: skip

    unary("avg_pool", kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid")
    for name, size in (("max_pool", 3), ("max_pool_k15", 15)):
        unary(name, "max_pool", kernel_sizes=[size, size], strides=[1, 1], **same)
    unary("global_avg", "reduce_mean", axes=[2, 3], keep_dims=True)
    unary("batch_norm", mean=_data(64), variance=_data(64) + half(1))
    unary("instance_norm", gamma=_data(64), beta=_data(64))
    unary("l2_norm", epsilon=half(1e-4))
    unary("layer_norm_c", "layer_norm", axes=[1], epsilon=half(1e-4))
    unary("layer_norm_hw", "layer_norm", axes=[2, 3], epsilon=half(1e-4))
    unary("softmax_c", "softmax", axis=1)
    unary("softmax_w", "softmax", axis=3)
    for name in ("max", "mean"):
        unary(f"reduce_{name}_c", f"reduce_{name}", axes=[1], keep_dims=True)
    unary("reduce_sum_w", "reduce_sum", axes=[3], keep_dims=True)
    unary("reduce_sum_all", "reduce_sum", axes=[0, 1, 2, 3], keep_dims=True)
    unary("cumsum", axis=3)
    unary("band_part", shape=(1, 128, 128), lower=-1, upper=0)
    unary("sliding_windows", shape=(1, 64, 256), axis=2, size=8, stride=4)

    unary("pad", pad=[1, 1, 1, 1], mode="constant", constant_val=half(0))
    unary("upsample_bilinear", scale_factor_height=2, scale_factor_width=2)
    unary("upsample_nearest", "upsample_nearest_neighbor", scale_factor_height=2, scale_factor_width=2)
    unary("resize_bilinear", target_size_height=48, target_size_width=48)
    some = np.arange(32, dtype=np.int32)
    add("gather_c", lambda x: mb.gather(x=x, indices=some, axis=1, validate_indices=False))
    add("gather_w", lambda x: mb.gather(x=x, indices=some[:16], axis=3, validate_indices=False))
    add("concat_c", lambda x, y: mb.concat(values=[x, y], axis=1), IMAGE, IMAGE)
    add("concat_w", lambda x, y: mb.concat(values=[x, y], axis=3), IMAGE, IMAGE)
    add("split_c", lambda x: mb.split(x=x, num_splits=2, axis=1)[0])
    unary("transpose_hw", "transpose", perm=[0, 1, 3, 2])
    unary("transpose_cw", "transpose", perm=[0, 3, 2, 1])
    unary("transpose_nc", "transpose", (8, 64, 16, 16), perm=[1, 0, 2, 3])
    add("reshape", lambda x: mb.reshape(x=x, shape=[1, 64, 1024]))
    add(
        "squeeze_expand",
        lambda x: mb.expand_dims(x=mb.squeeze(x=x, axes=[2]), axes=[3]),
        (1, 64, 1, 32),
    )
    unary("reverse", axes=[3])
    unary("tile", reps=[1, 2, 1, 2])
    unary("slice_c", "slice_by_index", begin=[0, 8, 0, 0], end=[1, 40, 32, 32])
    unary("slice_stride", "slice_by_index", begin=[0] * 4, end=list(IMAGE), stride=[1, 1, 1, 2])
    unary("slice_by_size", begin=[0, 0, 4, 4], size=[1, 64, 16, 16])
    unary("depth_to_space", block_size=2)
    unary("space_to_depth", block_size=2)
    unary("pixel_shuffle", upscale_factor=2)
    unary("pixel_unshuffle", downscale_factor=np.uint32(2))
    add("relu_rows", lambda x: mb.relu(x=x), ROWS)
    add("relu_c65536", lambda x: mb.relu(x=x), (1, 65536, 1, 1))
    return found
