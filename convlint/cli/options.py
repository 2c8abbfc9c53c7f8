"""The options of the commands that check models, in the groups that their help shows."""

from __future__ import annotations

import argparse

from convlint.coreml.precision import PRECISIONS
from convlint.model import SEVERITIES
from convlint.output.formats import FORMATS
from convlint.settings.keys import FRONTENDS, NO_TRIAL, TRIAL_LEVELS

FORMAT_HELP = "write this format to standard output; default: terminal"


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
    _add_models(what)
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
    how = _add_how(parser)
    how.add_argument(
        "--parity",
        nargs="?",
        choices=("float32", "float16"),
        const="float32",
        metavar="PRECISION",
        help="also run the converted program and compare it with PyTorch, at float32 or float16;"
        " default: float32",
    )
    how.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="also convert at this precision, and show size and error; mixed: sums and norms in float32",
    )
    how.add_argument(
        "--compress",
        action="append",
        metavar="SETTINGS",
        help="also compress, and show sizes and errors: int8, int4, palettize:6, palettize:1..8, prune:0.5,"
        " w8a8; separate several by commas",
    )
    text = "load trained weights, written by torch.save or safetensors; default: random weights"
    how.add_argument("--checkpoint", metavar="FILE", help=text)
    how.add_argument(
        "--output",
        metavar="PATH",
        help="write the model package of --trial full here: a new path, or a package to replace",
    )
    how.add_argument(
        "--diff-coremltools",
        nargs=2,
        metavar=("FROM", "TO"),
        help="show what changing from one release to the other would fix and break, by the rules alone",
    )
    rules = _add_which(parser)
    rules.add_argument("--why", metavar="RULE", help="explain for each op why this rule did not fire")
    _add_storage_options(parser)
    shown = parser.add_argument_group("what to show")
    shown.add_argument("--format", choices=FORMATS, default="terminal", help=FORMAT_HELP)
    text = "also write this file; its ending names the format where FORMAT: does not; repeatable"
    shown.add_argument("--output-file", action="append", metavar="[FORMAT:]PATH", help=text)
    add_picture_options(shown)
    text = "forecast for this chip in the page and the drawing; default: A17Pro"
    shown.add_argument("--chip", metavar="CHIP", help=text)
    shown.add_argument("--os", metavar="OS", help="forecast for this system: iOS17, macOS14 and so on")
    text = "show every finding in full: all helps, the lines of warnings, and notes"
    shown.add_argument("--full", action="store_true", help=text)
    shown.add_argument("-q", "--quiet", action="store_true", help="show findings only")
    text = "show every setting and where it comes from, and check nothing"
    shown.add_argument("--show-settings", action="store_true", help=text)


def add_picture_options(shown: argparse._ArgumentGroup) -> None:
    """Add ``--html`` and ``--svg``, which are short for an ``--output-file`` of that format."""
    pictures = (
        ("--html", "write a page with the findings and the model as a picture"),
        ("--svg", "write a drawing of the model's modules, for papers and READMEs"),
    )
    for option, text in pictures:
        shown.add_argument(
            option,
            action="append",
            dest="output_file",
            type=f"{option[2:]}:{{}}".format,
            metavar="FILE",
            help=text,
        )


