"""A parser whose help is short, and whose mistakes are errors of convlint.

It imports nothing of torch, coremltools, rich or networkx, so help and mistakes are answered at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from convlint.errors import UsageError
from convlint.nearest import did_you_mean

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Names the value of an option once: ``-i, --input SPEC``."""

    def _format_action_invocation(self, action: argparse.Action) -> str:
        invocation = super()._format_action_invocation(action)
        *short, last = invocation.split(", --") if action.option_strings else [invocation]
        value = last.partition(" ")[2]
        return ", --".join([*(name.removesuffix(f" {value}") if value else name for name in short), last])


QUICK = partial(Formatter, width=80)
"""A formatter of a fixed width: argparse makes one for every option, and asking the terminal is slow."""


class Parser(argparse.ArgumentParser):
    """An argument parser with a short help. ``common`` names the options in it; empty means all."""

    common: Collection[str] = ()

    def format_help(self) -> str:
        self.formatter_class = Formatter  # as wide as the terminal
        with self._shortened():
            return super().format_help()

    def format_full_help(self) -> str:
        """The help with every option."""
        self.common = ()
        return self.format_help()

    def keep_short(self, *common: str) -> None:
        """Show these options in the help, and all of them in that of ``--help-all``."""
        self.common = common
        self.add_argument("--help-all", action=_HelpAll, help="show every option, and exit")

    def error(self, message: str) -> NoReturn:
        hint = ""
        if wrong := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message):
            hint = did_you_mean(wrong[1], [choice.strip("' ") for choice in wrong[2].split(",")])
        raise UsageError(f"{message.rstrip('.')}.{hint} See `{self.prog} --help`.")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        if message:  # argparse stays silent where the stream takes nothing
            (file or sys.stderr).write(message)

    def options(self) -> list[str]:
        """Every option that this parser shows."""
        return [option for action in self._actions for option in action.option_strings if shown(action)]

    @contextmanager
    def _shortened(self) -> Iterator[None]:
        """Leave out the options that are not common, and put the general ones last."""
        rare = [each for each in self._actions if self._is_rare(each)]
        helps = [each.help for each in rare]
        groups, epilog = list(self._action_groups), self.epilog
        self._action_groups.sort(key=lambda group: group is self._optionals)
        for each in rare:
            each.help = argparse.SUPPRESS
        if rare:
            self.epilog = f"{len(rare)} more options: `{self.prog} --help-all`\n\n{epilog or ''}".rstrip()
        try:
            yield
        finally:
            self._action_groups[:], self.epilog = groups, epilog
            for each, text in zip(rare, helps, strict=True):
                each.help = text

    def _is_rare(self, action: argparse.Action) -> bool:
        general = ("--help", "--help-all")
        names = action.option_strings
        return bool(
            self.common and names and shown(action) and not {*self.common, *general}.intersection(names)
        )


class _HelpAll(argparse.Action):
    """Shows the help with every option."""

    def __init__(self, option_strings: Sequence[str], dest: str, **more: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, default=argparse.SUPPRESS, **more)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        assert isinstance(parser, Parser)
        sys.stdout.write(parser.format_full_help())
        parser.exit()


def shown(action: argparse.Action) -> bool:
    """Whether an option is one of today: older names work, and are neither shown nor completed."""
    return action.help != argparse.SUPPRESS
