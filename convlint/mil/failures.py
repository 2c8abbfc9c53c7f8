"""What can go wrong when a program is executed."""

from __future__ import annotations

from convlint.errors import ConvlintError


class ExecutionError(ConvlintError):
    """A MIL program that cannot be run with these inputs, or not at all."""


class ShapeMismatch(ExecutionError):
    """A value that has not the shape that the program declares for it: the program, or its inputs, are wrong.

    ``operation`` is the name of the operation that made it, empty for an input.
    """

    operation: str = ""


class UnsupportedOperation(ExecutionError):
    """An operation, or a mode of one, whose meaning coremltools does not define."""
