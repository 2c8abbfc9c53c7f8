"""Errors that a user can act on. Each carries the exit code that the command line returns for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convlint.model import Report


class ConvlintError(Exception):
    """One clear paragraph: what is wrong, and the next step."""

    exit_code = 2


class UsageError(ConvlintError):
    """Bad use or configuration (exit code 2)."""


class FileError(UsageError):
    """A file that cannot be used; ``problems`` lists every mistake with its path (exit code 2)."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class RuleError(FileError):
    """Rule files that cannot be loaded."""


class SettingsError(FileError):
    """A configuration that cannot be read."""


class ModelError(ConvlintError):
    """The model could not be imported, built, run or captured (exit code 3)."""

    exit_code = 3


class NotConvertible(ConvlintError):
    """A model that was about to be trained does not convert, or would not run where it should (exit code 1).

    Its text is the report in short, ``report`` all of it.
    """

    exit_code = 1

    def __init__(self, text: str, report: Report) -> None:
        self.report = report
        super().__init__(text)
