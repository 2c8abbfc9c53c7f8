"""The helper file: the rewrites that a model needs, as a module of the user's own project.

It is made whole from the list of rewrites in its head, which a later run reads and extends. What stands
below the list is checked by a digest: a file that a person has changed is theirs from then on.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path
from typing import Any

from convlint import torch_adapter
from convlint.repair.source.pieces import Pieces
from convlint.rewrites.table import Rewrite, corrections_of, rewrites_of

FILE = "coreml_ops.py"
_MARK = "# convlint: helper file "
_HEAD = re.compile(rf"^{re.escape(_MARK)}([0-9a-f]{{64}}) (\{{.*\}})$", re.MULTILINE)
_RUNTIME_STARTS = "# What follows is written into helper files.\n"
_ALIASING = {"nothing", "no_copy"}
"""Rewrites that leave a copy out: right for a graph without writes, not for a line of Python."""

ITEMS = "items"
"""The function whose result is indexed in the place of a tensor."""

_OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "bitwise_and": ("__and__", "__rand__"),
    "bitwise_or": ("__or__", "__ror__"),
    "bitwise_xor": ("__xor__", "__rxor__"),
    "bitwise_left_shift": ("__lshift__",),
    "bitwise_right_shift": ("__rshift__",),
    "bitwise_not": ("__invert__",),
    "remainder": ("__mod__",),
    "pow": ("__pow__",),
    "add": ("__add__", "__radd__"),
    "sub": ("__sub__", "subtract"),
    "mul": ("__mul__", "__rmul__", "multiply"),
    "div": ("__truediv__", "divide", "true_divide"),
    "clamp": ("clip",),
    "movedim": ("moveaxis",),
    "acosh": ("arccosh",),
    "asinh": ("arcsinh",),
    "atanh": ("arctanh",),
    "atan2": ("arctan2",),
    "cdist": ("_euclidean_dist",),
}
"""Further names under which Python calls a function."""

_COMPOSED = {
    **dict.fromkeys((f"reflection_pad{axes}d" for axes in (1, 2, 3)), "pad"),
    **dict.fromkeys((f"replication_pad{axes}d" for axes in (1, 2, 3)), "pad"),
    "_pad_circular": "pad",
    "constant_pad_nd": "pad",
    "native_layer_norm": "layer_norm",
    "native_group_norm": "group_norm",
    "_cdist_forward": "cdist",
    "_euclidean_dist": "cdist",
    "_adaptive_avg_pool2d": "adaptive_avg_pool2d",
    "_adaptive_avg_pool3d": "adaptive_avg_pool3d",
    "_prelu_kernel": "prelu",
    "log_sigmoid_forward": "log_sigmoid",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "_unsafe_index": "index",
    "fix": "trunc",
    "__and__": "bitwise_and",
    "__or__": "bitwise_or",
    "__xor__": "bitwise_xor",
    "__lshift__": "bitwise_left_shift",
    "__rshift__": "bitwise_right_shift",
}
"""Ops that Python calls by the function that is composed of them."""


@dataclass(frozen=True, slots=True)
class Helpers:
    """What a helper file holds.

    ``rewrites`` are pairs of an overload and the rewrite that a model needed for it. ``functions`` are the
    public ones by name: what they are in PyTorch, and the key of their rewrites; empty where PyTorch writes
    them in Python. ``decomposed`` are ops for which PyTorch's own decomposition is enough. ``layers`` are
    the public classes by name, with that of PyTorch. With ``nested``, what helpers call is handed to helpers
    too.
    """

    rewrites: frozenset[tuple[str, str]] = frozenset()
    functions: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    decomposed: frozenset[str] = frozenset()
    nested: bool = False
    layers: Mapping[str, str] = field(default_factory=dict)

    def joined(self, other: Helpers) -> Helpers:
        """Both together. A name that both have is that of ``other``, which is the newer one."""
        return Helpers(
            self.rewrites | other.rewrites,
            {**self.functions, **other.functions},
            self.decomposed | other.decomposed,
            self.nested or other.nested,
            {**self.layers, **other.layers},
        )


def key_of(op: str) -> str:
    """The function of an op as Python calls it: ``pad`` for ``aten.reflection_pad2d.default``."""
    base = op.split(".")[1]
    return _COMPOSED.get(base, base)


def has_helper(op: str, rewrite: str) -> bool:
    """Whether a rewrite of an op can be a function in a helper file."""
    return op.startswith("aten.") and bool(_named(op, rewrite))


def has_composition(op: str) -> bool:
    """Whether PyTorch's own decomposition of an op can be called in a helper file."""
    if not op.startswith("aten."):
        return False
    overload = _overload(op)
    known = torch_adapter.decomposition_of(overload) is not None
    return known or torch_adapter.is_composite(overload)


