"""The rule loader: a good file loads whole, any other is refused with every mistake and its place."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlint.checking.offers.table import MAKERS
from convlint.errors import RuleError
from convlint.model import OFFERS, Rule
from convlint.rules.parts import example_problems, replaced_example
from convlint.rules.rule import CATEGORIES, category_of, parse_rule
from convlint.rules.rulebook import shipped_folder

PATH = "rules/support/CL104-hypot.toml"
GOOD = '''
code = "CL104"
name = "hypot"
title = "hypot has no converter"
aliases = ["CL1104", "square-root"]
severity = "error"
message = "no converter for {op} of {self.shape}"
applies = { coremltools = ">=8,<10", target = ">=iOS15", frontend = "export" }
confidence = "measured"
sources = ["coremltools 9.0"]
why = """
It has none.
"""

[[match]]
op = ["aten.hypot.default", "aten.hypot*"]
where = ["self.rank <= 5", "not has_converter()"]

[[bad]]
title = "two images"
inputs = [[1, 4, 8, 8], "y=1x4x8x8:float16"]
options = { target = "iOS16", coremltools = "<9.1.dev0" }
code = """
class Model(nn.Module):
    def forward(self, x, y):
        return torch.hypot(x, y)  # <- CL104
"""

[[good]]
inputs = []
code = """
class Model(nn.Module):
    def forward(self):
        return torch.ones(2)
