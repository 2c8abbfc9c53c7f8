"""Whole architectures as cases, named ``library/model``; nothing is downloaded and no weights are trained.

They come in two halves, each with members of nearly every family: one to write rules by, one to judge them.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from functools import cache
from importlib import import_module

import numpy as np
import torch

from . import Example

__all__ = ["build", "further", "names"]

LIBRARIES = ("torchvision", "timm", "transformers")
SEED = 20_240


def names(half: int | None = None) -> list[str]:
    """All architectures, or every second one from the first (0) or the second (1)."""
    found = [f"{library}/{model}" for library in LIBRARIES for model in _builders(library)]
    return found if half is None else found[half::2]


def further() -> list[str]:
    """Architectures beyond the list: other members of the families, and families that it leaves out."""
    return [f"{library}/{model}" for library in LIBRARIES for model in _further(library)]


def build(name: str) -> Example:
    """The architecture called ``name``, with the same random weights in every process."""
    library, _, model = name.partition("/")
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        maker = _builders(library).get(model) or _further(library)[model]
        return maker()


@cache
def _builders(library: str) -> dict[str, Callable[[], Example]]:
    builders: dict[str, Callable[[], Example]] = import_module(f"{__package__}.{library}_models").BUILDERS
    return builders


@cache
def _further(library: str) -> dict[str, Callable[[], Example]]:
    if library == "transformers":
        from .transformers_zoo import BUILDERS

        return BUILDERS
    builders: dict[str, Callable[[], Example]] = import_module(f"{__package__}.{library}_models").FURTHER
    return builders
