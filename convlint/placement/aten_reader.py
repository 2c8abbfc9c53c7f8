"""Reads captured ATen ops as the operations of a plan, where there is no MIL program."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from convlint.coreml.targets import DEFAULT_TARGET, order
from convlint.model import Graph, OpCall, TensorArg, TensorMeta
from convlint.placement.attributes import convolution, plane, shrinks
from convlint.placement.operations import Operation
from convlint.trial.run import CREATORS

_KINDS = {
    "conv": "conv1d conv2d conv3d convolution _convolution",
    "conv_transpose": "conv_transpose1d conv_transpose2d conv_transpose3d",
    "linear": "linear addmm",
    "matmul": "mm bmm matmul baddbmm dot mv",
    "scaled_dot_product_attention": "_scaled_dot_product_flash_attention_for_cpu",
    "max_pool": "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices",
    "avg_pool": "avg_pool1d avg_pool2d avg_pool3d",
    "reduce_mean": "mean adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d var std var_mean",
    "reduce_max": "amax adaptive_max_pool2d adaptive_max_pool1d",
    "reduce_min": "amin",
    "reduce_sum": "sum any all count_nonzero",
    "reduce_prod": "prod",
    "reduce_l2_norm": "linalg_vector_norm norm",
    "reduce_log_sum_exp": "logsumexp",
    "reduce_argmax": "argmax",
    "reduce_argmin": "argmin",
    "argsort": "argsort sort",
    "batch_norm": "_native_batch_norm_legit_no_training native_batch_norm _native_batch_norm_legit",
    "layer_norm": "native_layer_norm rms_norm",
    "instance_norm": "group_norm native_group_norm",
    "softmax": "_softmax softmin safe_softmax log_softmax _log_softmax",
    "real_div": "div true_divide reciprocal",
    "floor_div": "floor_divide",
    "mod": "remainder fmod",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "equal": "eq",
    "not_equal": "ne",
    "logical_and": "bitwise_and",
    "logical_or": "bitwise_or",
    "logical_not": "bitwise_not",
    "logical_xor": "bitwise_xor",
    "select": "where masked_fill",
    "clip": "clamp hardtanh clamp_min clamp_max",
    "sigmoid_hard": "hardsigmoid hardswish",
    "silu": "mish",
    "sub": "rsub neg",
    "add": "addcmul addcdiv lerp",
    "exp": "expm1",
    "log": "log1p log2 log10",
    "cast": "_to_copy to type_as",
    "gather": "embedding index index_select _unsafe_index",
    "gather_along_axis": "gather take_along_dim",
    "scatter": "index_put index_put_ scatter scatter_add scatter_reduce index_add index_copy",
    "topk": "kthvalue",
    "band_part": "triu tril",
    "non_zero": "nonzero nonzero_numpy masked_select",
    "range_1d": "arange",
    "sliding_windows": "unfold im2col",
    "random_normal": "randn randn_like normal",
    "random_uniform": "rand rand_like randint bernoulli",
    "pad": "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d",
    "resize_bilinear": "upsample_bilinear2d upsample_linear1d upsample_bicubic2d _upsample_bilinear2d_aa",
    "resize_nearest_neighbor": "upsample_nearest1d upsample_nearest2d",
    "resample": "grid_sampler grid_sampler_2d",
    "concat": "cat roll",
    "fill_like": "fill",
    "split": "split_with_sizes chunk unbind split unsafe_split",
    "slice_by_index": "slice select narrow",
    "slice_update": "slice_scatter select_scatter",
    "tile": "expand repeat repeat_interleave",
    "reverse": "flip",
    "transpose": "permute t swapaxes movedim",
    "expand_dims": "unsqueeze",
    "reshape": "view _unsafe_view flatten unflatten _reshape_alias",
    "identity": "clone alias detach contiguous dropout lift_fresh_copy",
    "rnn": "rnn_tanh rnn_relu",
}
_IN_PLACE = re.compile(r"_(_\d+)?$")
"""The names of nodes that write into their first tensor: ``copy_``, ``copy__1``, but not ``copy_1``."""
KINDS: Mapping[str, str] = {name: kind for kind, names in _KINDS.items() for name in names.split()}
"""The MIL op type that an ATen op mostly becomes, where the names differ."""


_SLICE_WRITES = ("aten.slice_scatter.", "aten.select_scatter.")


def read_aten(graph: Graph, target: str = DEFAULT_TARGET) -> list[Operation]:
    """The ops of a captured graph that each prediction computes, in order.

    Below iOS18 a write into a slice is a scatter, which is not folded even for a constant:
    https://github.com/apple/coremltools/blob/9.0/coremltools/converters/mil/frontend/torch/ssa_passes/torch_tensor_assign_to_core.py
    """
    scattered = _SLICE_WRITES if order(target) < order("iOS18") else ()
    calls = list(_computed(graph, scattered))
    index = {call.name: number for number, call in enumerate(calls)}
    return [_operation(call, index, scattered) for call in calls]


def _computed(graph: Graph, scattered: tuple[str, ...]) -> Iterator[OpCall]:
    """The calls whose values depend on an input, not only on its shape."""
    const: set[str] = set()
    by_name: dict[str, OpCall] = {}
    for call in graph.calls:
        if call.out is None:
            continue
        by_name[call.name] = call
        tensors = list(_tensors(call.args.values()))
        folded = bool(tensors) and all(tensor.const or tensor.call in const for tensor in tensors)
        foldable = call.const or folded or call.op.startswith(CREATORS)
        if foldable and not call.op.startswith(scattered):
            const.add(call.name)
        else:
            if _IN_PLACE.search(call.name):
                const -= _written(call, by_name)
            yield replace(call, args={name: _marked(value, const) for name, value in call.args.items()})


def _written(call: OpCall, by_name: Mapping[str, OpCall]) -> set[str]:
    """The tensors that an in-place op writes into: its first tensor, and those that this may be a view of.

    Recorded runs have such ops, for example where a detector copies its pictures into a batch of zeros.
    """
    names: set[str] = set()
    name = next((tensor.call for tensor in _tensors(call.args.values())), "")
    while name in by_name and name not in names:
        names.add(name)
        name = next((tensor.call for tensor in _tensors(by_name[name].args.values())), "")
    return names


def _marked(value: Any, const: Collection[str]) -> Any:
    """``value`` with the tensors of folded calls in it marked as constant."""
    if isinstance(value, TensorArg):
        return replace(value, const=True) if value.call in const else value
    return tuple(_marked(item, const) for item in value) if isinstance(value, tuple) else value


def _operation(call: OpCall, index: Mapping[str, int], scattered: tuple[str, ...]) -> Operation:
    name = call.op.split(".")[1] if "." in call.op else call.op
    kind = "scatter" if call.op.startswith(scattered) else KINDS.get(name, name)
    inputs = tuple(_tensors(call.args.values()))
    outputs = tuple(meta for meta in call.outputs if meta is not None)
    makers = {tensor.call or tensor.producer or tensor.name for tensor in inputs}
    return Operation(
        kind=kind,
        name=call.name,
        inputs=inputs,
        outputs=outputs[:1] if kind in ("batch_norm", "layer_norm", "max_pool") else outputs,
        reads=tuple(sorted({index[maker] for maker in makers if maker in index})),
        attributes=_attributes(kind, name, call, inputs, outputs),
        op=call.op,
        site=call.site,
        caller=call.caller,
        module=call.module,
        module_type=call.module_type,
    )


def _tensors(values: Iterable[Any]) -> Iterator[TensorArg]:
    for value in values:
        if isinstance(value, TensorArg):
            yield value
        elif isinstance(value, tuple):
            yield from _tensors(value)


def _attributes(
    kind: str, name: str, call: OpCall, inputs: tuple[TensorArg, ...], outputs: tuple[TensorMeta, ...]
) -> dict[str, Any]:
    args = call.args
    attributes: dict[str, Any] = {}
    weight = args.get("weight")
    if kind in ("conv", "conv_transpose") and isinstance(weight, TensorArg):
        transposed = kind == "conv_transpose" or args.get("transposed") is True
        attributes |= convolution(weight.meta.shape, transposed, int(args.get("groups") or 1))
        attributes["strides"] = plane(_pair(args.get("stride")))
        attributes["dilations"] = plane(_pair(args.get("dilation")))
    elif kind in ("max_pool", "avg_pool"):
        attributes["kernel"] = plane(_pair(args.get("kernel_size")))
    elif kind in ("linear", "matmul"):
        left = inputs[1 if name in ("addmm", "baddbmm") and len(inputs) > 2 else 0] if inputs else None
        attributes["depth"] = left.meta.shape[-1] if left is not None and left.meta.shape else 1
    elif kind in ("gather", "gather_along_axis", "scatter"):
        indices = list(_tensors([args.get("indices"), args.get("index")]))
        attributes["indices_const"] = all(tensor.const for tensor in indices)
    elif kind in ("slice_by_index", "slice_update"):
        bounds = _tensors([args.get("start"), args.get("end"), args.get("index")])
        attributes["begin_const"] = all(tensor.const for tensor in bounds)
    elif kind == "pad":
        attributes["mode"] = args.get("mode") or (
            "constant" if name in ("pad", "constant_pad_nd") else "other"
        )
        attributes["value"] = args.get("value") or 0
    elif kind in ("resize_bilinear", "resize_nearest_neighbor") and inputs and outputs:
        attributes["shrinks"] = shrinks(inputs[0].meta, outputs[0])
    return attributes


def _pair(value: Any) -> tuple[int, ...]:
    if isinstance(value, tuple):
        return tuple(int(size) for size in value if isinstance(size, int))
    return (value, value) if isinstance(value, int) else ()
