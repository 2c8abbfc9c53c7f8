"""A cell of a notebook with the changes of a fix made in it, and the proof that the model is the same then.

A cell cannot be run again in a fresh Python: what ran before it is not known. So the edited cell is compiled
and not run; its functions lend their code to the ones that the model calls, while the model is run and
converted once more.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from convlint.cells import is_cell, text_of_cell
from convlint.model import Rule, Site
from convlint.model.applied import Applied, EditedCell
from convlint.repair.source.behaviour import behaviour_apart, behaviour_of
from convlint.repair.source.changes import OF_THE_MODEL, rules_about, site_of
from convlint.repair.source.edit import Edit, Refusal, edit_at, edited
from convlint.repair.source.files import SourceFile
from convlint.repair.source.match import Module
from convlint.text import one_line, shown_path

if TYPE_CHECKING:
    from convlint.capture.methods import Inputs
    from convlint.model.fixed import Fixed

Texts = Mapping[str, str]
"""The text of each cell, by the name that Python has for it."""


def edited_cells(
    fixed: Fixed, rules: Sequence[Rule], module: Any, inputs: Inputs, timeout: float, *, unsafe: bool
) -> tuple[tuple[EditedCell, ...], tuple[str, ...]]:
    """The cells, edited so that the model computes the same, and why other changes are not said in them."""
    changes = [change for change in fixed.applied if change.kind not in OF_THE_MODEL]
    sites = ((change, site_of(change)) for change in changes)
    mine = [(change, site) for change, site in sites if site is not None and is_cell(site.path)]
    before = {site.path: text_of_cell(site.path) for _, site in mine}
    after, made, left = _made(before, mine, rules, unsafe)
    if made:
        expected = behaviour_of(module, inputs)
        if _problem(after, module, inputs, expected):
            after, made, more = _one_by_one(before, made, rules, unsafe, module, inputs, expected)
            left |= more
    notes = tuple(
        f"{shown_path(site.path)}:{site.line} is not edited: {why}"
        for site, why in sorted(left.items(), key=lambda pair: (pair[0].path, pair[0].line))
    )
    if not made:
        return (), notes
    refused = _refused(after, module, inputs, fixed.target, timeout)
    cells = (
        EditedCell(
            path, before[path], text, tuple(change for change, site in made if site.path == path), refused
        )
        for path, text in after.items()
        if text != before[path]
    )
    return tuple(cells), notes


_Changes = Sequence[tuple[Applied, Site]]
_Left = dict[Site, str]
"""Why the change of a line is not said in its cell."""


def _made(
    texts: Texts, changes: _Changes, rules: Sequence[Rule], unsafe: bool
) -> tuple[Texts, _Changes, _Left]:
    """The texts with every change that a line can say, one after the other: one call may stand in another.

    From the last line to the first: an edit may take up fewer lines than what it replaces.
    """
    after, left = dict(texts), _Left()
    made: list[tuple[Applied, Site]] = []
    for change, site in sorted(changes, key=lambda pair: -pair[1].line):
        text, reason = after[site.path], ""
        for _ in range(change.calls):
            answer = _edit(text, change, site, rules, unsafe)
            if isinstance(answer, Refusal):
                reason = answer.reason
                break
            text = edited(text, [answer])
        if text == after[site.path]:
            left[site] = reason
        else:
            after[site.path] = text
            made.append((change, site))
    return after, made, left


def _edit(text: str, change: Applied, site: Site, rules: Sequence[Rule], unsafe: bool) -> Edit | Refusal:
    module = Module(SourceFile(text.encode()))
    try:
        module.names  # noqa: B018 - parses the text
    except (SyntaxError, ValueError, RecursionError) as error:
        return Refusal(site, f"the cell does not parse: {error}")
    return edit_at(module, site, rules_about(change.op, rules), unsafe=unsafe)


def _one_by_one(
    before: Texts,
    changes: _Changes,
    rules: Sequence[Rule],
    unsafe: bool,
    module: Any,
    inputs: Inputs,
    expected: Mapping[str, Any],
) -> tuple[Texts, _Changes, _Left]:
    """The texts with the changes after which, one added to the other, the model still computes the same."""
    good: list[tuple[Applied, Site]] = []
    after, left = before, _Left()
    for change, site in changes:
        texts, made, _ = _made(before, [*good, (change, site)], rules, unsafe)
        problem = _problem(texts, module, inputs, expected)
        if (change, site) in made and not problem:
            after, good = texts, [*good, (change, site)]
        else:
            left[site] = f"with the edit {problem}" if problem else "it stands inside of another change"
    return after, good, left


def _problem(texts: Texts, module: Any, inputs: Inputs, expected: Mapping[str, Any]) -> str:
    """How the model differs with these texts; empty where it does not."""
    try:
        with running(texts, module):
            return behaviour_apart(behaviour_of(module, inputs), expected)
    except Exception as error:  # the edited code, or a text that Python does not compile
        return one_line(f"{type(error).__name__}: {error}")


def _refused(texts: Texts, module: Any, inputs: Inputs, target: str, timeout: float) -> tuple[str, ...]:
    """What coremltools refuses of the model with these texts; empty where it converts it."""
    import torch

    from convlint.capture.walk import graph_of_program
    from convlint.trial.run import run_trial

    args, kwargs = inputs
    try:
        with running(texts, module), evaluating(module):
            program = torch.export.export(module, args, kwargs).run_decompositions({})
            trial = run_trial(program, graph_of_program(program), "export", target, "passes", timeout)
    except Exception as error:  # torch may refuse the whole model
        return (one_line(f"torch.export: {type(error).__name__}: {error}")[:200],)
    if trial.status == "converted":
        return ()
    refused = dict.fromkeys(failure.op or one_line(failure.error)[:200] for failure in trial.failures)
    return tuple(refused) or (trial.status,)


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """While open, the module is in eval mode."""
    flags = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in flags.items():
            part.training = training


@contextmanager
def running(texts: Texts, module: Any) -> Iterator[None]:
    """While open, the functions that the model has from these cells run the code of ``texts``.

    A ``ValueError`` where a function would need other variables from outside, or is not there any more.
    """
    codes = {(path, name): code for path, text in texts.items() for name, code in _codes(path, text)}
    swaps = []
    for function in _functions(module, texts):
        old = function.__code__
        new = codes.get((old.co_filename, old.co_qualname))
        if new is None or new.co_freevars != old.co_freevars:
            raise ValueError(f"{old.co_qualname} is another function in the edited cell")
        swaps.append((function, old, new))
    try:
        for function, _, new in swaps:
            function.__code__ = new
        yield
    finally:
        for function, old, _ in swaps:
            function.__code__ = old


def _codes(path: str, text: str) -> Iterator[tuple[str, CodeType]]:
    """The code of every function of a cell by its qualified name; of two with one name the later counts."""
    waiting = [compile(text, path, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)]
    while waiting:
        code = waiting.pop(0)
        yield code.co_qualname, code
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]


def _functions(module: Any, texts: Texts) -> list[FunctionType]:
    """The functions of these cells that the model's classes have, and those beside them."""
    classes = {base for part in module.modules() for base in type(part).__mro__}
    found: dict[int, FunctionType] = {}
    waiting: list[Any] = [value for each in classes for value in vars(each).values()]
    while waiting:
        value = waiting.pop()
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            waiting += [value.fget, value.fset]
        if not isinstance(value, FunctionType) or id(value) in found:
            continue
        if hasattr(value, "__wrapped__"):
            waiting.append(value.__wrapped__)
        if value.__code__.co_filename in texts:
            found[id(value)] = value
            waiting += [each for each in value.__globals__.values() if isinstance(each, FunctionType)]
    return list(found.values())
