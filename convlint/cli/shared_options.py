"""The options that several commands have: which models, how to convert them, what to write."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from convlint.coreml.precision import PRECISIONS
from convlint.model import SEVERITIES
from convlint.output.formats import FORMATS, PICTURES, TEXT_FORMATS
from convlint.settings.keys import FRONTENDS, NO_TRIAL, TRIAL_LEVELS

FORMAT_HELP = "write this format to standard output; default: terminal"
COLOURS = ("auto", "always", "never")
"""When there are colours: on terminals alone, always, never."""


def add_report_options(
    shown: argparse._ArgumentGroup, formats: Sequence[str] = FORMATS, quiet: str = "show no progress"
) -> None:
    """Add what is written: to standard output, and to files whose endings name the format.

    ``--output-file``, ``--html`` and ``--svg`` are older names of ``--report``.
    """
    shown.add_argument("--format", choices=tuple(formats), default="terminal", help=FORMAT_HELP)
    endings = {"html": ".html", "svg": ".svg", "sarif": ".sarif", "json": ".json", "markdown": ".md"}
    endings |= {"junit": ".xml", "terminal": ".txt"}
    known = ", ".join(ending for name, ending in endings.items() if name in formats)
    text = f"also write this file; its ending names the format ({known}), else FORMAT:PATH; repeatable"
    names = ("-o", "--report")
    shown.add_argument(*names, action="append", dest="report", metavar="[FORMAT:]PATH", help=text)
    hidden = argparse.SUPPRESS
    shown.add_argument("--output-file", action="append", dest="report", help=hidden)
    for picture in sorted(PICTURES.intersection(formats)):
        as_picture = f"{picture}:{{}}".format
        shown.add_argument(f"--{picture}", action="append", dest="report", type=as_picture, help=hidden)
    shown.add_argument("-q", "--quiet", action="store_true", help=quiet)


def add_text_options(shown: argparse._ArgumentGroup) -> None:
    """:func:`add_report_options` for a command whose result is no list of findings."""
    add_report_options(shown, TEXT_FORMATS)


def add_compression_options(how: argparse._ArgumentGroup, *, old: bool) -> None:
    """Add what ``convlint compress`` measures; ``old`` for the hidden names in ``check``."""
    text = (
        "show sizes and errors of these: int8, int4, palettize:6, palettize:1..8, prune:0.5, w8a8; separate"
        " several by commas"
    )
    hidden = argparse.SUPPRESS
    name = "--compress" if old else "--to"
    how.add_argument(name, action="append", dest="compress", metavar="SETTINGS", help=hidden if old else text)
    text = "convert at this precision: float32, float16, or mixed (sums and norms in float32)"
    how.add_argument("--precision", choices=PRECISIONS, help=hidden if old else text)


def add_models(what: argparse._ArgumentGroup) -> None:
    """Add which models, with their inputs and arguments."""
    what.add_argument(
        "-m", "--model", action="append", metavar="NAME", help="use this configured model; repeatable"
    )
    what.add_argument("--all", action="store_true", help="use every configured model, as without SPEC")
    add_arguments(what)


def add_arguments(what: argparse._ArgumentGroup) -> None:
    """Add what describes one model: its inputs, the arguments of its constructor, and the configuration."""
    what.add_argument(
        "-i",
        "--input",
        action="append",
        metavar="SPEC",
        help="describe one input tensor: 1x3x224x224, mask=1x64:bool (an argument of forward by its name),"
        " ids=1x64:int64=0..31999 (with values, else integers are zeros), x=1x3x64x64:image; repeatable",
    )
    text = "pass a constructor argument: a Python literal, else a string; repeatable"
    what.add_argument("--arg", action="append", metavar="K=V", help=text)
    what.add_argument(
        "--arg-expr",
        action="append",
        metavar="K=EXPR",
        help="pass a constructor argument as a Python expression, which is run like the model's own code;"
        " modules that it names are imported; repeatable",
    )
    text = "read this configuration; default: the nearest convlint.toml or pyproject.toml"
    what.add_argument("--config", metavar="FILE", help=text)


def add_how(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add how a check converts."""
    how = parser.add_argument_group("how to check")
    text = "convert for this target: iOS15 to iOS18, iOS26, macOS12 and so on; default: iOS17"
    how.add_argument("-t", "--target", metavar="TARGET", help=text)
    add_frontend(how)
    text = (
        "convert this far: the ops alone, the passes too, or a whole model package with random weights;"
        " none: run the rules alone; default: passes"
    )
    add_trial(how, TRIAL_LEVELS, text)
    add_timeout(how)
    how.add_argument(
        "--coremltools", metavar="VERSION", help="lint for this release instead of the installed one"
    )
    add_converters(how)
    add_form(how)
    text = "check this many models at a time, each in a process of its own; default: 1"
    how.add_argument("-j", "--jobs", type=_processes, metavar="N", help=text)
    return how


def add_frontend(how: argparse._ArgumentGroup) -> None:
    """Add ``--frontend``, for the commands that choose one."""
    how.add_argument("--frontend", choices=FRONTENDS, help="convert through this frontend; default: auto")


def add_timeout(how: argparse._ArgumentGroup) -> None:
    """Add ``--timeout``, which is about each step by itself."""
    text = "stop each step (the model's own code, each conversion) after this many seconds; default: 120"
    how.add_argument("--timeout", type=float, metavar="SECONDS", help=text)


def add_trial(how: argparse._ArgumentGroup, levels: Sequence[str], text: str) -> None:
    """Add ``--trial``; ``--no-trial`` is an older name of ``--trial none``."""
    trial = how.add_mutually_exclusive_group()
    trial.add_argument("--trial", choices=(*levels, NO_TRIAL), help=text)
    hidden = argparse.SUPPRESS
    trial.add_argument("--no-trial", dest="trial", action="store_const", const=NO_TRIAL, help=hidden)


def add_form(how: argparse._ArgumentGroup) -> None:
    """Add ``--as-trained``."""
    text = "judge the model as it is trained, without switching its blocks to what is shipped"
    how.add_argument("--as-trained", action="store_const", const=True, help=text)


def add_converters(how: argparse._ArgumentGroup) -> None:
    """Add ``--converters``."""
    text = "load this module or file, which registers converters with coremltools; repeatable"
    how.add_argument("--converters", action="append", metavar="MODULE", help=text)


def add_which(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add which rules count."""
    rules = parser.add_argument_group("which rules")
    rules.add_argument(
        "--select",
        action="append",
        metavar="RULES",
        help="use only these rules: codes, beginnings of codes, names or categories, separated by commas",
    )
    rules.add_argument("--ignore", action="append", metavar="RULES", help="use all rules but these")
    rules.add_argument(
        "--fail-on", choices=SEVERITIES, help="exit with 1 from this severity on; default: error"
    )
    return rules


def add_storage_options(parser: argparse.ArgumentParser) -> None:
    """Add the cache and the baseline."""
    group = parser.add_argument_group("cache and baseline")
    group.add_argument("--no-cache", action="store_true", help="check anew, and cache nothing")
    text = "cache results here; default: .convlint_cache beside the configuration"
    group.add_argument("--cache-dir", metavar="DIR", help=text)
    text = "the file of known findings, which are not reported; default: that of the configuration"
    group.add_argument("--baseline", metavar="FILE", help=text)
    group.add_argument("--no-baseline", action="store_true", help="report known findings too")


def _processes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {text}")
    return int(text)
