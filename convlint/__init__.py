"""convlint tells, before training, whether a PyTorch architecture converts to Core ML.

::

    report = convlint.check(model, example_inputs)
    report.convertible  # "yes", "no" or "unknown"

Importing this package loads neither torch nor coremltools; the first use of :func:`check` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convlint.renderers import register

if TYPE_CHECKING:
    from convlint import mil as mil
    from convlint.checking.check import check as check
    from convlint.checking.offers.image_fold import fold_std as fold_std
    from convlint.checking.planning import plan as plan
    from convlint.model import Report as Report
    from convlint.model.fixed import Fixed as Fixed
    from convlint.model.placement import Plan as Plan
    from convlint.numerics.parity import parity as parity
    from convlint.repair.fix import convert as convert
    from convlint.repair.fix import fix as fix
    from convlint.runs.many import check_many as check_many
    from convlint.testing import assert_convertible as assert_convertible
    from convlint.testing import assert_placement as assert_placement

__all__ = [
    "Fixed",
    "Plan",
    "Report",
    "__version__",
    "assert_convertible",
    "assert_placement",
    "check",
    "check_many",
    "convert",
    "fix",
    "fold_std",
    "mil",
    "parity",
    "plan",
]

__version__ = "0.1.0"

_HOMES = {
    "Fixed": "model.fixed",
    "Plan": "model.placement",
    "Report": "model",
    "assert_convertible": "testing",
    "assert_placement": "testing",
    "check": "checking.check",
    "check_many": "runs.many",
    "convert": "repair.fix",
    "fix": "repair.fix",
    "fold_std": "checking.offers.image_fold",
    "parity": "numerics.parity",
    "plan": "checking.planning",
}
"""The module of each public name, imported when the name is first asked for."""

register("card", "convlint.output.notebook.card:card_of")
register("page", "convlint.output.html.page:write_page")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "mil":
        return import_module("convlint.mil")
    if name in _HOMES:
        return getattr(import_module(f"convlint.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'convlint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
