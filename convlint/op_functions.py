"""The operation and the function that several names of ops stand for.

``aten.add_.Scalar`` is an overload of the function ``add``. A replacement for one function says nothing
about another, so a rule about several functions says which one it is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_SAME = {
    "__and__": "bitwise_and",
    "__or__": "bitwise_or",
    "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift",
    "adaptive_avg_pool3d": "adaptive_avg_pool3d",
    "arccosh": "acosh",
    "arcsinh": "asinh",
    "arctan2": "atan2",
    "cdist_forward": "cdist",
    "clip": "clamp",
    "convolution_mode": "convolution",
    "euclidean_dist": "cdist",
    "fix": "trunc",
    "linalg_inv_ex": "linalg_inv",
    "inverse": "linalg_inv",
    "log_sigmoid_forward": "log_sigmoid",
    "native_batch_norm_legit": "batch_norm",
    "native_batch_norm_legit_no_training": "batch_norm",
    "native_dropout": "dropout",
    "native_group_norm": "group_norm",
    "native_layer_norm": "layer_norm",
    "normal_functional": "normal",
    "pad": "constant_pad_nd",
    "scaled_dot_product_flash_attention_for_cpu": "scaled_dot_product_attention",
    "special_erfc": "erfc",
    "to_copy": "to",
    "unsafe_index": "index",
    "unsafe_view": "view",
    "view_copy": "view",
    "numpy_T": "t",
}
_ENDINGS = ("_with_indices", "_copy", "_aa")
_NAME = re.compile(r"[a-z]+(?:\.|::)(?P<name>[^.]+)")


_BUILT_IN = ("aten", "prim")


def operation_of(op: str) -> str:
    """The one name of an operation in every frontend, by which rules and trials are compared.

    ``add`` for ``aten.add_.Tensor`` of an exported graph, ``aten::add_`` of a trace and ``add`` of
    coremltools; ``torchvision.nms`` for ``torchvision.nms.default`` and ``torchvision::nms``. It has no
    overload and no underscore of an in-place op. A name without a namespace stands for itself.
    """
    namespace, dot, name = op.lower().replace("::", ".").partition(".")
    if not dot:
        namespace, name = "", namespace
    name = name.partition(".")[0]
    if name.startswith("__") and name.endswith("__"):
        name = name[2:-2]  # as coremltools calls what Python writes as an operator
    name = name.removesuffix("_")
    return name if namespace in ("", *_BUILT_IN) else f"{namespace}.{name}"


def function_of(op: str) -> str:
    """The function of an op, or of a pattern of ops that names one; others stand for themselves."""
    match = _NAME.match(op)
    name = match["name"].rstrip("*") or op if match is not None else op
    if name in _SAME:
        return _SAME[name]
    if not name.startswith("__"):
        name = name.strip("_")
    name = _SAME.get(name, name)
    for ending in _ENDINGS:
        if name.endswith(ending) and name != "index_copy":
            name = name.removesuffix(ending)
    return _SAME.get(name, name)


def functions_of(ops: Iterable[str]) -> set[str]:
    """The functions that some ops, or patterns of them, name."""
    return {function_of(op) for op in ops}
