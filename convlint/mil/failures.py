"""The errors of executing a program."""

from __future__ import annotations

from convlint.errors import ConvlintError


class ExecutionError(ConvlintError):
    """A MIL program cannot be run with these inputs, or not at all."""


class ShapeMismatch(ExecutionError):
    """A value lacks the shape that the program declares for it: the program or its inputs are wrong.

    ``operation`` is the name of the operation that made the value, empty for an input.
    """

    operation: str = ""


class UnsupportedOperation(ExecutionError):
    """coremltools does not define the meaning of an operation, or of a mode of it."""
