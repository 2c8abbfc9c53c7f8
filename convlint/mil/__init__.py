"""Runs Core ML's intermediate programs (MIL) on any machine.

::

    outputs = convlint.mil.run(program, {"x": array})

``program`` is a MIL program, an ``MLModel`` or the path of an ``.mlpackage``.
"""

from __future__ import annotations

from convlint.mil.executor import load, run
from convlint.mil.failures import ExecutionError, ShapeMismatch, UnsupportedOperation

__all__ = ["ExecutionError", "ShapeMismatch", "UnsupportedOperation", "load", "run"]
