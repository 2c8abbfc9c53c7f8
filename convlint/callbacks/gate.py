"""What stands before a training: one check, which lets the model pass or stops with the report."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from convlint.errors import NotConvertible, UsageError
from convlint.model import Report
from convlint.testing import Placement, fails, failure_text, placement_failure, quiet_check
from convlint.wording import in_python

if TYPE_CHECKING:
    import torch


class Gate:
    """Checks a model in the middle of a training program, and leaves it as it was.

    ``inputs`` and ``kwargs`` are those of ``forward`` as in :func:`convlint.check`, None for those that the
    model itself names. ``module`` is the dotted path of the part that ships, "" for all of it.
    """

    def __init__(
        self,
        inputs: Any,
        kwargs: Mapping[str, Any] | None,
        module: str,
        ane_share: float | None,
        outside: Iterable[str] | None,
        max_ms: float | None,
        options: Mapping[str, Any],
    ) -> None:
        self._inputs = inputs
        self._kwargs = kwargs
        self._module = module
        self._wanted = Placement(ane_share, outside, max_ms)
        self._options = dict(options)

    def let_pass(self, model: torch.nn.Module, own_inputs: Any, hint: str) -> Report:
        """The report of a model that may be trained; raises :class:`~convlint.errors.NotConvertible`.

        ``own_inputs`` are those that the model names, None without any; ``hint`` says where it would.
        """
        inputs = own_inputs if self._inputs is None else self._inputs
        if inputs is None and not self._kwargs:
            raise UsageError(
                f"which inputs {type(model).__name__} takes is not known: give them to the callback,"
                f' for example ["1x3x224x224"]{hint}.'
            )
        part = self._part_of(model)
        report = quiet_check(_on_cpu(part), () if inputs is None else inputs, self._kwargs, **self._options)
        text = failure_text(report) if fails(report) else ""
        if not text and self._wanted.asks:
            text = placement_failure(report, self._wanted)
        if text:
            raise NotConvertible(in_python(text).replace("full=True", "print(error.report)"), report)
        return report

    def _part_of(self, model: torch.nn.Module) -> torch.nn.Module:
        try:
            return model.get_submodule(self._module)
        except AttributeError as error:
            raise UsageError(f"{type(model).__name__} has no part {self._module!r}: {error}.") from error


def _on_cpu(module: torch.nn.Module) -> torch.nn.Module:
    """``module``, or a copy on the CPU, where its inputs are, of one that was moved to another device."""
    import torch

    tensors = [*module.parameters(), *module.buffers()]
    if all(tensor.device.type in ("cpu", "meta") for tensor in tensors):
        return module
    copies: dict[int, Any] = {}
    for tensor in tensors:
        moved = tensor.detach().cpu()
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        copies[id(tensor)] = torch.nn.Parameter(moved, tensor.requires_grad) if is_parameter else moved
    return copy.deepcopy(module, copies)
