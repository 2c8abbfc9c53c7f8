"""convlint tells, before training, whether a PyTorch architecture converts to Core ML.

::

    report = convlint.check(model, example_inputs)
    report.convertible  # "yes", "no" or "unknown"

Importing this package loads neither torch nor coremltools; the first use of :func:`check` does.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlint import mil as mil
    from convlint.check import check as check
    from convlint.fix import convert as convert
    from convlint.fix import fix as fix
    from convlint.image_fold import fold_std as fold_std
    from convlint.many import check_many as check_many
    from convlint.model import Report as Report
    from convlint.parity import parity as parity
    from convlint.plan.forecast import plan as plan
    from convlint.plan.model import Plan as Plan
    from convlint.repair.fixed import Fixed as Fixed
    from convlint.testing import assert_convertible as assert_convertible

__all__ = [
    "Fixed",
    "Plan",
    "Report",
    "__version__",
    "assert_convertible",
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
    "Fixed": "repair.fixed",
    "Plan": "plan.model",
    "Report": "model",
    "assert_convertible": "testing",
    "check": "check",
    "check_many": "many",
    "convert": "fix",
    "fix": "fix",
    "fold_std": "image_fold",
    "parity": "parity",
    "plan": "plan.forecast",
}
"""The module of each public name, imported when the name is first asked for."""


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "mil":
        return import_module("convlint.mil")
    if name in _HOMES:
        return getattr(import_module(f"convlint.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'convlint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, where ``check``, ``fix``, ``parity`` and ``plan`` stay functions beside modules so named.

    Python binds a submodule to its package's attribute when it is first imported; here that would
    replace the function by the module behind it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("check", "fix", "parity", "plan") or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
