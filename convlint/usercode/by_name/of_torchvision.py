"""The models of torchvision by name. The transform of their weights states the size of the picture.

https://docs.pytorch.org/vision/stable/models.html
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib import import_module
from typing import Any

from convlint.interface.inputs import InputSpec
from convlint.usercode.by_name.full import InFull

_SIDE = 224
_FRAMES = 16
"""Frames of a video where the weights name no smallest number."""


def names() -> Collection[str]:
    """Every model that torchvision has registered."""
    from torchvision.models import list_models

    return frozenset(list_models())


def in_full(name: str, args: Mapping[str, Any], arg_exprs: Mapping[str, str]) -> InFull:
    """The function that builds the model, at the shortest place that has it."""
    from torchvision.models import get_model_builder

    build = get_model_builder(name)
    where = next((module for module in _shortened(build.__module__) if _has(module, build)), build.__module__)
    return InFull(f"{where}:{build.__name__}", args, arg_exprs, _inputs(name, where, args))


def _shortened(module: str) -> list[str]:
    """``torchvision.models``, ``torchvision.models.detection`` and so on, down to the module itself."""
    parts = module.split(".")
    return [".".join(parts[:end]) for end in range(2, len(parts))]


def _has(module: str, build: Callable[..., Any]) -> bool:
    return getattr(import_module(module), build.__name__, None) is build


def _inputs(name: str, where: str, args: Mapping[str, Any]) -> tuple[InputSpec, ...]:
    """What the model takes, for a batch of one."""
    from torchvision.models import get_model_weights

    known = list(get_model_weights(name))
    # Weights that were trained on at a larger size need the size as an argument of the model.
    height, width = min(map(_size, known), default=(_SIDE, _SIDE))
    if isinstance(args.get("image_size"), int):
        height = width = args["image_size"]
    if where.endswith(".detection"):
        height = width = _side_of_detector(name, args)
    if where.endswith(".video"):
        frames = max([_FRAMES, *(weights.meta.get("min_temporal_size", 0) for weights in known)])
        return (InputSpec(None, (1, 3, frames, height, width)),)
    picture = InputSpec(None, (1, 3, height, width))
    # Optical flow is what moved between two pictures.
    return (picture, picture) if where.endswith(".optical_flow") else (picture,)


def _size(weights: Any) -> tuple[int, int]:
    """Height and width of what the transform of some weights makes of a picture."""
    transform = weights.transforms()
    sizes = getattr(transform, "crop_size", None) or getattr(transform, "resize_size", None)
    return (sizes[0], sizes[-1]) if sizes else (_SIDE, _SIDE)


def _side_of_detector(name: str, args: Mapping[str, Any]) -> int:
    """The side to which a detector itself resizes its pictures, asked of one without memory."""
    import torch
    from torchvision.models import get_model_builder

    with torch.device("meta"):
        model = get_model_builder(name)(**{**args, "weights": None, "weights_backbone": None})
    transform = model.transform
    return int(transform.fixed_size[0] if transform.fixed_size else transform.min_size[-1])
