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
    from convlint.check import check as check
    from convlint.many import check_many as check_many
    from convlint.model import Report as Report
    from convlint.testing import assert_convertible as assert_convertible

__all__ = ["Report", "__version__", "assert_convertible", "check", "check_many"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "check":
        from convlint.check import check

        return check
    if name == "Report":
        from convlint.model import Report

        return Report
    if name == "assert_convertible":
        from convlint.testing import assert_convertible

        return assert_convertible
    if name == "check_many":
        from convlint.many import check_many

        return check_many
    raise AttributeError(f"module 'convlint' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _Package(ModuleType):
    """This package, where ``convlint.check`` stays the function although a module has that name too.

    Python binds a submodule to its package's attribute when it is first imported; here that would
    replace the function by the module behind it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name != "check" or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
