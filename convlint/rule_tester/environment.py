"""What an example is proved for: the versions, the frontend and the target that it asks for, or its rule."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from convlint.checking.doctor import installed_version
from convlint.coreml.supported import installed_snapshot
from convlint.coreml.targets import OPSETS
from convlint.coreml.versions import parse_bounds, parse_release, parse_target
from convlint.model import Example, Rule
from convlint.rules.match import Environment, inapplicable


def installed_environment() -> Environment:
    """The versions that are installed here."""
    return Environment(
        coremltools=installed_version("coremltools"),
        torch=installed_version("torch"),
        supported=installed_snapshot(),
        numpy=installed_version("numpy"),
        python=platform.python_version(),
    )


def environment_of(rule: Rule, example: Example, installed: Environment) -> Environment:
    """What an example is proved for: its own ``target`` and ``frontend``, else one that the rule applies to.

    The example of an environment rule brings all its versions itself.
    """
    options = example.options
    versions = options.get("environment")
    if versions is not None:
        absent = replace(installed, coremltools=None, torch=None, numpy=None, python=None)
        return replace(absent, **versions)
    frontend: Any = options.get("frontend") or rule.applies.get("frontend") or installed.frontend
    return replace(installed, frontend=frontend, target=options.get("target") or _target(rule, installed))


def _target(rule: Rule, installed: Environment) -> str:
    bounds = rule.applies.get("target")
    candidates = (installed.target, *OPSETS)
    if bounds is None:
        return installed.target
    holding = [name for name in candidates if parse_bounds(bounds, "target").hold(parse_target(name))]
    return holding[0] if holding else installed.target


def unspoken(rule: Rule, example: Example, environment: Environment, *, good: bool = False) -> str:
    """Why the rule does not speak of ``environment``, in words; empty where it does.

    A good example may itself ask for a frontend or target beyond the rule, to show where the rule ends.
    """
    if good:
        applies = {name: bound for name, bound in rule.applies.items() if name not in example.options}
        rule = replace(rule, applies=applies)
    reason = inapplicable(rule, environment)
    return f"the rule is for {reason[0]}, and {reason[1]}" if reason is not None else ""


def outside(bounds: Mapping[str, Any], environment: Environment) -> str:
    """The version bound that ``environment`` lies outside of, in words; empty where it is inside of all."""
    for name in ("coremltools", "torch", "numpy", "python"):
        version = getattr(environment, name)
        if name not in bounds:
            continue
        if version is None or not parse_bounds(bounds[name]).hold(parse_release(version)):
            return f"it is for {name} {bounds[name]}, and {version or 'none'} is installed"
    return ""
