"""The most used operations with their arguments varied, as people write them: one expression a case.

``variations.txt`` holds Python expressions; ``{a; b}`` stands for a choice. A case is one way of
choosing, and its name is the expression that results. Small letters with a digit are inputs of that rank
(``f2``: float32, ``h2``: float16, ``i2``: int64, ``b2``: bool), capitals are parameters and buffers
(``P2``, ``Q2``), and ``nn.X(...)`` is built once, as a layer is.
"""

from __future__ import annotations

import ast
import itertools
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from . import Example

__all__ = ["build", "names"]

TEMPLATES = "variations.txt"
SEED = 20_240
SHAPES: tuple[tuple[int, ...], ...] = ((), (6,), (4, 6), (2, 4, 6), (1, 4, 6, 6), (1, 4, 4, 6, 6), (1, 2) * 3)
INPUT_DTYPES = {
    "f": torch.float32,
    "g": torch.float32,
    "h": torch.float16,
    "k": torch.float16,
    "d": torch.float64,
    "i": torch.int64,
    "j": torch.int64,
    "l": torch.int32,
    "s": torch.int16,
    "b": torch.bool,
    "c": torch.bool,
}
CONSTANT_DTYPES = {"P": torch.float32, "H": torch.float16, "Q": torch.int64, "R": torch.bool}
WEIGHTS = {
    "W1": (8, 4, 3),
    "W2": (8, 4, 3, 3),
    "W3": (8, 4, 3, 3, 3),
    "T1": (4, 8, 3),
    "T2": (4, 8, 3, 3),
    "T3": (4, 8, 3, 3, 3),
    "B8": (8,),
    "L2": (5, 6),
    "B5": (5,),
    "E2": (10, 6),
}
CHOICE = re.compile(r"\{([^{}]*)\}")


class Expression(nn.Module):
    """A module whose forward pass is one expression."""

    def __init__(self, text: str) -> None:
        super().__init__()
        tree = _Layers().visit(ast.parse(text.strip(), mode="eval"))
        self.scope: dict[str, Any] = {"torch": torch, "F": F, "nn": nn}
        built = [eval(source, dict(self.scope)) for source in tree.layers]
        self.layers = nn.ModuleList(built)
        names = sorted({node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})
        self.inputs = [name for name in names if name[0] in INPUT_DTYPES and name[1:].isdigit()]
        self.constants = [name for name in names if name in WEIGHTS or _is_constant(name)]
        for name in self.constants:
            self.register_buffer(name, _constant(name))
        self.code = compile(ast.fix_missing_locations(tree), "<expression>", "eval")

    def forward(self, *tensors: torch.Tensor) -> Any:
        scope = self.scope | dict(zip(self.inputs, tensors, strict=True))
        scope |= {name: getattr(self, name) for name in self.constants}
        return eval(self.code, scope | {"layers": self.layers})


class _Layers(ast.NodeTransformer):
    """Takes ``nn.X(...)`` out of an expression; what is left refers to ``layers[0]``."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def visit_Expression(self, node: ast.Expression) -> ast.Expression:
        self.generic_visit(node)
        node.layers = self.found  # type: ignore[attr-defined]
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        function = node.func
        if isinstance(function, ast.Attribute) and ast.unparse(function.value) == "nn":
            self.found.append(ast.unparse(node))
            return ast.parse(f"layers[{len(self.found) - 1}]", mode="eval").body
        return self.generic_visit(node)


def names(limit: int = 16, half: int | None = None, file: str = TEMPLATES) -> list[str]:
    """Up to ``limit`` cases of each template; every second one from the first (0) or the second (1)."""
    found = list(dict.fromkeys(text for template in _templates(file) for text in _chosen(template, limit)))
    return found if half is None else found[half::2]


def build(name: str) -> Example:
    """The case whose expression is ``name``; one that PyTorch itself refuses to run is no case."""
    torch.manual_seed(SEED)
    module = Expression(name).eval()
    tensors = tuple(_tensor(INPUT_DTYPES[text[0]], SHAPES[int(text[1:])]) for text in module.inputs)
    with torch.no_grad():
        module(*(tensor.clone() for tensor in tensors))
    return Example(module, tensors)


def _templates(file: str) -> list[str]:
    lines = Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _chosen(template: str, limit: int) -> Iterator[str]:
    parts = CHOICE.split(template)
    options = [part.split(";") if index % 2 else [part] for index, part in enumerate(parts)]
    texts = [
        "".join(
            chosen_part.strip(" ") if index % 2 else chosen_part for index, chosen_part in enumerate(chosen)
        )
        for chosen in itertools.product(*options)
    ]
    if len(texts) > limit:
        texts = random.Random(SEED).sample(texts, limit)
    yield from texts


def _is_constant(name: str) -> bool:
    return name[0] in CONSTANT_DTYPES and name[1:].isdigit()


def _constant(name: str) -> torch.Tensor:
    if name in WEIGHTS:
        return torch.randn(WEIGHTS[name])
    return _tensor(CONSTANT_DTYPES[name[0]], SHAPES[int(name[1:])])


def _tensor(dtype: torch.dtype, shape: tuple[int, ...]) -> torch.Tensor:
    if dtype.is_floating_point:
        return torch.randn(shape).to(dtype)
    return torch.randint(0, 2, shape).to(dtype)
