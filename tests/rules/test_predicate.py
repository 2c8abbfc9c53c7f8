"""The ``where`` language: what it can say, why it says no, and that it can neither run code nor hang."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlint.coreml.versions import parse_bounds, parse_release, parse_target
from convlint.model import TensorArg, TensorMeta
from convlint.rules.message import parse_template, render
from convlint.rules.where.language import Outcome, PredicateError, evaluate, holds, parse

IMAGE = TensorArg("x", TensorMeta((1, 3, 8, 8), "float32"), "input", const=False)
WEIGHT = TensorArg("w", TensorMeta((4, "s0"), "int64"), "parameter", const=True, value=3)
NAMES: dict[str, Any] = {
    "self": IMAGE,
    "weight": WEIGHT,
    "bias": None,
    "kernel_size": (3, 5),
    "stride": (4, 2),
    "dim": -1,
    "mode": "same",
    "scale": 1j,
    "ceil_mode": False,
    "tensors": (IMAGE, WEIGHT),
    "coremltools": parse_release("9.0"),
    "target": parse_target("macOS14"),
}


@pytest.mark.parametrize(
    "condition",
    [
        "self.rank == 4 and self.numel == 192",
        "dim % self.rank == 3",
        "1 < kernel_size[0] < 4 <= kernel_size[-1]",
        "self.shape[1:3] == (3, 8)",
        "self.shape[::-1][0] == 8",
        "self.dtype in ['float32', 'float16']",
        "mode not in ('valid', 'full')",
        "bias is None",
        "bias is None or bias.rank == 1",
        "is_none(bias) and not is_const(self) and is_const(weight)",
        "is_const((weight, 3)) and not is_const(tensors)",
        "any(k > s for k, s in zip(kernel_size, stride))",
        "all(k % 2 == 1 for k in kernel_size if k > 1)",
        "sum(t.rank for t in tensors) == 6",
        "len([t for t in tensors if is_tensor(t)]) == 2",
        "max(kernel_size) == max(2, 5) and min(k for k in kernel_size) == 3",
        "product(kernel_size) == 15 and 2 ** 10 == 1024 and 7 // 2 == 3 and abs(dim) / 2 == 0.5",
        "is_float(self) and is_int('int64') and is_complex('complex64') and not is_int('bool')",
        "is_complex(scale) and not is_complex(self) and not is_complex(mode)",
        "is_int(3) and not is_int(3.0) and is_float(3.0) and not is_int(True) and not is_float(False)",
        "coreml_dtype(self) == coreml_dtype(0.5) == coreml_dtype('float64') == 'fp32'",
        "coreml_dtype(3) == coreml_dtype('int64') == 'int32' and coreml_dtype(True) == 'bool'",
        "is_number(dim) and not is_number(mode)",
        "float32(0.5) == 0.5 and float32(1.3) < 1.3 and float32(90 * float32(1.3)) < 117 == 90 * 1.3",
        "coremltools >= version('9.0') > version('9.1.dev1') or coremltools < version('9.1.dev1')",
        "target == target('iOS17') and target < target('iOS18')",
        "startswith(mode, 'sa') and endswith(mode, 'me') and matches(mode, 's?m*')",
        "(self.rank if ceil_mode else 7) == 7",
        "weight.value == 3 and weight.origin == 'parameter' and self.name == 'x'",
        "not ceil_mode",
        "True",
    ],
)
def test_what_holds(condition: str) -> None:
    assert evaluate(parse(condition), NAMES) == Outcome(True, "")


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("kernel_size[0] > 13", "kernel_size[0] > 13: kernel_size[0] is 3"),
        ("dim == -1 and self.rank == 5", "self.rank == 5: self.rank is 4"),
        ("dim == 1 or dim == 2", "dim == 1: dim is -1; dim == 2: dim is -1"),
        ("not is_const(weight)", "not is_const(weight): weight is w (parameter int64[4xs0])"),
        ("padding > 3", "padding > 3: there is no padding here"),
        ("bias.rank == 1", "bias.rank == 1: None has no rank"),
        ("bias > 3", "bias > 3: None is not a number"),
        ("weight.shape[1] > 8", "weight.shape[1] > 8: 's0' is no number that is known here"),
        ("weight.shape[1] != 8", "weight.shape[1] != 8: 's0' is no number that is known here"),
        ("weight.numel > 8", "weight.numel > 8: the size s0 is symbolic"),
        ("self.shape[9] == 1", "self.shape[9] == 1: (1, 3, 8, 8) has no element 9"),
        ("dim / 0 == 1", "dim / 0 == 1: division by zero"),
        ("kernel_size", "kernel_size: (3, 5) is neither true nor false"),
        ("ceil_mode", "ceil_mode: ceil_mode is False"),
        ("coremltools > '8.0'", "coremltools > '8.0': 9.0 > '8.0' compares different things"),
        ("any(k > 9 for k in kernel_size)", "any(k > 9 for k in kernel_size): kernel_size is (3, 5)"),
        ("has_converter()", "has_converter(): nothing here answers has_converter()"),
        ("2 ** 60 * 2 ** 60 > 1", "2 ** 60 * 2 ** 60 > 1: the number grows too large"),
    ],
)
def test_what_does_not_hold_says_why(condition: str, reason: str) -> None:
    assert evaluate(parse(condition), NAMES) == Outcome(False, reason)


def test_a_part_without_an_answer_does_not_decide() -> None:
    assert holds(parse("padding > 3 or dim == -1"), NAMES)
    assert holds(parse("any(t.shape[1] == 3 for t in (weight, self))"), NAMES)
    assert not holds(parse("not (padding > 3)"), NAMES)
    assert not holds(parse("all(size > 0 for size in weight.shape)"), NAMES)


def test_the_caller_answers_its_own_functions() -> None:
    assert holds(parse("not has_converter()"), {}, {"has_converter": lambda: False})
    assert evaluate(parse("not has_converter()"), {}, {"has_converter": lambda: True}).reason == (
        "not has_converter(): has_converter() is True"
    )


@pytest.mark.parametrize(
    ("source", "column", "message"),
    [
        ("__import__('os').system('id')", 1, "only a function of the language can be called"),
        ("self.__class__ == 1", 1, "no attribute '__class__'"),
        ("dim == 1 and eval('1')", 14, "no function 'eval'"),
        ("(lambda: 1)() == 1", 1, "only a function of the language can be called"),
        ("[x for x in y]", 1, "ListComp is not part of the language"),
        ("f'{x}' == 'a'", 1, "JoinedStr is not part of the language"),
        ("(x := 1) == 1", 2, "NamedExpr is not part of the language"),
        ("{1: 2} == x", 1, "Dict is not part of the language"),
        ("x @ y == 1", 1, "MatMult is not part of the language"),
        ("x is y", 6, "`is` compares with None only"),
        ("x == ) + 1", 6, "not an expression"),
        ("isnone(x)", 1, "Did you mean is_none?"),
        ("len(x, y)", 1, "len() takes 1 arguments, not 2"),
        ("max(x, key=y) == 1", 1, "takes no keyword arguments"),
        ("version('nine') < coremltools", 9, "is not a version"),
        ("target('iOS71') < target", 8, "Did you mean iOS17?"),
        ("version(x) < coremltools", 1, "takes one text"),
        ("matches(op, pattern)", 13, "must stand there as a text"),
        ("count_ops(op) == 1", 11, "the pattern of count_ops()"),
        ("has_converter", 1, "write has_converter()"),
        ("x + 1", 1, "this is a value"),
        ("x == 1\nand y", 7, "one line"),
        ("x == 99999999999999999999999", 6, "too large"),
        ("x == 3j", 6, "complex"),
        ("", 1, "empty"),
        ("ö == 1 and wierd(x)", 12, "no function 'wierd'"),
        ("(" * 150 + "x" + ")" * 150 + "." * 250, 1, "longer than 500"),
        ("not " * 60 + "x", 1, "nested deeper"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_column(
    source: str, column: int, message: str
) -> None:
    with pytest.raises(PredicateError) as caught:
        parse(source)
    assert message in caught.value.message
    assert caught.value.offset == column or "nested" in message


@pytest.mark.parametrize(
    "condition",
    [
        "any(any(any(x + y + z < 0 for x in many) for y in many) for z in many)",
        "all(x in many for x in many)",
        "len([1 for a in (many, many) for b in (many, many) for c in a for d in b]) == 0",
        "sum(x ** 64 for x in many) == 0",
    ],
)
def test_a_condition_cannot_hang(condition: str) -> None:
    start = time.perf_counter()
    assert not holds(parse(condition), {"many": tuple(range(100_000))})
    assert time.perf_counter() - start < 2


def test_a_predicate_is_plain_data() -> None:
    predicate = parse("any(k > s for k, s in zip(kernel_size, stride))")
    again = pickle.loads(pickle.dumps(predicate))
    assert str(again) == predicate.source
    assert again == predicate
    assert again.names == {"kernel_size", "stride"}
    assert holds(again, NAMES)


def test_evaluation_is_fast_enough_for_thousands_of_calls() -> None:
    predicate = parse("kernel_size[0] > 13 and self.rank == 4")
    start = time.perf_counter()
    for _ in range(10_000):
        holds(predicate, NAMES)
    assert time.perf_counter() - start < 2


NODES = st.recursive(
    st.sampled_from(
        [*NAMES, "unknown", "None", "True", "0", "-7", "2.5", "1e999", "'same'", "()", "9007199254740993"]
    ),
    lambda parts: st.one_of(
        st.builds(
            "({} {} {})".format, parts, st.sampled_from("+ - * / // % ** == < >= in and or".split()), parts
        ),
        st.builds("{}[{}]".format, parts, parts),
        st.builds(
            "({}).{}".format, parts, st.sampled_from(["rank", "shape", "dtype", "numel", "const", "value"])
        ),
        st.builds(
            "{}({})".format,
            st.sampled_from(["len", "any", "sum", "max", "is_const", "is_float", "not"]),
            parts,
        ),
        st.builds("all({} for dim in {} if {})".format, parts, parts, parts),
        st.builds("({} if {} else {})".format, parts, parts, parts),
        st.builds("{}[{}:{}]".format, parts, parts, parts),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=2000)
@given(NODES | st.text(max_size=60))
def test_no_source_and_no_value_makes_it_raise(source: str) -> None:
    try:
        predicate = parse(source)
    except PredicateError as error:
        assert error.offset >= 1
        return
    outcome = evaluate(predicate, NAMES)
    assert outcome.holds is holds(predicate, NAMES)
    assert bool(outcome.reason) is not outcome.holds


def test_messages_show_values_and_stay_on_the_nouns() -> None:
    assert render("{op} of {self.shape}, {{braces}}, {padding}", {**NAMES, "op": "aten.add.Tensor"}) == (
        "aten.add.Tensor of (1, 3, 8, 8), {braces}, ?"
    )
    for broken in ("a {", "a }", "{}", "{self.__class__}", "{x!r}"):
        with pytest.raises(PredicateError):
            parse_template(broken)


def test_versions_are_ordered_as_packages_are() -> None:
    texts = [
        "8.3",
        "9.0a1",
        "9.0rc1.dev2",
        "9.0rc1",
        "9.0",
        "9.0.post1",
        "9.1.dev1",
        "9.1.dev2",
        "9.1b2",
        "9.1",
        "10",
    ]
    releases = [parse_release(text) for text in texts]
    assert releases == sorted(releases)
    assert len(set(releases)) == len(releases)
    assert parse_release("9.0") == parse_release("9.0.0") == parse_release("9+cpu")


def test_bounds_over_versions_and_targets() -> None:
    assert parse_bounds(">=8,<10").hold(parse_release("9.1.dev1"))
    assert not parse_bounds(">=8,!=9.0").hold(parse_release("9.0"))
    assert parse_bounds(">=iOS16,<=macOS14", "target").hold(parse_target("watchOS10"))
