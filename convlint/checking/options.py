"""How a model is checked: plain values, decided before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from convlint.capture.limits import DEFAULT_TIMEOUT
from convlint.coreml.precision import PRECISIONS
from convlint.coreml.targets import DEFAULT_TARGET
from convlint.errors import UsageError
from convlint.model import SEVERITIES, FrontendChoice, Severity, TrialLevel
from convlint.nearest import did_you_mean

if TYPE_CHECKING:
    from convlint.compression.settings import Setting
    from convlint.coreml.precision import Precision as TrialPrecision
    from convlint.interface.outputs import OutputSpec
    from convlint.model.fitted import Fitted
    from convlint.model.parity import Precision

_WORDS: Mapping[str, tuple[str, ...]] = {
    "frontend": get_args(FrontendChoice),
    "trial": get_args(TrialLevel),
    "fail_on": SEVERITIES,
    "parity": ("float32", "float16"),
    "precision": PRECISIONS,
}


@dataclass(frozen=True)
class Options:
    """How to check one model.

    The command line, the configuration, the environment and the Python functions all fill this class. A
    field that the configuration knows has the name of its key. ``target`` and ``frontend`` are as in
    coremltools; ``trial`` is None for the rules alone; ``timeout`` is in seconds, for the user's code and
    for a trial each. ``parity`` also runs the converted program, at that precision; ``precision`` and
    ``compress`` measure their effect, with the weights of ``checkpoint``. ``output`` is the package that a
    trial of the level "full" writes, ``why`` a rule to explain where it does not fire, ``coremltools`` a
    release to lint for instead of the installed one. ``chip`` and ``os`` are what the forecast is for; None
    stands for a current one that runs the target. ``as_trained`` leaves a model that has a deployed form in
    the other one. ``fitted`` are numbers of chips that were fitted to measurements.

    ``origins`` says where the value of each field comes from that is not left at its default.
    """

    target: str = DEFAULT_TARGET
    frontend: FrontendChoice = "auto"
    trial: TrialLevel | None = "passes"
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = "error"
    timeout: float = DEFAULT_TIMEOUT
    per_module_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    converters: tuple[str, ...] = ()
    rule_paths: tuple[str, ...] = ()
    coremltools: str | None = None
    why: str | None = None
    output: str | None = None
    parity: Precision | None = None
    precision: TrialPrecision | None = None
    compress: tuple[Setting, ...] = ()
    checkpoint: str = ""
    outputs: tuple[OutputSpec, ...] = ()
    chip: str | None = None
    os: str | None = None
    as_trained: bool = False
    fitted: tuple[Fitted, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            value = getattr(self, name)
            if value is not None and value not in words:
                hint = did_you_mean(value, words) if isinstance(value, str) else ""
                raise UsageError(f"{name} must be one of {', '.join(words)}, not {value!r}.{hint}")

    def over(self, values: Mapping[str, Any], origin: str) -> Options:
        """These options, overridden by ``values``, which come from ``origin``."""
        if not values:
            return self
        return replace(self, **values, origins={**self.origins, **dict.fromkeys(values, origin)})
