"""The deployed form of a model, made once it is known to compute the same, and remembered for the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlint.deployment.conventions import conventions_of
from convlint.errors import ConvlintError
from convlint.model.form import SAME_PROGRAM, Form, Kept, Step
from convlint.sandbox import TimeLimitExceeded
from convlint.text import single_line

if TYPE_CHECKING:
    import torch

    from convlint.deployment.switches import Name

PROOF_LIMIT = 1 << 30
"""Bytes of weights that are made for a proof, where a model is otherwise looked at without any."""


@dataclass
class Deployment:
    """Makes the deployed form of the models that one source gives, always in the same way.

    ``inputs`` gives the arguments of a proof, ``real`` builds the model with weights. ``form`` says what was
    judged, None for a model that has only one form.
    """

    as_trained: bool
    inputs: Callable[[], Any]
    real: Callable[[], torch.nn.Module] | None = None
    form: Form | None = field(default=None, init=False)
    _taken: tuple[Name, ...] | None = field(default=None, init=False)

    def of(self, module: torch.nn.Module, *, own: bool = False, weights: bool = True) -> torch.nn.Module:
        """The form of ``module`` that is to be judged; the module itself is left as it is.

        ``weights`` says whether it has values, ``own`` whether they are those it is shipped with.
        """
        if self._taken is None:
            self._taken = self._decided(module, own=own, weights=weights)
        if not self._taken:
            return module
        from convlint.deployment.switches import deployed

        try:
            return deployed(module, self._taken)[0]
        except Exception:
            if weights or self.real is None:
                raise
            return deployed(self.real(), self._taken)[0]

    def _decided(self, module: torch.nn.Module, *, own: bool, weights: bool) -> tuple[Name, ...]:
        """The conventions that are followed, as far as they prove to change no output."""
        found = conventions_of(module)
        if not found:
            return ()
        if self.as_trained:
            steps = tuple(Step(each.kind, each.how, len(each.paths)) for each in found)
            self.form = Form(False, steps)
            return ()
        names: list[Name] = [(each.kind, each.how) for each in found]
        changing = [name for name in names if name[0] not in SAME_PROGRAM]
        harmless = [name for name in names if name[0] in SAME_PROGRAM]
        subject, why = (module, "") if weights else self._with_weights(module)
        moving = any(kind == "fake-quantization" for kind, _ in names)
        ours = subject is not module
        trial = _Trial(subject, self.inputs, proves=not why, own=own, ours=ours, moving=moving)
        steps, kept = trial.steps(harmless, changing)
        changed = any(step.kind not in SAME_PROGRAM for step in steps)
        if steps or kept:
            error = trial.error if changed else None
            self.form = Form(True, steps, kept, error, why or trial.why, trial.dropped)
        return tuple((step.kind, step.how) for step in steps)

    def _with_weights(self, module: torch.nn.Module) -> tuple[torch.nn.Module, str]:
        """The model with weights, for a proof; else the one without, and why."""
        size = sum(each.numel() * each.element_size() for each in module.parameters())
        if self.real is None:
            return module, "the model has no weights"
        if size > PROOF_LIMIT:
            return module, f"the weights take {size / 1e9:.1f} GB"
        try:
            return self.real(), ""
        except TimeLimitExceeded:
            raise
        except Exception as error:
            return module, f"building it with weights raised {type(error).__name__}"


class _Trial:
    """Takes steps on copies of one model, and compares what they compute."""

    def __init__(
        self,
        module: torch.nn.Module,
        inputs: Callable[[], Any],
        *,
        proves: bool,
        own: bool,
        ours: bool,
        moving: bool,
    ) -> None:
        from convlint.deployment.copying import copy_of
        from convlint.deployment.proof import outputs_of, with_statistics
        from convlint.deployment.quantization import without_observing

        self.why = ""
        self.error: float | None = None
        self.dropped = 0
        self.outputs: list[torch.Tensor] | None = None
        self.module = module
        self.inputs = inputs
        if not proves:
            return
        try:
            if not own:  # numbers that a proof needs, in a model that nobody else sees
                self.module = with_statistics(module if ours else copy_of(module, [""]))
            subject = self.module
            if moving:  # scales that move with every run are not what is shipped
                subject = without_observing(copy_of(subject, [""]))
            self.outputs = outputs_of(subject, inputs(), ours=not own or moving)
        except (TimeLimitExceeded, ConvlintError):
            raise
        except Exception as error:  # whether the model runs is for the capture to say
            self.module = module
            self.why = f"the model raised {type(error).__name__}"

    def steps(
        self, harmless: Sequence[Name], changing: Sequence[Name]
    ) -> tuple[tuple[Step, ...], tuple[Kept, ...]]:
        """The steps that leave the outputs as they are, and those that do not."""
        steps, problem = self.taken([*harmless, *changing])
        if not problem:
            return steps, ()
        kept: list[Kept] = []
        good = list(harmless)
        for name in changing:
            _, problem = self.taken([*good, name])
            if problem:
                kept.append(Kept(*name, problem))
            else:
                good.append(name)
        steps, problem = self.taken(good)
        return ((), (*kept, *(Kept(*name, problem) for name in good))) if problem else (steps, tuple(kept))

    def taken(self, names: Sequence[Name]) -> tuple[tuple[Step, ...], str]:
        """The steps by these names, and what is wrong with them."""
        from convlint.deployment.proof import error_between, outputs_of
        from convlint.deployment.switches import NoSwitch, deployed

        self.error, self.dropped = None, 0
        try:
            copied, steps = deployed(self.module, names)
            if self.outputs is None or all(step.kind in SAME_PROGRAM for step in steps):
                return steps, ""
            outputs = outputs_of(copied, self.inputs(), ours=True)
            error, problem = error_between(self.outputs, outputs)
        except (TimeLimitExceeded, ConvlintError):
            raise
        except NoSwitch as no:
            return (), str(no)
        except Exception as raised:  # the methods are the user's own
            return (), f"it raised {type(raised).__name__}: {single_line(raised, 120)}"
        self.error, self.dropped = error, len(self.outputs) - len(outputs)
        return ((), problem) if problem else (steps, "")
