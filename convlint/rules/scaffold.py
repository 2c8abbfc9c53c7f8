"""A new rule file: commented, valid, with an example that holds, under the next free code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from convlint.errors import UsageError
from convlint.model import OFFERS
from convlint.nearest import did_you_mean
from convlint.rules.rule import CATEGORIES

OWN_PREFIX = "MY"
"""The letters of a user's codes, where the folder has no rules yet to take them from."""

_FILE = re.compile(r"(?P<code>(?P<prefix>[A-Z]{2,8})[0-9]{3,4})-(?P<name>.+)\.toml")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class _Start:
    """What the template of one category starts from: a match that works, and its examples."""

    match: str
    bad: str
    good: str
    severity: str = "error"
    message: str = "{op} ..."
    mark: bool = True
    inputs: str = "[[2, 6]]"


_STARTS = {
    "capture": _Start(
        'capture = ["data-dependent-branch"]',
        "return x if x.sum() > 0 else -x",
        "return torch.where(x.sum() > 0, x, -x)",
        message="a branch depends on ...",
    ),
    "support": _Start(
        'op = ["aten.digamma.default"]\nwhere = ["not has_converter()", "self.rank <= 5"]',
        "return torch.digamma(x)",
        "return torch.relu(x)",
        message="coremltools {coremltools} has no translation for {op}",
    ),
    "ane": _Start(
        'op = ["aten.max_pool2d.default"]\nwhere = ["kernel_size[-1] > 8"]',
        "return F.max_pool2d(x, 9, 1, 4)",
        "return F.max_pool2d(x, 3, 1, 1)",
        "warning",
        "a max pooling {kernel_size[-1]} wide ...",
        inputs="[[1, 4, 16, 16]]",
    ),
    "numeric": _Start(
        'op = ["aten.masked_fill.Scalar"]\nwhere = ["is_float(self)", "abs(value) > 65504"]',
        "return x.masked_fill(x > 0, -1e9)",
        "return x.masked_fill(x > 0, -1e4)",
        "warning",
        "{op} fills with {value}, beyond ...",
    ),
    "interface": _Start(
        'input = ["tensor"]\nwhere = ["dtype == \'float64\'"]',
        "return x.float()",
        "return x.float()",
        "note",
        "the input {name} is {dtype}",
        mark=False,
    ),
    "environment": _Start(
        'environment = ["numpy"]\nwhere = ["numpy >= version(\'99\')"]',
        "",
        "",
        "warning",
        "numpy {numpy} with coremltools {coremltools} ...",
        mark=False,
    ),
}


def new_rule(name: str, category: str, folder: Path, shipped: Path, taken: Iterable[str] = ()) -> Path:
    """Write the template of a rule into ``folder`` and return its path.

    Inside the folder ``shipped`` it becomes a shipped rule, in the folder of its category. ``taken``
    names the codes and names that other rules have. Nothing is ever overwritten.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be the name of a rule: small letters, digits and single hyphens are needed,"
            " as in max-pool-kernel."
        )
    if category not in CATEGORIES:
        raise UsageError(
            f"there is no category {category!r}.{did_you_mean(category, CATEGORIES)}"
            f" Known: {', '.join(CATEGORIES)}."
        )
    is_shipped = folder.resolve().is_relative_to(shipped.resolve())
    files = [found for path in folder.rglob("*.toml") if (found := _FILE.fullmatch(path.name))]
    used = {*taken, *(found["code"] for found in files), *(found["name"] for found in files)}
    if name in used:
        raise UsageError(f"there is a rule {name} already; `convlint rule {name}` shows it.")
    prefix = "CL" if is_shipped else min((found["prefix"] for found in files), default=OWN_PREFIX)
    code = _free_code(prefix, CATEGORIES[category].digit, used)
    place = (shipped if is_shipped else folder) / (category if is_shipped else "")
    path = place / f"{code}-{name}.toml"
    try:
        place.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(template(code, name, category))
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}.") from None
    return path


def _free_code(prefix: str, digit: int, used: set[str]) -> str:
    """Three digits while there are any, then four; the first is the category in both."""
    codes = [f"{prefix}{digit}{number:02d}" for number in range(100)]
    codes += [f"{prefix}{digit}{number}" for number in range(100, 1000)]
    free = next((code for code in codes if code not in used), None)
    if free is None:
        raise UsageError(f"every code from {codes[0]} to {codes[-1]} is taken; use other letters.")
    return free


def template(code: str, name: str, category: str) -> str:
    """The text of a new rule file."""
    start = _STARTS[category]
    versions = category == "environment"
    bad = _versions("99.0") if versions else _code(start, start.bad, f"  # <- {code}" if start.mark else "")
    good = _versions("2.0") if versions else _code(start, start.good, "")
    if category == "interface":
        bad = bad.replace("[[2, 6]]", '["2x6:float64"]')
    replace = "" if versions or start.bad == start.good else _replace(start)
    return f"""\
# Every key, every subject and the language of `where` are described in rules/README.md of convlint.
# `convlint rules test {code}` proves the examples below with the installed coremltools.

code = "{code}"
name = "{name}"              # reads well after "ignore"
title = "{name.replace("-", " ").capitalize()}"  # a few plain words, without braces: lists show them
severity = "{start.severity}"             # error: will not convert; warning: converts, at a price; note
message = "{start.message}"  # one line; a condition-language expression in braces shows its value
# offer = "{OFFERS[0]}"         # worked out for each model; one of: {", ".join(OFFERS)}
# applies = {{ coremltools = ">=9.0,<9.1.dev0", frontend = "export", target = ">=iOS16" }}
confidence = "reported"      # measured: run here; documented: by the maker; reported: by others
sources = [
    "a file and version, an issue or a document",
]
why = '''
What happens, when, and what it costs: the text that the terminal, the docs page and JSON all show.
'''

# Blocks of [[match]] are alternatives; the lines of one `where` must all hold.
[[match]]
{start.match}

# Reported on exactly the marked lines, and, for an error, refused there by a real conversion.
[[bad]]
{bad}
# As alike as can be: reports nothing, and converts.
[[good]]
{good}{replace}"""


def _code(start: _Start, line: str, mark: str) -> str:
    return f"""\
inputs = {start.inputs}
code = '''
class Model(nn.Module):
    def forward(self, x):
        {line}{mark}
'''
"""


def _versions(numpy: str) -> str:
    return f'environment = {{ numpy = "{numpy}", coremltools = "9.0" }}\n'


def _replace(start: _Start) -> str:
    return f"""
# What to write instead. `before` and `after` are code, which is run; kind = "advice" is words alone.
# A rule about several functions says of which one its code is: op = ["aten.digamma.*"].
[[replace]]
title = "write it so"
safety = "retrain"           # safe; unsafe: may differ for some input; retrain: fine before training only
# rtol = 1e-5                # relative to the largest value; not for retrain
before = '{start.bad.removeprefix("return ")}'
after = '{start.good.removeprefix("return ")}'
"""
