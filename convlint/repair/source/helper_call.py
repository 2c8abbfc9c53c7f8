"""Which function of the helper file a piece of the user's line calls, by the op that was captured there."""

from __future__ import annotations

import ast
import inspect
import types
from dataclasses import dataclass
from functools import partial
from typing import Any

from convlint.repair.source.helper_file import ITEMS, key_of, names_of
from convlint.repair.source.match import Module, dotted_name

_OPERATORS: dict[type[ast.AST], tuple[str, str]] = {
    ast.BitAnd: ("bitwise_and", "and_"),
    ast.BitOr: ("bitwise_or", "or_"),
    ast.BitXor: ("bitwise_xor", "xor"),
    ast.LShift: ("bitwise_left_shift", "lshift"),
    ast.RShift: ("bitwise_right_shift", "rshift"),
    ast.FloorDiv: ("floor_divide", "floordiv"),
    ast.Mod: ("remainder", "mod"),
    ast.Pow: ("pow", "pow"),
    ast.MatMult: ("matmul", "matmul"),
    ast.Add: ("add", "add"),
    ast.Sub: ("sub", "sub"),
    ast.Mult: ("mul", "mul"),
    ast.Div: ("div", "truediv"),
    ast.Invert: ("bitwise_not", "invert"),
}
"""Operators, as functions of PyTorch and of the module ``operator``."""

_PREFIXES = {
    "torch": "",
    "torch.nn.functional": "",
    "torch.functional": "",
    "torch.Tensor": "",
    "torch.linalg": "linalg_",
    "torch.special": "special_",
}
_CALLERS: dict[str, tuple[str, ...]] = {
    "im2col": ("unfold",),
    "col2im": ("fold",),
    "linalg_vector_norm": ("norm", "normalize"),
    "linalg_matrix_norm": ("norm",),
    "linalg_det": ("det",),
    "linalg_inv": ("inverse",),
    "linalg_inv_ex": ("inverse", "inv"),
    "linalg_cross": ("cross",),
    "special_exp2": ("exp2",),
    "var": ("std",),
    "grid_sampler_2d": ("grid_sample",),
    "repeat": ("tile",),
    "tile": ("repeat",),
    "native_channel_shuffle": ("channel_shuffle",),
    "bernoulli": ("dropout",),
}
"""Functions that PyTorch writes in Python, or composes, by the op that they call."""

_INDEXED = ("slice", "alias", "index", "_unsafe_index")
"""Ops that ``x[places]`` is made of, and a helper does otherwise."""

_ANY_NUMBER = ("flip", "permute", "tile", "repeat", "expand", "reshape", "view")
"""Methods that take any number of integers, as their functions do not."""

_NO_TENSORS = ("self", "cls", "torch", "F", "nn", "np")

Node = ast.expr | ast.AugAssign
"""What may be handed over: an expression, or ``x &= y``."""


@dataclass(frozen=True, slots=True)
class Public:
    """A function of the helper file: its name, what it is in PyTorch, and the key of its rewrites.

    One whose name ends in an underscore writes into its first argument.
    """

    name: str
    full: str
    key: str


def public_of(module: Module, node: ast.AST, op: str) -> Public | str | None:
    """The helper for a call of ``op``; a sentence where it may not be one, None where it is another call."""
    key = key_of(op)
    base = op.split(".")[1]
    wanted = {*names_of(key), base, base.strip("_"), *_CALLERS.get(base, ()), *_CALLERS.get(key, ())}
    if base.strip("_").startswith("upsample"):
        wanted |= {"interpolate", "upsample"}
    if isinstance(node, (ast.BinOp, ast.UnaryOp)):
        name, function = _OPERATORS.get(type(node.op), ("", ""))
        return Public(name, f"operator.{function}", key) if name == key else None
    if isinstance(node, ast.AugAssign):
        return _assignment(node, key)
    if isinstance(node, ast.Subscript):
        read = isinstance(node.ctx, ast.Load) and base in _INDEXED
        sliced = base in ("index", "_unsafe_index") or _has_slice(node.slice)
        return Public(ITEMS, "tensor[places]", key) if read and sliced else None
    if not isinstance(node, ast.Call):
        return None
    dotted = dotted_name(node.func, partial(module.names.meaning, place=node))
    if dotted is not None:
        prefix, _, name = dotted.rpartition(".")
        if prefix not in _PREFIXES or not ({name, _PREFIXES[prefix] + name} & wanted):
            return None
        return _named(dotted, name, key)
    if not isinstance(node.func, ast.Attribute) or _is_no_tensor(node.func.value):
        return None
    name = node.func.attr
    if name.endswith("_") and not name.endswith("__") and name[:-1] in wanted:
        if not _assigns_itself(module, node):
            own = _named(f"torch.Tensor.{name}", name, key)
            return own if own is not None and own.key else None
        name = name[:-1]
    return _method(name, key) if name in wanted else None


