"""A call on the user's line, handed to the function of the helper file: all else of the line stays.

Which call of the line is meant follows from the captured op. All calls of that function on the line are
rewritten; the functions are general, and fall back to PyTorch's own.
"""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from convlint.repair.source.files import span_of
from convlint.repair.source.helper_file import key_of, names_of
from convlint.repair.source.match import Module, dotted_name

MODULE = "coreml_ops"
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

_ANY_NUMBER = ("flip", "permute", "tile", "repeat", "expand", "reshape", "view")
"""Methods that take any number of integers, as their functions do not."""

_NO_TENSORS = ("self", "cls", "torch", "F", "nn", "np")


@dataclass(frozen=True, slots=True)
class Public:
    """A function of the helper file: its name, what it is in PyTorch, and the key of its rewrites."""

    name: str
    full: str
    key: str


@dataclass(frozen=True, slots=True)
class Handed:
    """An expression with its calls handed to helpers: offsets, the new text, the functions it calls."""

    start: int
    end: int
    text: str
    functions: tuple[Public, ...]


@dataclass(frozen=True, slots=True)
class NoCall:
    """Why no call of a line can be handed to a helper."""

    reason: str


def handed_over(module: Module, line: int, ops: Sequence[str]) -> list[Handed] | NoCall:
    """The expressions of the line that call one of ``ops``, with these calls handed to helpers."""
    chosen: dict[ast.expr, Public] = {}
    problem = ""
    for op in ops:
        calls: dict[ast.expr, Public] = {}
        for node in module.expressions(line):
            public = _public(module, node, op)
            if isinstance(public, Public):
                calls[node] = public
            problem = public if isinstance(public, str) and not problem else problem
        chosen |= calls or _written_in_python(module, line)
        if not chosen:
            name = key_of(op)
            return NoCall(
                problem or f"no call on the line is one of {name}: the context of {MODULE} covers it"
            )
    if problem:
        return NoCall(problem)
    if module.names.meaning(MODULE, module.tree) is None and _is_bound(module):
        return NoCall(f"the name {MODULE} is taken in this file")
    text = _Text(module, chosen)
    outermost = [node for node in chosen if not any(_inside(module, node, other) for other in chosen)]
    try:
        return [
            Handed(*span_of(module.source.text, node), text.of_call(node), text.functions_in(node))
            for node in outermost
        ]
    except _Comment:
        return NoCall("a comment stands inside of the call: change it by hand")


def import_of(module: Module, statement: str) -> tuple[int, str] | None:
    """Where the import of the helpers goes, and its line; None where the file has it already.

    It goes behind the imports that the file begins with.
    """
    last: ast.stmt | None = None
    for number, node in enumerate(module.tree.body):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if any((alias.asname or alias.name) == MODULE for alias in node.names):
                return None
            last = node
        elif not (number == 0 and _is_text(node)):
            break
        elif last is None:
            last = node
    text = module.source.text
    newline = "\r\n" if "\r\n" in text else "\n"
    if last is None:
        body = module.tree.body
        return _line_start(text, body[0].lineno if body else 1), f"{statement}{newline}"
    place = _line_start(text, (last.end_lineno or last.lineno) + 1)
    gap = newline if _is_text(last) else ""
    ends = text[:place].endswith(("\n", "\r"))
    return place, f"{'' if ends else newline}{gap}{statement}{newline}"


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _line_start(text: str, line: int) -> int:
    from convlint.repair.source.files import lines_of

    return sum(map(len, lines_of(text, ends=True)[: line - 1]))


