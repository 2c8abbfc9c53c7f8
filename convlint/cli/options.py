"""The options of the commands that check models, in the groups that their help shows."""

from __future__ import annotations

import argparse

from convlint.cli.shared_options import (
    FORMAT_HELP,
    add_arguments,
    add_compression_options,
    add_converters,
    add_form,
    add_frontend,
    add_how,
    add_models,
    add_report_options,
    add_storage_options,
    add_text_options,
    add_timeout,
    add_trial,
    add_which,
)
from convlint.output.formats import TEXT_FORMATS

PLAN_FORMATS = ("terminal", "json", "markdown", "html", "svg")
"""What ``convlint plan`` writes."""

_SPEC = "as for check: module:attr, path.py:attr or a name"


def add_check_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint check`` takes."""
    what = parser.add_argument_group("what to check")
    what.add_argument(
        "spec",
        nargs="?",
        metavar="SPEC",
        help="module:attr or path.py:attr; attr is an nn.Module subclass, a function that returns a model,"
        " or a model. Or a name: timm:resnet50, torchvision:swin_t, hf:bert. Without SPEC: the models of the"
        " configuration",
    )
    add_models(what)
    what.add_argument(
        "--output-type",
        action="append",
        metavar="SPEC",
        help="declare an output as a picture, [NAME:]image[(LAYOUT)]: rgb, bgr, gray, gray16; repeatable",
    )
    text = "check only the configured models that import one of these files; without files, check none"
    what.add_argument("--changed", nargs="*", metavar="FILE", help=text)
    text = "check again whenever a file of a model is saved (needs the package watchfiles)"
    what.add_argument("--watch", action="store_true", help=text)
    how = add_how(parser)
    how.add_argument(
        "--parity",
        nargs="?",
        choices=("float32", "float16"),
        const="float32",
        metavar="PRECISION",
        help="also run the converted program and compare it with PyTorch, at float32 or float16;"
        " default: float32",
    )
    _add_checkpoint(how)
    text = "convert in full, and write the model package here: a new path, or a package to replace"
    how.add_argument("--save-package", dest="output", metavar="PATH", help=text)
    how.add_argument("--output", help=argparse.SUPPRESS)
    add_compression_options(how, old=True)
    how.add_argument("--diff-coremltools", nargs=2, help=argparse.SUPPRESS)
    rules = add_which(parser)
    rules.add_argument("--why", metavar="RULE", help="explain for each op why this rule did not fire")
    add_storage_options(parser)
    shown = parser.add_argument_group("what to show")
    add_report_options(shown, quiet="show findings only, and no progress")
    text = "show every finding in full: all helps, the lines of warnings, and notes"
    shown.add_argument("--full", action="store_true", help=text)
    text = "show how many findings each rule has, instead of the findings"
    shown.add_argument("--statistics", action="store_true", help=text)
    text = "forecast for this chip, in the report and in the page; default: A17Pro"
    shown.add_argument("--chip", metavar="CHIP", help=text)
    shown.add_argument("--os", metavar="OS", help="forecast for this system: iOS17, macOS14 and so on")
    shown.add_argument("--show-settings", action="store_true", help=argparse.SUPPRESS)


def add_compare_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint compare`` takes."""
    from convlint.runtimes.table import NAMES

    what = parser.add_argument_group("what to compare")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    add_models(what)
    how = parser.add_argument_group("how to compare")
    text = "convert for this target with coremltools; default: iOS17"
    how.add_argument("-t", "--target", metavar="TARGET", help=text)
    text = "try only this runtime; repeatable; default: all"
    how.add_argument("--runtime", action="append", choices=NAMES, help=text)
    how.add_argument("--door", dest="runtime", action="append", choices=NAMES, help=argparse.SUPPRESS)
    add_timeout(how)
    add_converters(how)
    add_form(how)
    add_text_options(parser.add_argument_group("what to show"))