def _assignment(node: ast.AugAssign, key: str) -> Public | str | None:
    """The helper for ``x &= y``, which writes into ``x`` where PyTorch does."""
    name, function = _OPERATORS.get(type(node.op), ("", ""))
    if name != key:
        return None
    if not is_repeatable(node.target):
        return "what is assigned to would be computed twice: give it a name, then it can be handed over"
    if isinstance(node.value, (ast.Tuple, ast.Yield, ast.YieldFrom, ast.Starred)):
        return "what is assigned cannot be an argument: give it a name, then it can be handed over"
    plain = function.rstrip("_")
    if _resolved(f"torch.Tensor.__i{plain}__") is None:
        return Public(name, f"operator.{function}", key)
    return Public(f"{name}_", f"operator.i{plain}", key)


def is_repeatable(node: ast.expr) -> bool:
    """Whether an expression may be read twice in the place of once: names, attributes, places of numbers."""
    if isinstance(node, ast.Attribute):
        return is_repeatable(node.value)
    if isinstance(node, ast.Subscript):
        return is_repeatable(node.value) and is_repeatable(node.slice)
    if isinstance(node, ast.Tuple):
        return all(map(is_repeatable, node.elts))
    if isinstance(node, ast.Slice):
        return all(is_repeatable(each) for each in (node.lower, node.upper, node.step) if each is not None)
    if isinstance(node, ast.UnaryOp):
        return is_repeatable(node.operand)
    return isinstance(node, (ast.Name, ast.Constant))


def _has_slice(node: ast.expr) -> bool:
    parts = node.elts if isinstance(node, ast.Tuple) else [node]
    return any(isinstance(part, ast.Slice) for part in parts)


def _assigns_itself(module: Module, node: ast.Call) -> bool:
    """Whether the statement is ``x = x.op_(...)``, after which nothing tells the two apart."""
    parent = module.names.parent(node)
    assert isinstance(node.func, ast.Attribute)
    own = node.func.value
    return (
        isinstance(parent, ast.Assign)
        and len(parent.targets) == 1
        and isinstance(own, ast.Name)
        and isinstance(parent.targets[0], ast.Name)
        and parent.targets[0].id == own.id
    )


def _is_no_tensor(receiver: ast.expr) -> bool:
    """Whether a method is called on the module itself, or on something that bears the name of a module."""
    if isinstance(receiver, ast.Call):
        return isinstance(receiver.func, ast.Name) and receiver.func.id == "super"
    return isinstance(receiver, ast.Name) and receiver.id in _NO_TENSORS


def _resolved(full: str) -> Any:
    import torch

    value: Any = torch
    for part in full.split(".")[1:]:
        value = getattr(value, part, None)
    return value


def _is_python(function: Any) -> bool:
    return isinstance(inspect.unwrap(function), types.FunctionType)


def _named(full: str, name: str, key: str) -> Public | None:
    function = _resolved(full)
    if function is None:
        return None
    return Public(name, full, "" if _is_python(function) else key)


def _method(name: str, key: str) -> Public | None:
    """The helper for a method: that of the function of torch of this name where there is one."""
    if _resolved(f"torch.Tensor.{name}") is None:
        return None
    function = _resolved(f"torch.{name}")
    if name in _ANY_NUMBER:
        return Public(name, f"torch.Tensor.{name}", key)
    if function is not None and not _is_python(function):
        return Public(name, f"torch.{name}", key)
    twin = _resolved(f"torch.nn.functional.{name}")
    own = _named(f"torch.Tensor.{name}", name, key)
    return Public(f"tensor_{name}", own.full, own.key) if own and (twin or function) else own


def written_in_python(module: Module, line: int) -> dict[Node, Public]:
    """The one function of the line that PyTorch writes in Python: whatever it calls is looked at."""
    calls: dict[Node, Public] = {}
    for node in module.expressions(line):
        if isinstance(node, ast.Call):
            full = dotted_name(node.func, partial(module.names.meaning, place=node))
            prefix, _, name = (full or "").rpartition(".")
            if full and prefix in _PREFIXES:
                public = _named(full, name, "")
                if public is not None and _is_python(_resolved(full)):
                    calls[node] = public
    return calls if len(calls) == 1 else {}
