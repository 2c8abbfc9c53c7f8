"""Turns a model spec, ``module:attr`` or ``path.py:attr``, into a function that builds the model.

All user code runs inside :func:`convlint.sandbox.user_code`, and whatever it raises becomes one
paragraph with the user's own line.
"""

from __future__ import annotations

import contextlib
import copy
import enum
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from convlint.errors import ConvlintError, ModelError, UsageError
from convlint.installed import is_library
from convlint.nearest import did_you_mean
from convlint.sandbox import TimeLimitExceeded, UnreadableError, UserExit, time_limit, user_code
from convlint.supervision import noted
from convlint.text import one_line, shown_path
from convlint.usercode.arguments import compile_expression, evaluate_expression
from convlint.usercode.importing import classes_in_file, import_file, import_module
from convlint.usercode.sites import place_of_exception

if TYPE_CHECKING:
    from torch import nn


_FETCHERS = ("/huggingface_hub/", "/torch/hub.py", "/urllib/request.py", "/requests/", "/httpx/", "/gdown/")
"""Files in the traceback of an exception about a failed download."""


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that can be built.

    ``build`` may be called several times and makes a new module each time, except where ``instance`` is
    true: then the spec names an existing object. ``path`` is the file of the spec's module.
    ``parameters`` are those of ``forward``, where known without building.
    """

    name: str
    build: Callable[[], nn.Module]
    instance: bool
    path: str | None
    parameters: tuple[str, ...] = ()


def load_model(
    spec: str,
    args: Mapping[str, Any] | None = None,
    arg_exprs: Mapping[str, str] | None = None,
    *,
    root: str | None = None,
    timeout: float | None = None,
) -> LoadedModel:
    """Import what ``spec`` names, and check that it can be called with these arguments.

    ``args`` are values, ``arg_exprs`` Python expressions that are evaluated for each build, in a
    namespace of the module's own names and of every top-level module. Relative paths and modules
    start from ``root``, by default the working directory. Importing and building may each take
    ``timeout`` seconds.
    """
    where, attribute = split_spec(spec, root)
    for name, text in (arg_exprs or {}).items():
        compile_expression(name, text)
    folder = os.path.abspath(root or os.getcwd())
    with explaining(f"importing {where}"), time_limit(timeout), user_code():
        module = (
            import_file(os.path.join(folder, os.path.expanduser(where)), where)
            if is_file_spec(where)
            else import_module(where, folder)
        )
    with explaining(f"reading {spec}"), time_limit(timeout), user_code():
        entry = _attribute(module, where, attribute)
    import torch  # after the user's module, so that a wrong name is reported at once

    path = getattr(module, "__file__", None)
    _check_name(path)
    values, expressions = dict(args or {}), dict(arg_exprs or {})
    arg_texts = {name: repr(value) for name, value in values.items()} | expressions
    if len(arg_texts) < len(values) + len(expressions):
        twice = ", ".join(values.keys() & expressions.keys())
        raise UsageError(f"the argument {twice} of {spec} is given both as a value and as an expression.")
    if isinstance(entry, torch.nn.Module):
        if arg_texts:
            raise UsageError(f"{spec} is an object that already exists: it takes no arguments.")
        return LoadedModel(spec, lambda: entry, True, path, _parameters(type(entry)))
    is_class = isinstance(entry, type) and issubclass(entry, torch.nn.Module)
    if isinstance(entry, ModuleType) or not callable(entry) or (isinstance(entry, type) and not is_class):
        kind = "a class" if isinstance(entry, type) else f"an object of type {type(entry).__name__}"
        raise ModelError(
            f"{spec} is {kind}, not a model: name an nn.Module subclass, a function that"
            " returns an nn.Module, or an nn.Module object."
        )
    _check_arguments(spec, entry, arg_texts)
    unfetched = {name: value for name, value in _without_weights(entry).items() if name not in arg_texts}
    values, arg_texts = {**unfetched, **values}, {**{k: repr(v) for k, v in unfetched.items()}, **arg_texts}
    call = f"{attribute}({', '.join(f'{name}={text}' for name, text in arg_texts.items())})"
    namespace = vars(module)

    def build() -> nn.Module:
        with explaining(f"building {call}"), time_limit(timeout), user_code():
            kwargs = copy.deepcopy(values)
            kwargs |= {name: evaluate_expression(name, text, namespace) for name, text in expressions.items()}
            model = entry(**kwargs)
        if not isinstance(model, torch.nn.Module):
            raise ModelError(
                f"{spec} returned a {type(model).__name__}, not an nn.Module: write a function that returns"
                " the module alone, and name that."
            )
        return model

    return LoadedModel(spec, build, False, path, _parameters(entry) if is_class else ())


def _check_name(path: str | None) -> None:
    """Refuse a path that is not UTF-8: torch notes the files of what it traces, and takes no others."""
    try:
        (path or "").encode()
    except UnicodeEncodeError:
        raise ModelError(
            f"the name of {shown_path(path or '')} is not UTF-8, and torch cannot trace such files:"
            " rename the file or its folder."
        ) from None


def split_spec(spec: str, root: str | None = None) -> tuple[str, str]:
    """The module or file and the attribute that ``spec`` names."""
    where, colon, attribute = spec.strip().rpartition(":")
    if colon and where and attribute and all(part.isidentifier() for part in attribute.split(".")):
        if is_file_spec(where) or all(part.isidentifier() for part in where.split(".")):
            return where, attribute
        guess = f" Did you mean {where}.py:{attribute}?" if Path(root or "", f"{where}.py").is_file() else ""
        raise UsageError(f"{where!r} is neither the name of a module nor the path of a .py file.{guess}")
    text = spec.strip().rstrip(":")
    hint = "torchvision.models:resnet50 or my/models.py:Segmenter"
    if is_file_spec(text):
        classes = classes_in_file(os.path.join(root or "", text))
        hint = f"{text}:{classes[0] if classes else 'Model'}"
        hint += f" (it defines {', '.join(classes)})" if len(classes) > 1 else ""
    elif not colon and "." in text and all(part.isidentifier() for part in text.split(".")):
        hint = ":".join(text.rsplit(".", 1))
    raise UsageError(
        f"malformed model spec {spec!r}: write module:attribute or path.py:attribute, as in {hint}."
    )


@contextlib.contextmanager
def explaining(action: str) -> Iterator[None]:
    """Turn whatever user code raises inside into a :class:`ModelError` that names ``action`` and the line."""
    try:
        with noted(action):
            yield
    except (ConvlintError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise ModelError(f"{action} {_what_happened(error)}") from error


def _what_happened(error: BaseException) -> str:
    if isinstance(error, TimeLimitExceeded):
        text = f"took too long: {error}"
    elif isinstance(error, UserExit):
        text = f"stopped: {error}"
    elif isinstance(error, UnreadableError):
        text = f"raised {error}"
    else:
        message = one_line(error.msg if isinstance(error, SyntaxError) else str(error))
        text = f"raised {type(error).__name__}" + (f": {message}" if message else "")
    return text.rstrip(".") + _where(error) + _fetching_hint(error)


def _fetching_hint(error: BaseException) -> str:
    """How to build with random weights, where a download of trained ones failed; else empty."""
    seen: BaseException | None = error
    while seen is not None:
        frames = traceback.extract_tb(seen.__traceback__)
        if any(part in frame.filename.replace(os.sep, "/") for frame in frames for part in _FETCHERS):
            return (
                " It tried to download trained weights. A check needs only random ones: pass weights=None and"
                " weights_backbone=None (torchvision), encoder_weights=None (segmentation_models_pytorch) or"
                " pretrained=False, with --arg where this is its own argument."
            )
        seen = seen.__cause__ or seen.__context__
    return ""


def _where(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        path, line, source = error.filename, error.lineno or 1, (error.text or "").strip()
    else:
        place = place_of_exception(error)
        site = place.caller or place.site
        if site is None:
            return "."
        path, line, source = site.path, site.line, site.source
    return f", at {shown_path(path)}:{line}" + (f": {one_line(source, 160)}" if source else ".")


def _attribute(module: ModuleType, where: str, attribute: str) -> Any:
    value: Any = module
    shown = where
    for part in attribute.split("."):
        try:
            value = getattr(value, part)
        except AttributeError as error:
            names = [name for name in dir(value) if not name.startswith("_")]
            hint = did_you_mean(part, names)
            classes = classes_in_file(getattr(value, "__file__", None) or "")
            if not hint and classes:
                hint = f" It defines {', '.join(classes[:8])}."
            raise ModelError(f"{shown} has no attribute {part!r}.{hint}") from error
        shown = f"{shown}:{part}" if value is not module and shown == where else f"{shown}.{part}"
    return value


def _check_arguments(spec: str, constructor: Callable[..., Any], arguments: Mapping[str, str]) -> None:
    """Refuse arguments that the signature does not have, before anything runs."""
    try:
        signature = inspect.signature(constructor)
    except (TypeError, ValueError):  # it has no signature
        return
    named = {
        name: parameter
        for name, parameter in signature.parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    takes = f" It takes {', '.join(map(str, named.values()))}." if named else " It takes none."
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values()):
        for name in arguments:
            if name not in named:
                raise UsageError(f"{spec} has no argument {name!r}.{did_you_mean(name, named) or takes}")
    missing = [name for name, p in named.items() if p.default is p.empty and name not in arguments]
    if missing:
        raise UsageError(
            f"{spec} needs the argument{'s' if len(missing) > 1 else ''} {', '.join(missing)}: give"
            f" --arg {missing[0]}=VALUE, or --arg-expr '{missing[0]}=EXPRESSION' for anything but a literal."
        )


def _without_weights(constructor: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that keep a library's constructor from downloading trained weights.

    A check is about the architecture, and may run without a network. Functions of the user's own are left
    alone: nothing is known about what their arguments mean.
    """
    path = getattr(sys.modules.get(getattr(constructor, "__module__", "") or ""), "__file__", None)
    if not path or not is_library(path):
        return {}
    try:
        parameters = inspect.signature(constructor).parameters
    except (TypeError, ValueError):
        return {}
    named: dict[str, Any] = {}
    for name in ("weights", "weights_backbone", "encoder_weights", "pretrained", "pretrained_backbone"):
        default = parameters[name].default if name in parameters else None
        if default is True:
            named[name] = False
        elif isinstance(default, enum.Enum) or (isinstance(default, str) and default):
            named[name] = None
    return named


def _parameters(module_class: Callable[..., Any]) -> tuple[str, ...]:
    """Names of the parameters of ``forward``, without ``self``, ``*args`` and ``**kwargs``."""
    try:
        parameters = list(inspect.signature(module_class.forward).parameters.values())  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):
        return ()
    return tuple(p.name for p in parameters[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))


def is_file_spec(where: str) -> bool:
    return where.endswith(".py")
