"""Trained weights from a file, without running any code that the file holds.

``torch.load`` with ``weights_only=True`` reads tensors and plain containers, and refuses all else
(https://docs.pytorch.org/docs/stable/notes/serialization.html#weights-only); safetensors holds nothing else.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from convlint.errors import UsageError
from convlint.text import one_line, shown_path, single_line

if TYPE_CHECKING:
    import torch

_INSIDE = ("state_dict", "model_state_dict", "model", "module", "net", "ema_state_dict", "weights")
"""The keys under which training scripts store the weights beside their optimizer."""
_PREFIXES = ("module.", "_orig_mod.", "model.")
"""The prefixes that DataParallel, torch.compile and Lightning put before every name."""


def read_checkpoint(path: str) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by name; a :class:`UsageError` where none can be read safely."""
    shown = shown_path(path)
    if not os.path.isfile(path):
        raise UsageError(f"there is no checkpoint {shown}.")
    if path.endswith(".safetensors"):
        return _read_safetensors(path, shown)
    import torch

    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        text = single_line(error)
        if "Unsupported" in text or "GLOBAL" in text or "allowlist" in text or "not an allowed" in text:
            raise UsageError(
                f"the checkpoint {shown} is refused, and none of its code was run: it holds more than tensors"
                f" ({_reason(text)}). Save the weights alone, torch.save(model.state_dict(), path), or as"
                " safetensors."
            ) from error
        raise _damaged(shown, text) from error
    except Exception as error:  # a damaged file may raise anything while it is parsed
        raise _damaged(shown, one_line(str(error)) or type(error).__name__) from error
    return _tensors(content, shown)


def load_into(module: torch.nn.Module, state: Mapping[str, Any], path: str) -> torch.nn.Module:
    """``module`` with these weights; a :class:`UsageError` where they belong to another model.

    On the meta device, where a tensor has no data, names and shapes are compared and nothing is copied.
    """
    import torch

    expected = module.state_dict()
    weights = _renamed(state, expected)
    absent = _may_be_absent(module, weights)
    problems = [f"it has no {name}" for name in expected if name not in weights and name not in absent]
    problems += [f"it has {name}, which the model lacks" for name in weights if name not in expected]
    problems += [
        f"{name} is {_shape(weights[name])} there and {_shape(tensor)} in the model"
        for name, tensor in expected.items()
        if name in weights and weights[name].shape != tensor.shape
    ]
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UsageError(
            f"the checkpoint {shown_path(path)} is that of another model: {'; '.join(problems[:3])}{more}."
            " Give the arguments that the model was trained with (--arg), or another file."
        )
    with torch.no_grad():
        for name, tensor in expected.items():
            if not tensor.is_meta and name in weights:
                tensor.copy_(weights[name])
    return module


def _may_be_absent(module: torch.nn.Module, weights: Mapping[str, Any]) -> set[str]:
    """Names that a checkpoint may lack: all but one of tied parameters, and counters of batch norms."""
    by_parameter: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        by_parameter.setdefault(id(parameter), []).append(name)
    tied = {name for names in by_parameter.values() if any(n in weights for n in names) for name in names}
    return tied | {name for name, _ in module.named_buffers() if name.endswith("num_batches_tracked")}


def _read_safetensors(path: str, shown: str) -> dict[str, torch.Tensor]:
    try:
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise UsageError(f"{shown} needs safetensors: pip install safetensors.") from error
    try:
        return dict(load_file(path))
    except Exception as error:  # SafetensorError, and whatever a damaged header leads to
        raise _damaged(shown, one_line(str(error)) or type(error).__name__) from error


def _damaged(shown: str, text: str) -> UsageError:
    return UsageError(
        f"the checkpoint {shown} cannot be read: it is cut off, damaged or no file of weights ({text[:160]})."
        " Copy it again, or give the file that torch.save or safetensors wrote."
    )


def _reason(text: str) -> str:
    """The part of torch's refusal that names what it refused."""
    for mark in (
        "Unsupported global:",
        "Unsupported class",
        "Unsupported operand",
        "WeightsUnpickler error:",
    ):
        if mark in text:
            return text[text.index(mark) :].split(". ")[0][:160]
    return text[:160]


def _tensors(content: Any, shown: str) -> dict[str, torch.Tensor]:
    import torch

    for name in _INSIDE:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
            break
    if isinstance(content, Mapping):
        tensors = {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}
        if tensors:
            return tensors
    raise UsageError(
        f"the checkpoint {shown} holds a {type(content).__name__} without tensors; give what"
        " torch.save(model.state_dict(), path) writes."
    )


def _renamed(state: Mapping[str, Any], expected: Mapping[str, Any]) -> Mapping[str, Any]:
    """``state`` without a prefix that all its names have and the model's names lack."""
    for prefix in _PREFIXES:
        if all(name.startswith(prefix) for name in state) and not any(n.startswith(prefix) for n in expected):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"