def _is_bound(module: Module) -> bool:
    """Whether the file itself binds the name of the helpers' module, and not by importing them."""
    stored = (
        node
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    arguments = (node for node in ast.walk(module.tree) if isinstance(node, ast.arg))
    return any(node.id == MODULE for node in stored) or any(node.arg == MODULE for node in arguments)


def _inside(module: Module, node: ast.AST, other: ast.AST) -> bool:
    parent = module.names.parent(node)
    while parent is not None and parent is not other:
        parent = module.names.parent(parent)
    return parent is other


def _public(module: Module, node: ast.expr, op: str) -> Public | str | None:
    """The helper for a call of ``op``; a sentence where it may not be one, None where it is another call."""
    key = key_of(op)
    base = op.split(".")[1]
    wanted = {*names_of(key), base, base.strip("_"), *_CALLERS.get(base, ()), *_CALLERS.get(key, ())}
    if base.strip("_").startswith("upsample"):
        wanted |= {"interpolate", "upsample"}
    if isinstance(node, (ast.BinOp, ast.UnaryOp)):
        name, function = _OPERATORS.get(type(node.op), ("", ""))
        return Public(name, f"operator.{function}", key) if name == key else None
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
            return (
                f"{name} writes into its tensor: write `y = x.{name[:-1]}(...)`, then it can be handed over"
            )
        name = name[:-1]
    return _method(name, key) if name in wanted else None


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


def _written_in_python(module: Module, line: int) -> dict[ast.expr, Public]:
    """The one function of the line that PyTorch writes in Python: whatever it calls is looked at."""
    calls: dict[ast.expr, Public] = {}
    for node in module.expressions(line):
        if isinstance(node, ast.Call):
            full = dotted_name(node.func, partial(module.names.meaning, place=node))
            prefix, _, name = (full or "").rpartition(".")
            if full and prefix in _PREFIXES:
                public = _named(full, name, "")
                if public is not None and _is_python(_resolved(full)):
                    calls[node] = public
    return calls if len(calls) == 1 else {}


class _Comment(Exception):
    """Between the parts of a call stands a comment, which has no place in the new one."""


class _Text:
    """The text of expressions in which the chosen calls are handed over, those inside of others too."""

    def __init__(self, module: Module, chosen: Mapping[ast.expr, Public]) -> None:
        self._text = module.source.text
        self._module = module
        self._chosen = chosen
        self._spans = {node: span_of(self._text, node) for node in chosen}

    def functions_in(self, outer: ast.expr) -> tuple[Public, ...]:
        """The helpers that the new text of ``outer`` calls."""
        mine = (
            public
            for node, public in self._chosen.items()
            if node is outer or _inside(self._module, node, outer)
        )
        return tuple(dict.fromkeys(mine))

    def of_call(self, node: ast.expr) -> str:
        """The call of the helper in the place of ``node``."""
        name = f"{MODULE}.{self._chosen[node].name}"
        if isinstance(node, ast.BinOp):
            self._between(node.left, node.right)
            return f"{name}({self._of(node.left)}, {self._of(node.right)})"
        if isinstance(node, ast.UnaryOp):
            return f"{name}({self._of(node.operand)})"
        assert isinstance(node, ast.Call)
        end = self._spans[node][1]
        _, after = span_of(self._text, node.func)
        opening = self._text.index("(", after)
        called = self._chosen[node]
        if not isinstance(node.func, ast.Attribute) or self._is_function(node, called):
            return name + self._range(after, end, node)
        _, behind = span_of(self._text, node.func.value)
        if "#" in self._text[behind:opening]:
            raise _Comment
        rest = self._range(opening + 1, end, node)
        comma = ", " if node.args or node.keywords else ""
        return f"{name}({self._of(node.func.value)}{comma}{rest if comma else rest.lstrip()}"

    def _is_function(self, node: ast.Call, public: Public) -> bool:
        """Whether the call names a function of a module, and no method of a tensor."""
        meaning = partial(self._module.names.meaning, place=node)
        return dotted_name(node.func, meaning) is not None

    def _between(self, left: ast.expr, right: ast.expr) -> None:
        if "#" in self._text[span_of(self._text, left)[1] : span_of(self._text, right)[0]]:
            raise _Comment

    def _of(self, node: ast.expr) -> str:
        return self.of_call(node) if node in self._chosen else self._range(*span_of(self._text, node), node)

    def _range(self, start: int, end: int, within: ast.expr) -> str:
        """The text from ``start`` to ``end``, with the chosen calls in it handed over."""
        inner = sorted(
            (
                (span, node)
                for node, span in self._spans.items()
                if node is not within and span[0] >= start and span[1] <= end
            ),
            key=lambda each: (each[0][0], -each[0][1]),
        )
        out, place = [], start
        for (first, last), node in inner:
            if first >= place:
                out += [self._text[place:first], self.of_call(node)]
                place = last
        return "".join([*out, self._text[place:end]])
