"""Callbacks that check a model before its first training step: for Lightning, and for transformers' Trainer.

::

    from convlint.callbacks import LightningCheck, TrainerCheck

Each name imports its library when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlint.callbacks.lightning_check import LightningCheck as LightningCheck
    from convlint.callbacks.trainer_check import TrainerCheck as TrainerCheck

__all__ = ["LightningCheck", "TrainerCheck"]

_HOMES = {"LightningCheck": "lightning_check", "TrainerCheck": "trainer_check"}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"convlint.callbacks.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'convlint.callbacks' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
