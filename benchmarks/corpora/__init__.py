"""The cases that the benchmarks run over: named modules with example inputs.

A corpus is a module here with two functions: ``names()`` lists its cases in a stable order, and
``build(name)`` makes one of them. Building is lazy, so that a worker pays for the cases it is given only.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

__all__ = ["CORPORA", "Corpus", "Example", "corpus"]


@dataclass(frozen=True, slots=True)
class Example:
    """A module in evaluation mode and the inputs to capture it with."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Corpus:
    """A list of named cases and the way to build one of them."""

    name: str
    names: Callable[[], Sequence[str]]
    build: Callable[[str], Example]


CORPORA: dict[str, tuple[str, dict[str, Any]]] = {
    "opinfo": ("opinfo", {}),
    "opinfo-wide": ("opinfo", {"samples": 12, "without": 3}),
    "opinfo-dtypes": ("opinfo", {"samples": 2, "dtypes": ("int64", "bool", "float16")}),
    "variations": ("variations", {"half": 0}),
    "variations-held-out": ("variations", {"half": 1}),
    "edges": ("variations", {"limit": 24, "file": "edges.txt"}),
    "layers": ("variations", {"limit": 10, "file": "layers.txt"}),
    "architectures": ("architectures", {"half": 0}),
    "architectures-held-out": ("architectures", {"half": 1}),
}
"""Corpus name -> module of this package and the options that its ``names`` takes."""


def corpus(name: str) -> Corpus:
    """The corpus called ``name``; its libraries are imported here, not before."""
    module_name, options = CORPORA[name]
    module = import_module(f"{__name__}.{module_name}")
    return Corpus(name, functools.partial(module.names, **options), module.build)
