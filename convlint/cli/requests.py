"""Typed requests of the commands, made from what argparse read. Nothing below sees the namespace."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from convlint.coreml.targets import normalise_target
from convlint.errors import UsageError
from convlint.interface.inputs import parse_inputs
from convlint.interface.outputs import parse_outputs
from convlint.settings.keys import NO_TRIAL
from convlint.settings.request import Request

Part = Literal["findings", "statistics", "compression"]
"""What of a check standard output shows."""


@dataclass(frozen=True)
class ModelCommand:
    """The options of every command that runs models: which models, and how it behaves meanwhile.

    ``config`` names the configuration instead of the nearest one.
    """

    models: Request
    config: str | None
    format: str
    quiet: bool
    debug: bool


@dataclass(frozen=True)
class StorageOptions:
    """The files that outlive a run: results in a cache, and known findings in a baseline."""

    cache: bool = True
    cache_dir: str | None = None
    baseline: str | None = None
    use_baseline: bool = True


@dataclass(frozen=True)
class CheckRequest(ModelCommand):
    """``convlint check`` and ``convlint baseline``.

    ``changed`` has the files of a change, None without ``--changed``. ``ended`` says by the number of a
    model how it ended an earlier process, ``reported`` how many models that process reported.
    ``part`` is what standard output shows.
    """

    storage: StorageOptions
    processes: int = 1
    files: tuple[str, ...] = ()
    changed: tuple[str, ...] | None = None
    full: bool = False
    part: Part = "findings"
    releases: tuple[str, ...] = ()
    ended: Mapping[int, str] = field(default_factory=dict)
    reported: int = 0


def check_request(namespace: argparse.Namespace) -> CheckRequest:
    """The request of ``check`` or ``baseline``; options that only one of them has may be absent."""
    asked = vars(namespace).get
    changed = asked("changed")
    return CheckRequest(
        **command_fields(namespace),
        storage=StorageOptions(
            not asked("no_cache"), asked("cache_dir"), asked("baseline"), not asked("no_baseline")
        ),
        processes=asked("jobs") or 1,
        files=files_of(namespace),
        changed=None if changed is None else tuple(changed),
        full=bool(asked("full")),
        part="statistics" if asked("statistics") else "findings",
        releases=releases_of(namespace),
        ended=asked("ended", {}),
        reported=asked("reported", 0),
    )


def files_of(namespace: argparse.Namespace) -> tuple[str, ...]:
    """The files that ``--report`` names, each as its argument."""
    return tuple(namespace.report or ()) if "report" in namespace else ()


def command_fields(namespace: argparse.Namespace) -> dict[str, Any]:
    return {
        "models": _models(namespace),
        "config": namespace.config,
        "format": vars(namespace).get("format", "terminal"),
        "quiet": namespace.quiet,
        "debug": namespace.debug,
    }


def _models(namespace: argparse.Namespace) -> Request:
    """Which models to look at, and which settings override the configuration."""
    asked = vars(namespace).get
    models = asked("model") or ()
    args, arg_exprs = _arguments(namespace)
    return Request(
        spec=asked("spec"),
        models=(models,) if isinstance(models, str) else tuple(models),
        every=bool(asked("all")),
        inputs=parse_inputs(asked("input") or ()),
        args=args,
        arg_exprs=arg_exprs,
        overrides=_overrides(namespace),
        rule_paths=tuple(asked("rule_path") or ()),
        compress=tuple(asked("compress") or ()),
        chip=asked("chip"),
        os=asked("os"),
    )


def _arguments(namespace: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    if not (namespace.arg or namespace.arg_expr):
        return {}, {}
    from convlint.usercode.arguments import parse_expressions, parse_literals

    return parse_literals(namespace.arg or ()), parse_expressions(namespace.arg_expr or ())


def _overrides(namespace: argparse.Namespace) -> dict[str, Any]:
    """The fields of ``Options`` that the command line sets; a command need not have all of them."""
    asked = {name: value for name, value in vars(namespace).items() if value is not None}
    same = (
        "frontend",
        "fail_on",
        "coremltools",
        "why",
        "output",
        "parity",
        "precision",
        "checkpoint",
        "as_trained",
    )
    overrides = {name: asked[name] for name in same if name in asked}
    if "target" in asked:
        overrides["target"] = normalise_target(asked["target"])
    if "trial" in asked:
        overrides["trial"] = None if asked["trial"] == NO_TRIAL else asked["trial"]
    elif "output" in asked:
        overrides["trial"] = "full"
    if "timeout" in asked:
        if not 0 < asked["timeout"] < math.inf:
            raise UsageError(f"--timeout must be a number of seconds above 0, not {asked['timeout']:g}.")
        overrides["timeout"] = asked["timeout"]
    for name in ("select", "ignore"):
        if name in asked:
            overrides[name] = _words(name, asked[name])
    if asked.get("converters"):
        overrides["converters"] = tuple(asked["converters"])
    if asked.get("output_type"):
        overrides["outputs"] = parse_outputs(asked["output_type"])
    if "coremltools" in overrides:
        from convlint.coreml.versions import parse_release

        parse_release(overrides["coremltools"])
    return overrides


def _words(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for text in texts for word in text.split(",") if word.strip())
    if not words:
        raise UsageError(f"--{name} names no rule: give a code such as CL104, a name or a category.")
    return words


def releases_of(namespace: argparse.Namespace) -> tuple[str, ...]:
    """The two releases of ``upgrade`` or its older name ``--diff-coremltools``, none without them."""
    asked = vars(namespace).get
    if not asked("diff_coremltools"):
        return ()
    from convlint.coreml.versions import parse_release

    if asked("coremltools") is not None or asked("trial") not in (None, NO_TRIAL):
        raise UsageError(
            "--diff-coremltools compares by the rules alone: leave out --coremltools and --trial, or use"
            " `convlint upgrade FROM TO`."
        )
    return tuple(parse_release(text).text for text in namespace.diff_coremltools)