def add_fix_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint fix`` takes."""
    what = parser.add_argument_group("what to fix")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    what.add_argument("-m", "--model", metavar="NAME", help="use this configured model")
    add_arguments(what)
    how = parser.add_argument_group("how to fix")
    text = "convert for this target: iOS15 to iOS18, iOS26 and so on; default: iOS17"
    how.add_argument("-t", "--target", metavar="TARGET", help=text)
    add_converters(how)
    add_form(how)
    text = "allow changes that give different outputs for some inputs"
    how.add_argument("--unsafe", action="store_true", help=text)
    text = (
        "ane: lay the activations out as the Neural Engine prefers them, (batch, channels, 1, sequence);"
        " image: fold a normalisation of the input into the convolution that reads it"
    )
    how.add_argument("--for", dest="for_", choices=["ane", "image"], default="", help=text)
    text = "write those changes that an edit of your source can make; never outside the project"
    how.add_argument("--write", action="store_true", help=text)
    text = (
        "write a script here that converts this model by coremltools alone, and coreml_ops.py where it needs"
        " that; without --write no line of yours is edited"
    )
    how.add_argument("--emit", metavar="PATH", help=text)
    add_timeout(how)
    add_text_options(parser.add_argument_group("what to show"))


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint plan`` takes."""
    what = parser.add_argument_group("what to plan")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    add_models(what)
    where = parser.add_argument_group("where it is to run")
    text = "forecast for this chip: A12 to A19 Pro, M1 to M6; several with commas, or all; default: A17Pro"
    where.add_argument("--chip", metavar="CHIP", help=text)
    text = "forecast for this system: iOS17, macOS14 and so on; default: iOS17 or its equal"
    where.add_argument("--os", metavar="OS", help=text)
    text = "allow these units: all, cpu, cpu+gpu or cpu+ane; default: all"
    where.add_argument("--compute-units", default="all", metavar="UNITS", help=text)
    text = "end with exit code 1 where the estimate for some chip is above this many milliseconds"
    where.add_argument("--max-ms", type=float, metavar="MS", help=text)
    text = "convert at this precision; default: float16"
    # It has a ``dest`` of its own, because that of a check asks for a measurement of size and error.
    where.add_argument(
        "--precision", dest="plan_precision", choices=("float32", "float16"), default="float16", help=text
    )
    text = "convert for this deployment target; default: that of the system"
    where.add_argument("-t", "--target", metavar="TARGET", help=text)
    add_frontend(where)
    text = "passes: plan the converted program; none: plan PyTorch's own ops; default: passes"
    add_trial(where, ("passes",), text)
    add_timeout(where)
    add_converters(where)
    add_form(where)
    text = "also ask Core ML's own compute plan, and time predictions; needs a Mac"
    where.add_argument("--measure", action="store_true", help=text)
    text = "compare with what a Mac said: a dump of Core ML's compute plan, as JSON or as lines with tabs"
    where.add_argument("--compare-with", metavar="FILE", help=text)
    text = (
        "name the lines that left the Neural Engine since a plan that --format json wrote, for example of the"
        " main branch; exit code 1 where there are any"
    )
    where.add_argument("--diff", metavar="FILE", help=text)
    shown = parser.add_argument_group("what to show")
    add_report_options(shown, PLAN_FORMATS)
    text = "also write unit and time of each node for Model Explorer, which draws the exported program"
    shown.add_argument("--model-explorer", metavar="FILE", help=text)


def add_baseline_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``convlint baseline`` takes: the models of the configuration, and how to check them."""
    add_models(parser.add_argument_group("what to check"))
    add_how(parser)
    add_which(parser)
    add_storage_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def add_compress_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint compress`` takes."""
    what = parser.add_argument_group("what to compress")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    add_models(what)
    how = parser.add_argument_group("how to compress")
    add_compression_options(how, old=False)
    _add_checkpoint(how)
    text = "convert for this target, which decides what may be used: int4 needs iOS18; default: iOS17"
    how.add_argument("-t", "--target", metavar="TARGET", help=text)
    add_frontend(how)
    add_timeout(how)
    add_converters(how)
    add_form(how)
    add_report_options(parser.add_argument_group("what to show"))


def add_upgrade_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint upgrade`` takes."""
    parser.add_argument("before", metavar="FROM", help="a release of coremltools, such as 9.0")
    parser.add_argument("after", metavar="TO", help="another one, newer or older, such as 9.1.dev1")
    what = parser.add_argument_group("what to look at")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=f"{_SPEC}; default: every configured model")
    add_models(what)
    how = parser.add_argument_group("how to look at it")
    text = "look for this target: iOS15 to iOS18, iOS26 and so on; default: iOS17"
    how.add_argument("-t", "--target", metavar="TARGET", help=text)
    add_frontend(how)
    add_timeout(how)
    add_converters(how)
    add_form(how)
    add_which(parser)
    add_text_options(parser.add_argument_group("what to show"))


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint config`` takes: what overrides the configuration, too."""
    text = "look for mistakes instead, in everything that the configuration names"
    parser.add_argument("--check", action="store_true", help=text)
    add_models(parser.add_argument_group("which models"))
    add_how(parser)
    add_which(parser)
    add_storage_options(parser)
    parser.add_argument("--format", choices=TEXT_FORMATS, default="terminal", help=FORMAT_HELP)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def _add_checkpoint(how: argparse._ArgumentGroup) -> None:
    text = "load trained weights, written by torch.save or safetensors; default: random weights"
    how.add_argument("--checkpoint", metavar="FILE", help=text)