"""

[[replace]]
title = "spell it out"
safety = "unsafe"
rtol = 1e-5
before = "torch.hypot(x, y)"
after = "torch.sqrt(x * x + y * y)"
'''


def load(text: str, path: str = PATH) -> Rule:
    return parse_rule(text.encode(), path)


def problems(text: str, path: str = PATH) -> list[str]:
    with pytest.raises(RuleError) as caught:
        load(text, path)
    return caught.value.problems


def test_a_good_file_loads_whole() -> None:
    rule = load(GOOD)
    assert (rule.code, rule.name, rule.category, rule.severity) == ("CL104", "hypot", "support", "error")
    assert rule.why == "It has none."
    assert rule.applies == {"coremltools": ">=8,<10", "target": ">=iOS15", "frontend": "export"}
    assert rule.matches[0].names == ("aten.hypot.default", "aten.hypot*")
    assert [str(condition) for condition in rule.matches[0].where] == [
        "self.rank <= 5",
        "not has_converter()",
    ]
    assert rule.bad[0].inputs == ("1x4x8x8:float32", "y=1x4x8x8:float16")
    assert rule.bad[0].lines == (3,)
    assert rule.bad[0].options == {"target": "iOS16", "coremltools": "<9.1.dev0"}
    assert rule.good[0].lines == ()
    assert rule.replacements[0].rtol == 1e-5
    assert (rule.title, rule.aliases) == ("hypot has no converter", ("CL1104", "square-root"))
    assert rule.path == PATH


def test_a_replacement_is_proved_on_the_bad_example() -> None:
    rule = load(GOOD)
    example = replaced_example(rule, rule.replacements[0])
    assert example is not None
    assert example.code.splitlines()[2] == "        return torch.sqrt(x * x + y * y)"
    assert example_problems(rule) == []
    broken = load(GOOD.replace("def forward(self):", "def forward(self:"))
    assert example_problems(broken)[0].startswith(f"{PATH}: good[1].code: not Python")


def test_a_replacement_keeps_the_outputs_of_its_example() -> None:
    outputs = 'outputs = ["y:image"]\ninputs = [[1, 4, 8, 8], "y=1x4x8x8:float16"]'
    rule = load(GOOD.replace('inputs = [[1, 4, 8, 8], "y=1x4x8x8:float16"]', outputs))
    example = replaced_example(rule, rule.replacements[0])
    assert example is not None
    assert (example.outputs, example.lines) == (rule.bad[0].outputs, ())
    assert example.outputs


def test_a_rule_names_its_offer() -> None:
    assert load(GOOD).offer is None
    offers = [
        load(GOOD.replace('name = "hypot"', f'name = "hypot"\noffer = "{each}"')).offer for each in OFFERS
    ]
    assert offers == list(OFFERS)
    assert set(MAKERS) == set(OFFERS), "every offer that a file may name is one that is made"


MISTAKES = [
    (
        'severity = "error"',
        'severity = "eror"',
        "severity: 'eror' is not known. Did you mean error? Allowed: error, warning",
    ),
    ('severity = "error"', "severity = 3", "severity: a string is needed, not an integer"),
    ('severity = "error"\n', "", "severity: missing; a string is needed"),
    ('severity = "error"', 'sevrity = "error"', "sevrity: unknown key. Did you mean severity?"),
    ('confidence = "measured"', 'confidence = "measured"\ndiffers = "int8"', "differs: 'int8' is not known"),
    ('confidence = "measured"', 'confidence = "sure"', "confidence: 'sure' is not known"),
    (
        'code = "CL104"',
        'code = "CL105"',
        "code: the file must be named CL105-hypot.toml, not CL104-hypot.toml",
    ),
    ('code = "CL104"', 'code = "CL204"', "code: CL204 belongs into the folder ane/, not support/"),
    ('code = "CL104"', 'code = "CL904"', "code: CL904 is in no category"),
    ('title = "hypot has no converter"\n', "", "title: missing; a string is needed"),
    ("hypot has no converter", "{op} has no converter", "title: has a brace; a title is plain words"),
    ("hypot has no converter", "hypot " * 20, "title: one line of at most 90 letters is needed"),
    ('"CL1104", ', '"old one", ', "aliases[1]: 'old one' is neither a code nor a name"),
    (
        'op = ["aten.hypot.default", "aten.hypot*"]',
        'op = ["aten.hypot.default", "aten.atan2.default"]',
        "replace[1].op: missing; the rule is about several functions, and this code is of one",
    ),
    (
        'safety = "unsafe"',
        'op = ["aten.hypt.default"]\nsafety = "unsafe"',
        "replace[1].op[1]: 'aten.hypt.default' is no op that the rule matches. Did you mean",
    ),
    ('safety = "unsafe"', 'safety = "unsafe"\nwhere = ["dim ="]', "replace[1].where[1]: column"),
    ('code = "CL104"', 'code = "104"', "code: '104' is not a code"),
    ('name = "hypot"', 'name = "Hypot!"', "name: 'Hypot!' is not a name"),
    ("no converter for {op}", "{op.__class__}", "message: column 2: no attribute '__class__'"),
    ("no converter for {op}", "{op", "message: column 1: a brace without its partner"),
    ('sources = ["coremltools 9.0"]', "sources = []", "sources: must name at least one source"),
    (
        'sources = ["coremltools 9.0"]',
        'sources = ["", 3]',
        "sources[2]: a string that is not empty is needed, not an integer",
    ),
    ("It has none.", " ", "why: must not be empty"),
    (">=8,<10", "8..10", "applies.coremltools: '8..10' is not a list of bounds such as >=8,<10"),
    (">=iOS15", ">=iOS51", "applies.target: unknown target 'iOS51'. Did you mean iOS15"),
    (
        'frontend = "export"',
        'frontend = "exprot"',
        "applies.frontend: 'exprot' is not known. Did you mean export?",
    ),
    ("applies = {", "applies = { keras = '3',", "applies.keras: unknown key"),
    (
        '"aten.hypot.default"',
        '"aten.hypot"',
        "match[1].op[1]: name the overload, as in aten.hypot.default or aten.hypot.*",
    ),
    ('"aten.hypot.default"', '"hypot()"', "match[1].op[1]: 'hypot()' is not an op name"),
    ("op = [", 'capture = ["unknown"]\nop = [', "match[1]: names op and capture; exactly one"),
    (
        'name = "hypot"',
        'name = "hypot"\noffer = "fold-sdt"',
        "offer: 'fold-sdt' is not known. Did you mean fold-std? Allowed: fold-std, fold-normalisation.",
    ),
    ("op = [", "ops = [", "match[1].ops: unknown key. Did you mean op?"),
    ("self.rank <= 5", "self.rnk <= 5", "match[1].where[1]: column 1 of 'self.rnk <= 5': no attribute 'rnk'"),
    ("not has_converter()", "has_convertr()", "match[1].where[2]: column 1 of 'has_convertr()': no function"),
    ("[[match]]", "[[mtach]]", "match: missing; at least one [[match]]"),
    ("[[bad]]", "[[good]]", "bad: missing; a rule needs at least one [[bad]] example"),
    ("  # <- CL104", "", "bad[1].code: no line is marked `# <- CL104`"),
    ("  # <- CL104", "  # <- CL140", "bad[1].code: line 3 is marked 'CL140'; only CL104 can be marked"),
    ("return torch.ones(2)", "return torch.ones(2)  # <- CL104", "good[1].code: line 3 is marked"),
    (
        "class Model(nn.Module):",
        "class Net(nn.Module):",
        "bad[1].code: must define `class Model(nn.Module):`",
    ),
    ("[1, 4, 8, 8]", "[1, 0, 8, 8]", "bad[1].inputs[1]: a list of sizes above 0"),
    ("y=1x4x8x8:float16", "y=1x4x8x8:flaot16", "bad[1].inputs[2]: malformed input spec"),
    ('target = "iOS16"', 'target = "iOS61"', "bad[1].options.target: unknown target 'iOS61'"),
    (
        'coremltools = "<9.1.dev0"',
        'coremltols = "<9"',
        "bad[1].options.coremltols: unknown key. Did you mean coremltools?",
    ),
    (
        'safety = "unsafe"',
        'safety = "risky"',
        "replace[1].safety: 'risky' is not known. Allowed: safe, unsafe, retrain",
    ),
    ("rtol = 1e-5", 'rtol = "small"', "replace[1].rtol: a number is needed, not a string"),
    ("rtol = 1e-5", "rtol = -1", "replace[1].rtol: a number from 0 to below 1 is needed"),
    (
        'before = "torch.hypot(x, y)"',
        'before = "torch.hypot(y, x)"',
        "replace[1].before: stands in no [[bad]] example",
    ),
    ('name = "hypot"', 'name = "hypot', "not TOML: "),
]


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES)
def test_every_mistake_is_told_with_its_key_and_what_is_allowed(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new))
    assert any(problem.startswith(f"{PATH}: {expected}") for problem in found), found


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = GOOD
    for old, new in (
        ('"error"', '"eror"'),
        ('"measured"', '"sure"'),
        ("self.rank", "self.rnk"),
        ("rtol = 1e-5", "rtol = 2"),
    ):
        text = text.replace(old, new)
    assert len(problems(text)) == 4


def test_what_is_not_text_is_told_too() -> None:
    for content, expected in (
        (b'code = "\xff"', "not UTF-8: byte 0xff in line 1"),
        (b"a = " + b"[" * 9000, "not TOML"),
    ):
        with pytest.raises(RuleError) as caught:
            parse_rule(content, PATH)
        assert caught.value.problems[0].startswith(f"{PATH}: {expected}")


def test_names_that_a_subject_never_has_are_refused() -> None:
    text = GOOD.replace('op = ["aten.hypot.default", "aten.hypot*"]', 'input = ["tensor"]').replace(
        '"self.rank <= 5", "not has_converter()"', '"dtyp == 3"'
    )
    found = problems(text)
    assert any(
        "where[1]: 'dtyp == 3': input has no dtyp. Did you mean dtype?" in problem for problem in found
    )
    assert any("message: 'op': input has no op." in problem for problem in found)


def test_a_rule_of_the_users_own_may_lie_anywhere() -> None:
    text = GOOD.replace("CL104", "ACME104")
    assert load(text, "lint/ACME104-hypot.toml").category == "support"
    assert "belongs into the folder support/" in problems(text, "lint/ane/ACME104-hypot.toml")[0]
    assert "belongs into the folder support/" in problems(GOOD, "lint/CL104-hypot.toml")[0]


def test_the_first_digit_of_a_code_is_its_category() -> None:
    for category in CATEGORIES.values():
        assert category_of(f"CL{category.digit}42") is category


SHIPPED = sorted(shipped_folder().rglob("*.toml"))
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.floats(),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=2),
)


@settings(max_examples=200, deadline=2000)
@given(st.sampled_from(SHIPPED), st.data())
def test_a_damaged_file_loads_or_is_refused_with_its_path(file: Path, data: st.DataObject) -> None:
    text = file.read_text()
    path = "/".join(file.parts[-3:])
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 30, len(text))))
        text = text[:start] + data.draw(st.text(max_size=6) | st.sampled_from('"[]{}=#\n')) + text[end:]
    try:
        content = text.encode()
    except UnicodeEncodeError:
        content = text.encode(errors="surrogatepass")
    check_loads_or_refuses(content, path)


@settings(max_examples=200, deadline=2000)
@given(st.sampled_from(SHIPPED), st.data())
def test_a_wrong_value_anywhere_is_refused_with_its_path(file: Path, data: st.DataObject) -> None:
    tables = [tomllib.loads(file.read_text())]
    tables += [
        item
        for value in tables[0].values()
        if isinstance(value, list)
        for item in value
        if isinstance(item, dict)
    ]
    table = data.draw(st.sampled_from(tables))
    key = data.draw(st.sampled_from(sorted(table)) | st.text("abcdefgh", min_size=1, max_size=5))
    table[key] = data.draw(VALUES)
    check_loads_or_refuses(to_toml(tables[0]).encode(errors="surrogatepass"), "/".join(file.parts[-3:]))


def check_loads_or_refuses(content: bytes, path: str) -> None:
    try:
        rule = parse_rule(content, path)
    except RuleError as error:
        assert error.problems
        assert all(problem.startswith(f"{path}: ") for problem in error.problems)
    else:
        assert rule.code
        assert rule.matches
        assert rule.bad or rule.matches[0].subject == "trial"
        assert rule.good or rule.matches[0].subject == "trial"


def to_toml(data: dict[str, Any]) -> str:
    """Enough of a TOML writer for rule files; None leaves a key without a value, which is no TOML."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in data.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(letter):08x}" for letter in value) + '"'
    return "" if value is None else str(value).lower()
