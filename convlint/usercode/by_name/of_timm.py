"""The models of timm by name. Its pretrained configurations state the size of the picture.

https://huggingface.co/docs/timm/reference/models
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from convlint.interface.inputs import InputSpec
from convlint.usercode.by_name.full import InFull, given_once

_SIDE = 224


def names() -> Collection[str]:
    """Every architecture, and those with the tag of weights behind a dot."""
    import timm

    return frozenset((*timm.list_models(), *timm.list_pretrained()))


def in_full(name: str, args: Mapping[str, Any], arg_exprs: Mapping[str, str]) -> InFull:
    """The call of ``create_model``, whose other arguments are the user's."""
    given_once(f"timm:{name}", "model_name", args, arg_exprs)
    picture = InputSpec(None, (1, *_picture(name, args)))
    return InFull("timm:create_model", {"model_name": name, **args}, arg_exprs, (picture,))


def _picture(name: str, args: Mapping[str, Any]) -> tuple[int, ...]:
    """Channels, height and width: those of the arguments, else those of the configuration."""
    from timm.models import get_pretrained_cfg

    channels, height, width = getattr(get_pretrained_cfg(name), "input_size", None) or (3, _SIDE, _SIDE)
    size = args.get("img_size")
    if isinstance(size, int):
        height = width = size
    elif isinstance(size, (tuple, list)) and len(size) == 2:
        height, width = size
    given = args.get("in_chans")
    return (given if isinstance(given, int) else channels, height, width)
