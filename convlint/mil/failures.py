"""What can go wrong when a program is executed."""

from __future__ import annotations

from convlint.errors import ConvlintError


class ExecutionError(ConvlintError):
    """A MIL program that cannot be run with these inputs, or not at all."""


class UnsupportedOperation(ExecutionError):
    """An operation, or a mode of one, whose meaning coremltools does not define."""
