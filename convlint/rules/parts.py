"""The parts of a rule file: match blocks, bounds, examples, replacements and the message.

Each reader notes its mistakes in the table's problems and returns what it could read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, get_args

from convlint.coreml.targets import normalise_target
from convlint.coreml.versions import parse_bounds, parse_release
from convlint.errors import UsageError
from convlint.interface.inputs import InputSpec, parse_input
from convlint.interface.outputs import parse_outputs
from convlint.model import Example, Frontend, Match, Replacement, Rule, Safety, SubjectKind
from convlint.nearest import did_you_mean
from convlint.op_functions import function_of, functions_of
from convlint.rules.message import parse_template
from convlint.rules.subjects import COMPONENTS, KINDS, NAMES
from convlint.rules.where.language import Predicate, PredicateError, parse
from convlint.toml_table import Table, type_name

FRONTENDS: tuple[Frontend, ...] = get_args(Frontend)
REPLACEMENT_KINDS = ("rewrite", "decomposition", "upgrade", "converter", "advice")
APPLIES = (*COMPONENTS, "target", "frontend")

_OP_PATTERN = re.compile(r"[\w.:*?\[\]!-]+")
_MARK = re.compile(r"#\s*<-\s*(?P<codes>.*)$")
_MODEL = re.compile(r"^class Model\([\w.]*Module\):", re.MULTILINE)
_MARKED: tuple[SubjectKind, ...] = ("op", "capture")


def read_matches(table: Table) -> tuple[Match, ...]:
    """The ``[[match]]`` blocks, each with exactly one subject."""
    subjects = tuple(KINDS)
    blocks = table.tables("match", (*subjects, "where"))
    if "match" not in table or (not blocks and table.data["match"] == []):
        table.problem("match", f"missing; at least one [[match]] with {', '.join(subjects)} is needed")
    matches = []
    for block in blocks:
        named = [subject for subject in subjects if subject in block]
        if len(named) != 1:
            what = f"names {' and '.join(named)}" if named else "names no subject"
            block.problem("", f"{what}; exactly one of {', '.join(subjects)} is needed")
            continue
        subject: SubjectKind = named[0]
        patterns = block.texts(subject)
        if block.data[subject] == []:
            block.problem(subject, "must name at least one")
        for index, pattern in enumerate(patterns, 1):
            _check_pattern(block, subject, pattern, index)
        matches.append(Match(subject, patterns, _conditions(block, subject)))
    return tuple(matches)


def _check_pattern(block: Table, subject: SubjectKind, pattern: str, index: int) -> None:
    key = f"{subject}[{index}]"
    if subject == "op":
        wild = any(mark in pattern for mark in "*?[")
        if not _OP_PATTERN.fullmatch(pattern):
            block.problem(key, f"{pattern!r} is not an op name such as aten.add.Tensor, or a pattern of one")
        elif pattern.startswith("aten.") and pattern.count(".") < 2 and not wild:
            block.problem(key, f"name the overload, as in {pattern}.default or {pattern}.*")
    elif not any(fnmatchcase(kind, pattern) for kind in KINDS[subject]):
        near = did_you_mean(pattern, KINDS[subject])
        block.problem(key, f"{pattern!r} is not known.{near} Allowed: {', '.join(KINDS[subject])}.")


def _conditions(block: Table, subject: SubjectKind) -> tuple[Predicate, ...]:
    predicates = []
    for index, source in enumerate(block.texts("where", ()), 1):
        try:
            predicate = parse(source)
        except PredicateError as error:
            block.problem(f"where[{index}]", f"column {error.offset} of {source!r}: {error.message}")
            continue
        _check_names(block, f"where[{index}]", predicate, (subject,))
        predicates.append(predicate)
    return tuple(predicates)


def _check_names(table: Table, key: str, predicate: Predicate, subjects: tuple[SubjectKind, ...]) -> None:
    """Refuse names that a subject never has; an op has those of its schema, which torch alone knows."""
    for subject in (subject for subject in subjects if subject != "op"):
        for name in sorted(predicate.names.difference(NAMES[subject])):
            near = did_you_mean(name, NAMES[subject])
            allowed = ", ".join(NAMES[subject])
            table.problem(key, f"{predicate.source!r}: {subject} has no {name}.{near} Allowed: {allowed}.")


def read_message(table: Table, matches: tuple[Match, ...]) -> str:
    """The message, whose braces must hold expressions over names that every subject of the rule has."""
    message = table.text("message")
    try:
        pieces = parse_template(message)
    except PredicateError as error:
        table.problem("message", f"column {error.offset}: {error.message}")
        return message
    subjects = tuple(dict.fromkeys(match.subject for match in matches))
    for piece in pieces:
        if isinstance(piece, Predicate):
            _check_names(table, "message", piece, subjects)
    return message


def read_applies(table: Table) -> Mapping[str, str]:
    """The bounds within which the rule is true."""
    return _bounds(table.table("applies", APPLIES))


def _bounds(bounds: Table) -> dict[str, str]:
    limits = {}
    for name in APPLIES:
        if name not in bounds:
            continue
        if name == "frontend":
            limits[name] = bounds.choice(name, FRONTENDS) or ""
            continue
        limits[name] = bounds.text(name)
        try:
            if limits[name].strip():
                parse_bounds(limits[name], "target" if name == "target" else "version")
        except UsageError as error:
            bounds.problem(name, str(error))
    return limits


def read_examples(table: Table, key: str, code: str, matches: tuple[Match, ...]) -> tuple[Example, ...]:
    """The ``[[bad]]`` or ``[[good]]`` examples. Bad ones mark the lines that must be reported."""
    examples = table.tables(key, ("title", "inputs", "outputs", "code", "options", "environment"))
    subjects = {match.subject for match in matches}
    # What only a trial finds has no example: one that is known becomes a rule of its own.
    if subjects != {"trial"} and (key not in table or (not examples and table.data[key] == [])):
        table.problem(key, f"missing; a rule needs at least one [[{key}]] example")
    return tuple(_example(example, key, code, subjects) for example in examples)


def _example(example: Table, key: str, code: str, subjects: set[SubjectKind]) -> Example:
    options = _options(example)
    if subjects == {"environment"}:
        if "environment" not in example:
            example.problem("environment", "missing; a table of versions is needed")
        return Example("", (), (), example.text("title", ""), options)
    text = example.text("code")
    if text and not _MODEL.search(text):
        example.problem("code", "must define `class Model(nn.Module):`")
    lines = _marks(example, key, code, text)
    if key == "bad" and text and not lines and subjects.issubset(_MARKED):
        example.problem("code", f"no line is marked `# <- {code}`; a bad example marks the lines to report")
    title = example.text("title", "")
    return Example(text, _inputs(example), lines, title, options, _output_texts(example))


def _marks(example: Table, key: str, code: str, text: str) -> tuple[int, ...]:
    lines = []
    for number, line in enumerate(text.split("\n"), 1):
        mark = _MARK.search(line)
        if mark is None:
            continue
        if key == "good":
            example.problem("code", f"line {number} is marked; a good example must report nothing")
        elif mark["codes"].strip() != code:
            example.problem(
                "code", f"line {number} is marked {mark['codes'].strip()!r}; only {code} can be marked"
            )
        lines.append(number)
    return tuple(lines) if key == "bad" else ()


def _inputs(example: Table) -> tuple[str, ...]:
    specs = []
    for index, item in enumerate(example.get("inputs", list) or (), 1):
        key = f"inputs[{index}]"
        if type(item) is list and all(type(size) is int and 0 < size < 2**31 for size in item):
            specs.append(str(InputSpec(None, tuple(item))))
        elif type(item) is str:
            try:
                specs.append(str(parse_input(item)))
            except UsageError as error:
                example.problem(key, str(error))
        else:
            wanted = 'a list of sizes above 0, or a text such as "1x3x8x8:int64"'
            example.problem(key, f"{wanted} is needed, not {type_name(item)}")
    return tuple(specs)


def _output_texts(example: Table) -> tuple[str, ...]:
    try:
        return tuple(map(str, parse_outputs(example.texts("outputs", ()))))
    except UsageError as error:
        example.problem("outputs", str(error))
        return ()


def _options(example: Table) -> dict[str, Any]:
    """What an example needs: ``target``, ``frontend``, versions under which it holds, an environment."""
    table = example.table("options", (*APPLIES, "memory_format"))
    options: dict[str, Any] = {}
    if "memory_format" in table:
        options["memory_format"] = table.choice("memory_format", ("channels_last",))
    if "target" in table:
        options["target"] = _checked(table, "target", normalise_target)
    bounds = {name: value for name, value in table.data.items() if name not in ("target", "memory_format")}
    options |= _bounds(Table(bounds, table.key, tuple(bounds), table.problems))
    if "environment" in example:
        versions = example.table("environment", (*COMPONENTS, "frontend", "target", "native_error"))
        options["environment"] = {name: _version(versions, name) for name in versions.data}
    return options


def _version(table: Table, name: str) -> str:
    if name == "frontend":
        return table.choice(name, FRONTENDS) or ""
    if name == "native_error":
        return table.text(name)
    return _checked(
        table, name, normalise_target if name == "target" else lambda text: parse_release(text).text
    )


def _checked(table: Table, name: str, check: Any) -> str:
    text = table.text(name)
    try:
        return str(check(text)) if text.strip() else ""
    except UsageError as error:
        table.problem(name, str(error))
        return ""


def read_replacements(
    table: Table, bad: tuple[Example, ...], matches: tuple[Match, ...]
) -> tuple[Replacement, ...]:
    """The ``[[replace]]`` blocks. What a rewrite replaces must stand in a bad example, to be proved there.

    Where the rule is about several functions, code says of which it is: nobody is shown that of another.
    """
    replacements = []
    ops = [name for match in matches if match.subject == "op" for name in match.names]
    several = len(functions_of(ops)) > 1 or any(set(function_of(name)) & set("*?[") for name in ops)
    for block in table.tables(
        "replace", ("title", "op", "words", "where", "general", "kind", "safety", "rtol", "before", "after")
    ):
        kind = block.choice("kind", REPLACEMENT_KINDS, "rewrite") or "rewrite"
        safety = block.choice("safety", get_args(Safety), None)
        if "safety" not in block:
            block.problem("safety", f"missing; one of {', '.join(get_args(Safety))} is needed")
        rtol = block.get("rtol", float, None)
        if rtol is not None and not 0 <= rtol < 1:
            block.problem("rtol", f"a number from 0 to below 1 is needed, not {rtol}")
        needed = {} if kind == "rewrite" else {"default": ""}
        before, after = block.text("before", **needed), block.text("after", **needed)
        if (
            kind == "rewrite"
            and before.strip()
            and not any(before.strip() in example.code for example in bad)
        ):
            block.problem(
                "before", "stands in no [[bad]] example; a rewrite must apply to one of them, word for word"
            )
        mine, words = (_ops_of_replacement(block, key, ops) for key in ("op", "words"))
        if kind == "rewrite" and several and not mine:
            block.problem("op", "missing; the rule is about several functions, and this code is of one")
        if kind == "rewrite" and len(functions_of(mine)) > 1:
            what = ", ".join(sorted(functions_of(mine)))
            block.problem("op", f"names several functions ({what}); code is of one, `words` of any")
        where = _conditions(block, "op") if "where" in block else ()
        replacements.append(
            Replacement(
                block.text("title"),
                kind,
                safety or "safe",
                before,
                after,
                rtol,
                op=mine,
                words=words,
                where=where,
                general=bool(block.get("general", bool, False)),
            )
        )
    return tuple(replacements)


def _ops_of_replacement(block: Table, key: str, ops: list[str]) -> tuple[str, ...]:
    """The patterns of ops under ``key``, each of which must meet one that the rule matches."""
    patterns = block.texts(key, ())
    for index, pattern in enumerate(patterns, 1):
        if not any(fnmatchcase(op, pattern) or fnmatchcase(pattern, op) for op in ops):
            near = did_you_mean(pattern, ops)
            block.problem(f"{key}[{index}]", f"{pattern!r} is no op that the rule matches.{near}")
    return patterns


def replaced_example(rule: Rule, replacement: Replacement) -> Example | None:
    """The first bad example with ``before`` in it, made to say ``after``: it must convert, and agree."""
    for example in rule.bad:
        if replacement.before and replacement.before.strip() in example.code:
            code = example.code.replace(replacement.before.strip(), replacement.after.strip())
            code = "\n".join(_MARK.sub("", line).rstrip() for line in code.split("\n"))
            return replace(example, code=code, lines=(), title=replacement.title)
    return None


def example_problems(rule: Rule) -> list[str]:
    """What is wrong with the Python inside a rule; slower than loading, so only tests of rules ask."""
    texts = [
        (f"{key}[{n}].code", example.code) for key in ("bad", "good") for n, example in _numbered(rule, key)
    ]
    for number, replacement in enumerate(rule.replacements, 1):
        # In its place, where there is one: lines after the first are indented as the example is.
        placed = replaced_example(rule, replacement)
        if placed is not None:
            texts.append((f"replace[{number}].after", placed.code))
        else:
            texts += [(f"replace[{number}].{key}", getattr(replacement, key)) for key in ("before", "after")]
    problems = []
    for key, text in texts:
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problems.append(f"{rule.path}: {key}: not Python: {error}")
    return problems


def _numbered(rule: Rule, key: str) -> list[tuple[int, Example]]:
    return list(enumerate(rule.bad if key == "bad" else rule.good, 1))