def names_of(key: str) -> tuple[str, ...]:
    """The names under which Python calls the function ``key``."""
    return (key, *_OTHER_NAMES.get(key, ()))


def file_text(helpers: Helpers, made_with: str) -> str:
    """The whole file. ``made_with`` names the releases that it was made with."""
    body = _body(helpers)
    record = json.dumps(
        {
            "rewrites": sorted(helpers.rewrites),
            "functions": {name: list(helpers.functions[name]) for name in sorted(helpers.functions)},
            "decomposed": sorted(helpers.decomposed),
            "nested": helpers.nested,
            "layers": {name: helpers.layers[name] for name in sorted(helpers.layers)},
        }
    )
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f"{_TITLE.format(made_with=made_with)}{_MARK}{digest} {record}\n{body}"


def read_helpers(text: str) -> Helpers | None:
    """What a helper file holds; None for a file that is none, or that a person has changed."""
    head = _HEAD.search(text)
    if head is None or hashlib.sha256(text[head.end() + 1 :].encode()).hexdigest() != head[1]:
        return None
    try:
        record = json.loads(head[2])
        return Helpers(
            frozenset((str(op), str(name)) for op, name in record["rewrites"]),
            {name: (str(full), str(key)) for name, (full, key) in record["functions"].items()},
            frozenset(map(str, record["decomposed"])),
            bool(record["nested"]),
            {str(name): str(full) for name, full in record.get("layers", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


_TITLE = '''"""PyTorch functions made of what Core ML has: same arguments, same results, same gradients.

`convlint fix` wrote this file ({made_with}). It needs PyTorch alone. A function
falls back to PyTorch's own where it does not fit the arguments. For lines that are not to be edited:

    with coreml_ops.convertible():
        program = torch.export.export(model, inputs)  # or torch.jit.trace
    program = program.run_decompositions(coreml_ops.decompositions())
    coremltools.convert(program)
"""

# SPDX-License-Identifier: MIT
# The next line is how convlint knows the file and extends it. It does not touch a file that was changed.
'''


def _body(helpers: Helpers) -> str:
    """All below the list of what the file holds."""
    pieces = Pieces()
    table = _table(helpers, pieces)
    definitions = pieces.text()
    runtime, imports = _runtime()
    public = [_public(name, full, key, helpers) for name, (full, key) in sorted(helpers.functions.items())]
    public += [_layer(name, full) for name, full in sorted(helpers.layers.items())]
    head = f"from __future__ import annotations\n\n{_import_block({*imports, *pieces.imports})}"
    parts = [head, "\n\n\n".join(public), definitions, runtime, table]
    text = "\n\n\n".join(part for part in parts if part) + "\n"
    return text.replace("\n\n\n\n", "\n\n\n").lstrip("\n")


def _import_block(statements: Iterable[str]) -> str:
    """Import statements sorted and joined by module, those of torch behind those of the standard library."""
    plain: set[str] = set()
    names: dict[str, set[str]] = {}
    for line in statements:
        if line.startswith("from "):
            module, _, imported = line.removeprefix("from ").partition(" import ")
            names.setdefault(module, set()).update(imported.split(", "))
        else:
            plain.add(line)
    lines = [*sorted(plain), *(f"from {one} import {', '.join(sorted(names[one]))}" for one in sorted(names))]
    standard = [line for line in lines if "torch" not in line]
    return "\n".join([*standard, "", *(line for line in lines if "torch" in line)])


@cache
def _runtime() -> tuple[str, frozenset[str]]:
    """What every helper file holds, and what that imports."""
    folder = Path(torch_adapter.__path__[0])  # it uses private names of torch
    text = (folder / "helper_runtime.py").read_text(encoding="utf-8")
    head, _, body = text.partition(_RUNTIME_STARTS)
    lines = [line for line in head.splitlines() if line.startswith(("import ", "from "))]
    return body.strip("\n"), frozenset(line for line in lines if "__future__" not in line)


def _public(name: str, full: str, key: str, helpers: Helpers) -> str:
    title = next(
        (
            one.title
            for op, rewrite in sorted(helpers.rewrites)
            if key_of(op) == key
            for one in _named(op, rewrite)
        ),
        "with the functions below for what it calls",
    )
    if name == ITEMS:
        about = f"What is indexed in the place of ``tensor``: {title}."
        return f'def {name}(tensor: Any) -> Any:\n    """{about}"""\n    return _places(tensor)'
    call = f'_call("{key}", {full}, args, kwargs)' if key else f"_through({full}, args, kwargs)"
    if name.endswith("_") and not name.endswith("__"):
        title += ", written into the first argument"
        call = f'_write("{key}", {full}, args, kwargs)'
    return f'def {name}(*args: Any, **kwargs: Any) -> Any:\n    """{full}: {title}."""\n    return {call}'


def _layer(name: str, full: str) -> str:
    """A layer of PyTorch, with all that it is but the way that it computes."""
    return (
        f'class {name}({full}):\n    """{full}, with the functions below for what it calls."""\n\n'
        "    def forward(self, *args: Any, **kwargs: Any) -> Any:\n"
        "        return _through(super().forward, args, kwargs)"
    )


def _named(op: str, name: str) -> list[Rewrite]:
    return [one for one in (*corrections_of(op), *rewrites_of(op)) if one.name == name]


def _rewrites(helpers: Helpers) -> dict[str, list[tuple[Rewrite, list[str]]]]:
    """Of each function all rewrites of all its overloads: Python and the graph may choose another one."""
    wanted: dict[str, dict[str, tuple[Rewrite, list[str]]]] = {}
    for op, name in sorted(helpers.rewrites):
        for one in _named(op, name):
            for each in one.ops:
                if key_of(each) == key_of(op) or each == op:
                    wanted.setdefault(key_of(each), {}).setdefault(name, (one, []))[1].append(each)
    for key in list(wanted):
        for op in _overloads(key):
            for one in rewrites_of(op):
                if one.safety == "safe":
                    ops = wanted[key].setdefault(one.name, (one, []))[1]
                    ops += [op] if op not in ops else []
    return {key: list(by_name.values()) for key, by_name in sorted(wanted.items())}


def _overloads(key: str) -> list[str]:
    """The overloads of a function, the simplest first, as PyTorch tries them."""
    import torch

    packet = getattr(torch.ops.aten, key, None)
    return [f"aten.{key}.{overload}" for overload in packet.overloads()] if packet is not None else []


def _table(helpers: Helpers, pieces: Pieces) -> str:
    """The tables that the functions of the runtime read."""
    rows: dict[str, list[str]] = {}
    names: dict[str, str] = {}
    for key, rewrites in _rewrites(helpers).items():
        if any(one.name not in _ALIASING for one, _ in rewrites):
            names |= dict.fromkeys(names_of(key), key)
        for one, ops in rewrites:
            rows.setdefault(key, []).extend(_rows(key, pieces.add(one), ops))
    for op in sorted(helpers.decomposed):
        key = key_of(op)
        names |= dict.fromkeys(names_of(key), key)
        rows.setdefault(key, []).extend(_rows(key, f"functools.partial(_composed, {op!r})", [op]))
    table = "".join(
        f"    {json.dumps(key)}: (\n" + "".join(f"        {row}\n" for row in mine) + "    ),\n"
        for key, mine in sorted(rows.items())
    )
    spelled = "".join(f"    {json.dumps(name)}: {json.dumps(key)},\n" for name, key in names.items())
    return (
        "_OVERLOADS: dict[str, Any] = {\n" + table + "}\n"
        "_NAMES: dict[str, str] = {\n" + spelled + "}\n"
        f"_NESTED = {helpers.nested}"
    )


def _rows(key: str, function: str, ops: Sequence[str]) -> list[str]:
    """The entries of one helper: one for each overload that Python calls by its name."""
    direct = [op for op in ops if op.split(".")[1] == key]
    if not direct:  # Python calls the function that is composed of it
        return [f"({function}, None, (), {tuple(ops)!r}),"]
    rows: list[str] = []
    for op in direct:
        same = tuple(ops) if op == direct[0] else ()
        positional, named, schema = _parameters(op)
        rows += [f"# {schema}", f"({function}, {positional}, {named}, {same!r}),"]
    return rows


def _parameters(op: str) -> tuple[str, str, str]:
    """The arguments of an overload: by position, by name alone, and its schema to be read."""
    schema = _overload(op)._schema
    sides: tuple[list[str], list[str]] = ([], [])
    for argument in schema.arguments:
        default = _default(argument)
        kind = str(argument.type)
        sides[argument.kwarg_only].append(f"({argument.name!r}, {kind!r}, {argument.N or 0}, {default})")
    texts = [f"({', '.join(side)}{',' if len(side) == 1 else ''})" for side in sides]
    return texts[0], texts[1], str(schema)


def _overload(op: str) -> Any:
    import torch

    return reduce(getattr, op.split("."), torch.ops)


def _default(argument: Any) -> str:
    return repr(argument.default_value) if argument.has_default_value() else "..."