def add_compare_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint compare`` takes."""
    from convlint.runtimes.table import NAMES

    what = parser.add_argument_group("what to compare")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    _add_models(what)
    how = parser.add_argument_group("how to compare")
    text = "convert for this target with coremltools; default: iOS17"
    how.add_argument("--target", metavar="TARGET", help=text)
    text = "try only this runtime; repeatable; default: all"
    how.add_argument("--runtime", action="append", choices=NAMES, help=text)
    how.add_argument("--door", dest="runtime", action="append", choices=NAMES, help=argparse.SUPPRESS)
    text = "stop each runtime after this many seconds; default: 120"
    how.add_argument("--timeout", type=float, metavar="SECONDS", help=text)
    _add_converters(how)
    _add_form(how)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def add_fix_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint fix`` takes."""
    what = parser.add_argument_group("what to fix")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    what.add_argument("--model", metavar="NAME", help="use this configured model")
    what.add_argument(
        "--input",
        action="append",
        metavar="SPEC",
        help="describe one input tensor, [NAME=]SHAPE[:DTYPE[=VALUES]|:image]; repeatable",
    )
    text = "pass a constructor argument: a Python literal, else a string; repeatable"
    what.add_argument("--arg", action="append", metavar="K=V", help=text)
    text = "pass a constructor argument as a Python expression; repeatable"
    what.add_argument("--arg-expr", action="append", metavar="K=EXPR", help=text)
    text = "read this configuration; default: the nearest convlint.toml or pyproject.toml"
    what.add_argument("--config", metavar="FILE", help=text)
    how = parser.add_argument_group("how to fix")
    text = "convert for this target: iOS15 to iOS18, iOS26 and so on; default: iOS17"
    how.add_argument("--target", metavar="TARGET", help=text)
    _add_converters(how)
    _add_form(how)
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
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add everything that ``convlint plan`` takes."""
    what = parser.add_argument_group("what to plan")
    what.add_argument("spec", nargs="?", metavar="SPEC", help=_SPEC)
    _add_models(what)
    where = parser.add_argument_group("where it is to run")
    text = "forecast for this chip: A12 to A19 Pro, M1 to M6; several with commas, or all; default: A17Pro"
    where.add_argument("--chip", metavar="CHIP", help=text)
    text = "forecast for this system: iOS17, macOS14 and so on; default: iOS17 or its equal"
    where.add_argument("--os", metavar="OS", help=text)
    text = "allow these units: all, cpu, cpu+gpu or cpu+ane; default: all"
    where.add_argument("--compute-units", default="all", metavar="UNITS", help=text)
    text = "end with exit code 1 where the estimate for some chip is above this many milliseconds"
    where.add_argument("--max-ms", type=float, metavar="MS", help=text)
    text = "convert at this precision: float16 or float32; default: float16"
    # It has a ``dest`` of its own, because --precision of a check means something else.
    where.add_argument("--precision", dest="plan_precision", default="float16", metavar="P", help=text)
    text = "convert for this deployment target; default: that of the system"
    where.add_argument("--target", metavar="TARGET", help=text)
    text = "plan PyTorch's own ops, without a conversion"
    where.add_argument("--no-trial", dest="trial", action="store_const", const=NO_TRIAL, help=text)
    text = "stop user code and conversion after this many seconds each; default: 120"
    where.add_argument("--timeout", type=float, metavar="SECONDS", help=text)
    _add_form(where)
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
    shown.add_argument(
        "--format", choices=("terminal", "json", "markdown"), default="terminal", help=FORMAT_HELP
    )
    add_picture_options(shown)
    shown.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def add_baseline_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``convlint baseline`` takes: the models of the configuration, and how to check them."""
    _add_models(parser.add_argument_group("what to check"))
    _add_how(parser)
    _add_which(parser)
    _add_storage_options(parser)
    parser.add_argument("-q", "--quiet", action="store_true", help="show no progress")


def _add_models(what: argparse._ArgumentGroup) -> None:
    what.add_argument(
        "--model", action="append", metavar="NAME", help="use this configured model; repeatable"
    )
    what.add_argument("--all", action="store_true", help="use every configured model, as without SPEC")
    what.add_argument(
        "--input",
        action="append",
        metavar="SPEC",
        help="describe one input tensor, [NAME=]SHAPE[:DTYPE[=VALUES]|:image]; with a name it is a keyword"
        " argument of forward; integers are zeros without VALUES (100, 0..31999, 10,6,3); repeatable",
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


def _add_how(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    how = parser.add_argument_group("how to check")
    text = "convert for this target: iOS15 to iOS18, iOS26, macOS12 and so on; default: iOS17"
    how.add_argument("--target", metavar="TARGET", help=text)
    how.add_argument("--frontend", choices=FRONTENDS, help="convert through this frontend; default: auto")
    trial = how.add_mutually_exclusive_group()
    trial.add_argument(
        "--trial",
        choices=(*TRIAL_LEVELS, NO_TRIAL),
        help="convert this far: the ops alone, the passes too, or a whole model package with random weights;"
        " none: run the rules alone; default: passes",
    )
    trial.add_argument(
        "--no-trial", dest="trial", action="store_const", const=NO_TRIAL, help=argparse.SUPPRESS
    )
    text = "stop user code and trial after this many seconds each; default: 120"
    how.add_argument("--timeout", type=float, metavar="SECONDS", help=text)
    how.add_argument(
        "--coremltools", metavar="VERSION", help="lint for this release instead of the installed one"
    )
    _add_converters(how)
    _add_form(how)
    text = "check this many models at a time, each in a process of its own; default: 1"
    how.add_argument("-j", "--jobs", type=_processes, metavar="N", help=text)
    return how


def _add_form(how: argparse._ArgumentGroup) -> None:
    text = "judge the model as it is trained, without switching its blocks to what is shipped"
    how.add_argument("--as-trained", action="store_const", const=True, help=text)


def _add_converters(how: argparse._ArgumentGroup) -> None:
    text = "load this module or file, which registers converters with coremltools; repeatable"
    how.add_argument("--converters", action="append", metavar="MODULE", help=text)


def _add_which(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
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


def _add_storage_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("cache and baseline")
    group.add_argument("--no-cache", action="store_true", help="check anew, and cache nothing")
    text = "cache results here; default: .convlint_cache beside the configuration"
    group.add_argument("--cache-dir", metavar="DIR", help=text)
    text = "report no findings that this file knows; default: that of the configuration"
    group.add_argument("--baseline", metavar="FILE", help=text)
    group.add_argument("--no-baseline", action="store_true", help="report known findings too")


def _processes(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a number of at least 1, not {text}")
    return int(text)
