"""Samples of the operations that compute: element by element, over axes, and in products."""

from __future__ import annotations

import math
from collections.abc import Callable
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
    positive,
    shape,
    since,
    yes,
)
from torch.nn import functional as F


def wide(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype.kind == "f" else x


def torch_of(x: Array) -> torch.Tensor:
    return torch.tensor(wide(x))


UNARY: dict[str, Callable[[Array], Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "asin": np.arcsin,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": lambda x: torch.erf(torch.tensor(x)).numpy(),
    "exp": np.exp,
    "exp2": np.exp2,
    "floor": np.floor,
    "round": np.round,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "sqrt": np.sqrt,
    "square": np.square,
    "tan": np.tan,
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
}


def unary(op: str, r: Random) -> Sample:
    dtype = one(r, FLOATS)
    size = shape(r, 1, 5)
    if op in ("acos", "asin", "atanh"):
        x = r.uniform(-0.9, 0.9, size).astype(dtype)
    elif op == "tan":
        x = r.uniform(-1.2, 1.2, size).astype(dtype)
    else:
        x = positive(r, size, dtype) if op == "sqrt" else numbers(r, size, dtype)
    return Sample(op, {"x": x}, {}, since(r, "iOS15"), [UNARY[op](wide(x))])


BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "add": np.add,
    "equal": np.equal,
    "floor_div": np.floor_divide,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "less": np.less,
    "less_equal": np.less_equal,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "mod": np.mod,
    "mul": np.multiply,
    "not_equal": np.not_equal,
    "pow": np.power,
    "real_div": np.true_divide,
    "sub": np.subtract,
}


def broadcast(r: Random) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes of any ranks that broadcast."""
    size = shape(r, 1, 4)
    cut = int(r.integers(0, len(size)))
    short = tuple(1 if r.random() < 0.3 else s for s in size[cut:])
    long = tuple(1 if r.random() < 0.2 else s for s in size)
    return (long, short) if yes(r) else (short, long)


def binary(op: str, r: Random) -> Sample:
    dtype = one(r, (*FLOATS, np.int32))
    left, right = broadcast(r)
    x, y = numbers(r, left, dtype), numbers(r, right, dtype)
    if op in ("floor_div", "mod", "real_div"):
        # Quotients near a whole number would make rounding at half precision a matter of luck.
        x = np.round(x) if x.dtype == np.float16 else x
        y = np.where(np.abs(y) < 0.5, y.dtype.type(2), np.round(y)).astype(y.dtype)
    if op == "pow":
        x, y = (np.abs(v) + v.dtype.type(1) for v in (x, y))
        y = np.minimum(y, y.dtype.type(3))
    expected = BINARY[op](wide(x), wide(y))
    if op == "real_div" and dtype is np.int32:
        expected = np.trunc(expected)
    return Sample(op, {"x": x, "y": y}, {}, since(r, "iOS15"), [expected])


LOGICAL = {"logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor}


def logical(op: str, r: Random) -> Sample:
    left, right = broadcast(r)
    x, y = numbers(r, left, bool), numbers(r, right, bool)
    return Sample(op, {"x": x, "y": y}, {}, since(r, "iOS15"), [LOGICAL[op](x, y)])


def logical_not(r: Random) -> Sample:
    x = numbers(r, shape(r), bool)
    return Sample("logical_not", {"x": x}, {}, since(r, "iOS15"), [~x])


def parametric(op: str, r: Random) -> Sample:
    """Functions of a number and constants, which from iOS17 on have their own dtype."""
    target = since(r, "iOS15")
    dtype = one(r, FLOATS)
    x = numbers(r, shape(r, 1, 5), dtype)
    kind = one(r, FLOATS) if target in ("iOS17", "iOS18") and op not in ("clip", "threshold") else dtype
    a, b = (kind(round(float(v), 3)) for v in r.uniform(0.1, 2, 2))
    v = wide(x)
    alpha, beta = float(a), float(b)
    both = {"alpha": a, "beta": b}
    functions: dict[str, tuple[dict[str, Any], Array]] = {
        "clamped_relu": (both, np.minimum(beta, np.where(v >= 0, v, alpha * v))),
        "clip": ({"alpha": -a, "beta": b}, np.clip(v, -alpha, beta)),
        "elu": ({"alpha": a}, np.where(v > 0, v, alpha * np.expm1(np.minimum(v, 0)))),
        "leaky_relu": ({"alpha": a}, np.where(v >= 0, v, alpha * v)),
        "linear_activation": (both, v * alpha + beta),
        "scaled_tanh": (both, alpha * np.tanh(beta * v)),
        "sigmoid_hard": (both, np.clip(alpha * v + beta, 0, 1)),
        "threshold": ({"alpha": a}, np.maximum(v, alpha)),
        "thresholded_relu": ({"alpha": a}, np.where(v >= alpha, v, 0)),
    }
    parameters, expected = functions[op]
    return Sample(op, {"x": x}, parameters, target, [expected])


PARAMETRIC = (
    "clamped_relu",
    "clip",
    "elu",
    "leaky_relu",
    "linear_activation",
    "scaled_tanh",
    "sigmoid_hard",
    "threshold",
    "thresholded_relu",
)


def epsilons(op: str, r: Random) -> Sample:
    target, dtype = since(r, "iOS15"), one(r, FLOATS)
    kind = one(r, FLOATS) if target in ("iOS17", "iOS18") else dtype
    x = positive(r, shape(r), dtype)
    parameters: dict[str, Any] = {} if yes(r) else {"epsilon": kind(0.5)}
    default = {"inverse": 1e-4, "log": 1e-45, "rsqrt": 1e-12}[op]
    shifted = wide(x) + float(parameters.get("epsilon", default))
    expected = {"inverse": 1 / shifted, "log": np.log(shifted), "rsqrt": 1 / np.sqrt(shifted)}[op]
    return Sample(op, {"x": x}, parameters, target, [expected])


def gelu(r: Random) -> Sample:
    x = numbers(r, shape(r), one(r, FLOATS))
    mode = one(r, ("EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"))
    v = wide(x)
    inner = math.sqrt(2 / math.pi) * (v + 0.044715 * v**3)
    expected = {
        "EXACT": 0.5 * v * (1 + UNARY["erf"](v / math.sqrt(2))),
        "TANH_APPROXIMATION": 0.5 * v * (1 + np.tanh(inner)),
        "SIGMOID_APPROXIMATION": v / (1 + np.exp(-1.702 * v)),
    }[mode]
    return Sample("gelu", {"x": x}, {"mode": mode}, since(r, "iOS15"), [expected])


def per_channel(op: str, r: Random) -> Sample:
    target, dtype = since(r, "iOS15"), one(r, FLOATS)
    x = numbers(r, shape(r, 4, 4) if op == "softplus_parametric" else shape(r, 3, 5), dtype)
    kind = one(r, FLOATS) if target in ("iOS17", "iOS18") else dtype
    alpha, beta = positive(r, (x.shape[1],), kind), positive(r, (x.shape[1],), kind)
    if op == "prelu" and x.ndim != 4:  # coremltools takes no others
        alpha[:] = alpha[0]
    sizes = [1, -1] + [1] * (x.ndim - 2)
    a, b, v = wide(alpha).reshape(sizes), wide(beta).reshape(sizes), wide(x)
    if op == "prelu":
        return Sample(op, {"x": x}, {"alpha": alpha}, target, [np.where(v > 0, v, a * v)])
    expected = a * np.log1p(np.exp(b * v))
    return Sample(op, {"x": x}, {"alpha": alpha, "beta": beta}, target, [expected])


def softmax(r: Random) -> Sample:
    x = numbers(r, shape(r), one(r, FLOATS))
    along = axis(r, x.ndim)
    expected = torch_of(x).softmax(along).numpy()
    return Sample("softmax", {"x": x}, {"axis": along}, since(r, "iOS15"), [expected])


def cast(r: Random) -> Sample:
    """Between all dtypes; numbers outside the range of the target are not defined."""
    target = since(r, "iOS15")
    new = (np.int8, np.uint8, np.int16, np.uint16) if target in ("iOS17", "iOS18") else ()
    kinds = (np.float32, np.float16, np.int32, np.bool_, *new)
    from_, to = one(r, kinds), np.dtype(one(r, kinds))
    x = numbers(r, shape(r), from_)
    if to.kind == "u":
        x = np.abs(x) if x.dtype != bool else x
    name = {"float32": "fp32", "float16": "fp16"}.get(to.name, to.name)
    return Sample("cast", {"x": x}, {"dtype": name}, target, [x.astype(to)])


REDUCE: dict[str, Callable[[Array, tuple[int, ...], bool], Array]] = {
    "reduce_l1_norm": lambda x, a, k: np.abs(x).sum(a, keepdims=k),
    "reduce_l2_norm": lambda x, a, k: np.sqrt(np.square(x).sum(a, keepdims=k)),
    "reduce_log_sum": lambda x, a, k: np.log(x.sum(a, keepdims=k)),
    "reduce_log_sum_exp": lambda x, a, k: np.log(np.exp(x).sum(a, keepdims=k)),
    "reduce_max": lambda x, a, k: x.max(a, keepdims=k),
    "reduce_mean": lambda x, a, k: x.mean(a, keepdims=k),
    "reduce_min": lambda x, a, k: x.min(a, keepdims=k),
    "reduce_prod": lambda x, a, k: x.prod(a, keepdims=k),
    "reduce_sum": lambda x, a, k: x.sum(a, keepdims=k),
    "reduce_sum_square": lambda x, a, k: np.square(x).sum(a, keepdims=k),
}
"""Of integers the first seven give numbers that are no integers; those are left out here."""

WHOLE = {"reduce_l1_norm", "reduce_max", "reduce_min", "reduce_prod", "reduce_sum", "reduce_sum_square"}


def reduction(op: str, r: Random) -> Sample:
    dtype = one(r, (*FLOATS, np.int32)) if op in WHOLE else one(r, FLOATS)
    size = shape(r)
    x = positive(r, size, dtype) if op == "reduce_log_sum" else numbers(r, size, dtype, 1.0)
    parameters: dict[str, Any] = {"keep_dims": True} if yes(r) else {}
    axes = tuple(range(x.ndim))
    if r.random() < 0.8:
        parameters["axes"] = chosen_axes(r, x.ndim)
        axes = tuple(a % x.ndim for a in parameters["axes"])
    expected = REDUCE[op](wide(x), axes, "keep_dims" in parameters)
    if x.dtype == np.int32:
        expected = expected.astype(np.int32)  # a product that is too large wraps on both sides
    return Sample(op, {"x": x}, parameters, since(r, "iOS15"), [expected])


def arg(op: str, r: Random) -> Sample:
    x = distinct(r, shape(r), one(r, (*FLOATS, np.int32)))
    along, keep = axis(r, x.ndim), yes(r)
    find = np.argmax if op == "reduce_argmax" else np.argmin
    parameters: dict[str, Any] = {"axis": along, "keep_dims": keep}
    target = since(r, "iOS15")
    if target in ("iOS17", "iOS18") and yes(r):
        parameters["output_dtype"] = "uint16"
    return Sample(op, {"x": x}, parameters, target, [find(x, along, keepdims=keep)])


def cumsum(r: Random) -> Sample:
    x = numbers(r, shape(r), one(r, (*FLOATS, np.int32)))
    along, exclusive, reverse = int(r.integers(-1, x.ndim)), yes(r), yes(r)
    turned = np.flip(wide(x), along) if reverse else wide(x)
    total = turned.cumsum(along)
    if exclusive:
        total = total - turned
    expected = np.flip(total, along) if reverse else total
    parameters = {"axis": along, "exclusive": exclusive, "reverse": reverse}
    return Sample("cumsum", {"x": x}, parameters, since(r, "iOS15"), [expected])


def matmul(r: Random) -> Sample:
    dtype = one(r, (*FLOATS, np.int32))
    k = int(r.integers(1, 5))
    batch_x, batch_y = broadcast(r) if yes(r) else ((), ())
    x_t, y_t = yes(r), yes(r)
    rows, columns = int(r.integers(1, 5)), int(r.integers(1, 5))
    x = numbers(r, (*batch_x[:2], *((k, rows) if x_t else (rows, k))), dtype, 1.0)
    y = numbers(r, (*batch_y[:2], *((columns, k) if y_t else (k, columns))), dtype, 1.0)
    if len(batch_x[:2]) != len(batch_x) or len(batch_y[:2]) != len(batch_y):
        x, y = (v.reshape(-1, *v.shape[-2:])[:1] for v in (x, y))
    expected = (wide(x).swapaxes(-1, -2) if x_t else wide(x)) @ (wide(y).swapaxes(-1, -2) if y_t else wide(y))
    parameters = {"transpose_x": x_t, "transpose_y": y_t}
    return Sample("matmul", {"x": x, "y": y}, parameters, since(r, "iOS15"), [expected])


def linear(r: Random) -> Sample:
    dtype = one(r, FLOATS)
    size = shape(r, 1, 3)
    x, weight = numbers(r, size, dtype, 1.0), numbers(r, (3, size[-1]), dtype, 1.0)
    parameters: dict[str, Any] = {"weight": weight}
    expected = wide(x) @ wide(weight).T
    if yes(r):
        parameters["bias"] = numbers(r, (3,), dtype)
        expected = expected + wide(parameters["bias"])
    return Sample("linear", {"x": x}, parameters, since(r, "iOS15"), [expected])


def attention(r: Random) -> Sample:
    dtype = one(r, FLOATS)
    batch = shape(r, 1, 2, 3)
    q, s, e, v = (int(n) for n in r.integers(1, 5, 4))
    query, key = numbers(r, (*batch, q, e), dtype, 1.0), numbers(r, (*batch, s, e), dtype, 1.0)
    value = numbers(r, (*batch, s, v), dtype, 1.0)
    tensors = {"query": query, "key": key, "value": value}
    mask = None
    if yes(r):
        tensors["attn_mask"] = numbers(r, (q, s), one(r, (bool, dtype)), 1.0)
        if tensors["attn_mask"].dtype == bool:
            tensors["attn_mask"][:, 0] = True  # a row that sees nothing is a test of its own
        mask = torch_of(tensors["attn_mask"])
    expected = F.scaled_dot_product_attention(*map(torch_of, (query, key, value)), attn_mask=mask).numpy()
    return Sample("scaled_dot_product_attention", tensors, {}, "iOS18", [expected])


def einsum(r: Random) -> Sample:
    dtype = one(r, FLOATS)
    n, c, h, w, u = (int(v) for v in r.integers(1, 5, 5))
    if yes(r):
        x, y = numbers(r, (n, c, h, w), dtype, 1.0), numbers(r, (n, w, h, u), dtype, 1.0)
        equation = one(r, ("nchw,nwhu->nchu", "abcd,adce->abce"))
    else:
        x, y = numbers(r, (c, h, w), dtype, 1.0), numbers(r, (w, h, u), dtype, 1.0)
        equation = "chw,whr->chr"
    expected = np.einsum(equation, wide(x), wide(y))
    return Sample("einsum", {"x": x, "y": y}, {"equation": equation}, since(r, "iOS15"), [expected])


def select(r: Random) -> Sample:
    x = numbers(r, shape(r), one(r, (*FLOATS, np.int32, bool)))
    cond, b = numbers(r, x.shape, bool), numbers(r, x.shape, x.dtype)
    return Sample("select", {"cond": cond, "a": x, "b": b}, {}, since(r, "iOS15"), [np.where(cond, x, b)])


ARITHMETIC: dict[str, Sampler] = {
    **{op: partial(unary, op) for op in UNARY},
    **{op: partial(binary, op) for op in BINARY},
    **{op: partial(logical, op) for op in LOGICAL},
    **{op: partial(parametric, op) for op in PARAMETRIC},
    **{op: partial(epsilons, op) for op in ("inverse", "log", "rsqrt")},
    **{op: partial(per_channel, op) for op in ("prelu", "softplus_parametric")},
    **{op: partial(reduction, op) for op in REDUCE},
    **{op: partial(arg, op) for op in ("reduce_argmax", "reduce_argmin")},
    "cast": cast,
    "cumsum": cumsum,
    "einsum": einsum,
    "gelu": gelu,
    "linear": linear,
    "logical_not": logical_not,
    "matmul": matmul,
    "scaled_dot_product_attention": attention,
    "select": select,
    "softmax": softmax,
}
