"""The user's own code run as PyTorch would run it: what it raises is the user's error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from convlint.capture.build import borrowed, build_on_cpu
from convlint.capture.source import Inputs, Source
from convlint.errors import ConvlintError, ModelError
from convlint.interface.inputs import InputSpec, zeros_by_default
from convlint.sandbox import UserExit, user_code
from convlint.text import single_line
from convlint.usercode.sites import place_of_exception

if TYPE_CHECKING:
    import torch


def build_model(source: Source) -> torch.nn.Module:
    """The model that the builder of ``source`` returns, with real random weights, in the form to judge."""
    assert source.build is not None
    try:
        return source.to_judge(build_on_cpu(source.build))
    except ConvlintError:
        raise
    except Exception as error:
        raise ModelError(_sentence("building the model", error)) from error


def run_forward(module: torch.nn.Module, inputs: Inputs, specs: Sequence[InputSpec]) -> None:
    """Run the model once, as PyTorch would: a model that does not run is the user's error."""
    import torch

    args, kwargs = inputs
    try:
        with borrowed(module), user_code(), torch.no_grad():
            module(*args, **kwargs)
    except Exception as error:
        raise ModelError(
            _sentence("running the model's forward", error)
            + " The model does not run in PyTorch with these inputs;"
            " check --input (names, shapes, dtypes) first."
            + zeros_by_default(specs)
            + _parameters_of(module, error)
        ) from error


def _sentence(action: str, error: Exception) -> str:
    """What an action of the user's code raised, and in which line."""
    place = place_of_exception(error)
    where = ""
    if place.site is not None:
        where = f" at {place.site}"
        if place.site.source:
            where += f", in the line `{place.site.source}`"
    how = "stopped" if isinstance(error, UserExit) else f"raised {type(error).__name__}"
    return f"{action} {how}{where}: {single_line(error, 600)}".rstrip(".: ") + "."


def _parameters_of(module: torch.nn.Module, error: Exception) -> str:
    """What ``forward`` takes, where an argument had another name or was missing."""
    if not isinstance(error, TypeError) or not re.search(r"forward\(\) (got|missing|takes)", str(error)):
        return ""
    with suppress(TypeError, ValueError):
        return f" forward takes {inspect.signature(module.forward)}."
    return ""
