"""A name of a library's model in full: what builds it, without trained weights, and what it takes.

``timm:vit_tiny_patch16_224`` is ``timm:create_model`` with the name as an argument and a picture of the size
that timm states for it. The library is imported for this, and nothing is fetched.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from convlint.errors import ModelError, UsageError
from convlint.interface.inputs import InputSpec
from convlint.nearest import did_you_mean
from convlint.sandbox import time_limit, user_code
from convlint.usercode import importing
from convlint.usercode.spec import explaining


@dataclass(frozen=True, slots=True)
class InFull:
    """A model as a spec with arguments, and the inputs that its library states; none where it states none."""

    spec: str
    args: Mapping[str, Any]
    arg_exprs: Mapping[str, str]
    inputs: tuple[InputSpec, ...] = ()

    def __str__(self) -> str:
        """What the command line takes in place of the name."""
        words = [self.spec, *(f"--arg {name}={value}" for name, value in self.args.items())]
        words += [f"--arg-expr '{name}={text}'" for name, text in self.arg_exprs.items()]
        return " ".join([*words, *(f"--input {each}" for each in self.inputs)])


@dataclass(frozen=True, slots=True)
class Library:
    """A library with models by name. ``module`` has ``names()`` and ``in_full(name, args, arg_exprs)``."""

    prefix: str
    package: str
    module: str
    noun: str = "model"


LIBRARIES = {
    each.prefix: each
    for each in (
        Library("timm", "timm", "of_timm"),
        Library("torchvision", "torchvision", "of_torchvision"),
        Library("hf", "transformers", "of_transformers", "type of model"),
    )
}


def library_of(spec: str, root: str | None = None) -> Library | None:
    """The library whose model ``spec`` may name; None for a module or a file of the user's."""
    prefix, colon, name = spec.strip().partition(":")
    library = LIBRARIES.get(prefix)
    if library is None or not (colon and name):
        return None
    # A module of one's own may be called hf; one that is called timm is asked what it has.
    return None if prefix != library.package and _is_there(prefix, root) else library


def _is_there(module: str, root: str | None) -> bool:
    path = os.path.join(root or os.getcwd(), module)
    return os.path.isdir(path) or os.path.isfile(f"{path}.py")


def in_full(
    spec: str,
    args: Mapping[str, Any],
    arg_exprs: Mapping[str, str],
    *,
    root: str | None = None,
    timeout: float | None = None,
) -> InFull | None:
    """The model that ``spec`` names in one of the libraries; None where it is a spec in full already.

    Raises :class:`~convlint.errors.ModelError` where the library is not installed or has no such model.
    """
    library = library_of(spec, root)
    if library is None:
        return None
    name = spec.strip().partition(":")[2]
    own = library.prefix == library.package
    if importlib.util.find_spec(library.package) is None and not (own and _is_there(library.package, root)):
        raise ModelError(
            f"{spec} is a model of {library.package}, which is not installed here:"
            f" pip install {library.package}."
        )
    with explaining(f"importing {library.package}"), time_limit(timeout), user_code():
        package = importing.import_module(library.package, os.path.abspath(root or os.getcwd()))
    if own and _has(package, name):
        return None  # module:attr
    with explaining(f"reading {spec}"), time_limit(timeout), user_code():
        names = _function(library, "names")()
    if name not in names:
        hint = did_you_mean(name, names) or _with_part(name, names)
        raise ModelError(f"{library.package} has no {library.noun} named {name!r}.{hint}")
    with explaining(f"reading {spec}"), time_limit(timeout), user_code():
        full: InFull = _function(library, "in_full")(name, dict(args), dict(arg_exprs))
    return full


def given_once(spec: str, name: str, args: Mapping[str, Any], arg_exprs: Mapping[str, str]) -> None:
    """Refuse an argument that the name of the model decides."""
    if name in args or name in arg_exprs:
        raise UsageError(f"{spec} says {name} by itself: leave --arg {name} out.")


def _function(library: Library, name: str) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(import_module(f"{__package__}.{library.module}"), name)
    return function


def _has(package: Any, name: str) -> bool:
    for part in name.split("."):
        if not hasattr(package, part):
            return False
        package = getattr(package, part)
    return True


def _with_part(name: str, names: Any) -> str:
    """Names that contain the one that was given, as ``vit`` is part of many."""
    known = sorted(each for each in names if name.casefold() in each.casefold())
    if not known:
        return ""
    more = f" and {len(known) - 6} more" if len(known) > 6 else ""
    return f" Names with it: {', '.join(known[:6])}{more}."
