"""Matching: which rules fire on which subjects, why others do not, and how matches become findings."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from convlint.coreml.supported import snapshot
from convlint.model import CaptureFailure, Graph, OpCall, Port, Rule, Site, Subject, TensorArg, TensorMeta
from convlint.rules.match import (
    Environment,
    explain,
    group_findings,
    match_environment,
    match_failures,
    match_graph,
    near_misses,
)
from convlint.rules.rule import parse_rule
from convlint.rules.rulebook import Rulebook, load_rulebook

HERE = Environment("9.0", "2.14.1", snapshot("9.0"), numpy="2.3.5", python="3.11.7")
NEXT = replace(HERE, coremltools="9.1.dev1", supported=snapshot("9.1.dev1"))
X = TensorArg("x", TensorMeta((1, 4, 8, 8), "float32"), "input", const=False)


def call(
    op: str,
    line: int = 1,
    module: str = "",
    path: str = "model.py",
    out: TensorMeta | None = None,
    **args: Any,
) -> OpCall:
    bound = {"self": X, **args}
    return OpCall(
        op=op,
        name=op.split(".")[1],
        args=bound,
        given=tuple(bound),
        positional=len(bound),
        inputs=(X.meta,),
        outputs=(out or X.meta,),
        used_outputs=(0,),
        users=("output",),
        const=False,
        site=Site(path, line),
        module=module,
    )


def graph(*calls: OpCall, inputs: tuple[Port, ...] = (), outputs: tuple[Port, ...] = ()) -> Graph:
    return Graph(calls, inputs, outputs)


def rule(
    code: str = "ACME101",
    block: str = 'op = ["aten.relu.default"]',
    severity: str = "error",
    applies: str = "",
    message: str = "{op}",
) -> Rule:
    text = f"""
code = "{code}"
name = "name-{code.lower()}"
severity = "{severity}"
message = "{message}"
confidence = "measured"
sources = ["a test"]
why = "to test"
applies = {{ {applies} }}
[[match]]
{block}
[[bad]]
inputs = []
code = '''
class Model(nn.Module):
    pass  # <- {code}
'''
[[good]]
inputs = []
code = '''
class Model(nn.Module):
    pass
'''
"""
    return parse_rule(text.encode(), f"lint/{code}-name-{code.lower()}.toml")


def fired(rules: Rule | Rulebook, of: Graph, environment: Environment = HERE) -> list[tuple[str, int]]:
    book = rules if isinstance(rules, Rulebook) else Rulebook((rules,))
    return [(m.rule.code, m.site.line if m.site else 0) for m in match_graph(book, of, environment)]


def test_an_op_is_matched_by_name_and_by_pattern() -> None:
    calls = graph(call("aten.relu.default", 1), call("aten.relu6.default", 2), call("aten.add.Tensor", 3))
    assert fired(rule(block='op = ["aten.relu.default"]'), calls) == [("ACME101", 1)]
    assert fired(rule(block='op = ["aten.relu*", "aten.add.*"]'), calls) == [
        ("ACME101", 1),
        ("ACME101", 2),
        ("ACME101", 3),
    ]


def test_lines_of_a_block_must_all_hold_and_blocks_are_alternatives() -> None:
    blocks = """op = ["aten.relu.default"]
where = ["self.rank == 4", "inplace"]
[[match]]
op = ["aten.relu.*"]
where = ["self.rank == 9"]"""
    assert fired(rule(block=blocks), graph(call("aten.relu.default", inplace=True))) == [("ACME101", 1)]
    assert fired(rule(block=blocks), graph(call("aten.relu.default", inplace=False))) == []


def test_an_argument_whose_name_is_taken_gets_an_underscore() -> None:
    asked = rule(
        block="""op = ["aten.uniform.default"]
where = ["from_ < 0", "target_ == 3", "target == target('iOS17')", "out.rank == 4", "kind == 'uniform'"]"""
    )
    assert fired(asked, graph(call("aten.uniform.default", target=3, **{"from": -1.0})))


def test_a_text_may_be_the_name_of_an_earlier_tensor() -> None:
    one = rule(block='op = ["aten.div.Tensor_mode"]\nwhere = ["names_tensor(rounding_mode)"]')
    floor, divide = call("aten.floor.default", 1), call("aten.div.Tensor_mode", 2, rounding_mode="floor")
    assert fired(one, graph(floor, divide)) == [("ACME101", 2)]
    assert fired(one, graph(divide, floor)) == []
    port = Port("floor", "tensor", X.meta)
    assert fired(one, graph(divide, inputs=(port,))) == [("ACME101", 2)]


def test_bounds_of_applies_are_asked() -> None:
    relu = graph(call("aten.relu.default"))
    for applies, fires in (
        ('coremltools = ">=9,<9.1.dev1"', True),
        ('coremltools = ">=9.1.dev1"', False),
        ('target = "<=macOS14"', True),
        ('target = ">=iOS18"', False),
        ('frontend = "torchscript"', False),
        ('numpy = "<2.4", torch = ">2.5", python = ">=3.11"', True),
    ):
        assert bool(fired(rule(applies=applies), relu)) is fires, applies
    assert not fired(rule(applies='numpy = "<2.4"'), relu, replace(HERE, numpy=None))


def test_the_shipped_rules_tell_ops_without_a_converter_by_release() -> None:
    book = load_rulebook()
    calls = graph(
        call("aten.digamma.default", 1), call("aten.relu.default", 2), call("aten.new_ones.default", 3)
    )
    assert fired(book, calls) == [("CL100", 1), ("CL105", 3)]
    assert fired(book, calls, NEXT) == [("CL100", 1)]
    unread = graph(replace(call("aten.digamma.default"), users=()))
    assert fired(book, unread) == [("CL100", 1)]
    assert fired(book, unread, NEXT) == []


def test_a_rule_for_everything_gives_way_to_one_that_names_the_op() -> None:
    general = rule("ACME101", 'op = ["*"]')
    named = rule("ACME102", 'op = ["aten.relu.*"]')
    other = rule("ACME202", 'op = ["aten.relu.*"]', severity="warning")
    calls = graph(call("aten.relu.default", 1), call("aten.add.Tensor", 2))
    assert fired(Rulebook((general, named, other)), calls) == [("ACME102", 1), ("ACME202", 1), ("ACME101", 2)]


def test_inputs_outputs_and_the_model_are_subjects_too() -> None:
    port = Port("x", "tensor", TensorMeta((1, "s0"), "int64"))
    written = Port("add", "input-mutation", X.meta, mutated=True, alias_of="x")
    model = graph(
        call("aten.relu.default"), inputs=(port,), outputs=(written, Port("None", "constant", None))
    )
    book = Rulebook(
        (
            rule(
                "ACME401",
                'input = ["tensor"]\nwhere = ["dtype == \'int64\'", "shape[0] == 1"]',
                message="{name} {shape}",
            ),
            rule("ACME402", 'output = ["*"]\nwhere = ["alias_of == \'x\'"]', message="{alias_of}"),
            rule(
                "ACME403",
                'model = ["graph"]\nwhere = ["op_count == 1", "output_count == 2"]',
                message="{op_count} op",
            ),
            rule("ACME404", 'output = ["*"]\nwhere = ["rank == 0"]', message="{name}"),
        )
    )
    findings = group_findings(match_graph(book, model, HERE))
    assert [(finding.rule.code, finding.message, finding.site) for finding in findings] == [
        ("ACME401", "x (1, 's0')", None),
        ("ACME402", "x", None),
        ("ACME403", "1 op", None),
    ]


def test_a_rule_counts_the_ops_of_a_model_that_inputs_reach() -> None:
    many = rule("ACME401", 'model = ["graph"]\nwhere = ["count_ops(\'aten.relu.*\') == 2"]', message="many")
    relu = call("aten.relu.default")
    calls = graph(relu, relu, replace(relu, const=True), call("aten.add.Tensor"))
    assert fired(Rulebook((many,)), calls) == [("ACME401", 0)]
    assert fired(Rulebook((many,)), graph(relu)) == []


def test_an_output_that_is_another_port_is_told() -> None:
    twice = rule("ACME401", 'output = ["tensor"]\nwhere = ["same_as != \'\'"]', message="{name} is {same_as}")
    unread = rule("ACME402", 'input = ["tensor"]\nwhere = ["not used"]', message="{name}")
    ports = {
        "inputs": (Port("x", "tensor", X.meta, used=False), Port("y", "tensor", X.meta)),
        "outputs": (Port("relu", "tensor", X.meta), Port("clone", "tensor", X.meta, same_as="relu")),
    }
    findings = group_findings(match_graph(Rulebook((twice, unread)), graph(**ports), HERE))
    assert [finding.message for finding in findings] == ["clone is relu", "x"]
    assert [(each.subject.kind, each.subject.name) for each in findings] == [
        ("output", "clone"),
        ("input", "x"),
    ]
    assert [each.subject.thing for each in findings] == [ports["outputs"][1], ports["inputs"][0]]


def test_capture_failures_and_versions_are_subjects_too() -> None:
    book = load_rulebook()
    failure = CaptureFailure(
        "export", "data-dependent-branch", "GuardError", "Eq(u0, 1)", Site("model.py", 7), module="head"
    )
    (finding,) = group_findings(match_failures(book, [failure], HERE))
    assert (finding.rule.code, finding.site, finding.module, finding.calls) == (
        "CL001",
        Site("model.py", 7),
        "head",
        (),
    )
    assert finding.subject == Subject("capture", "data-dependent-branch", failure)
    tested = replace(HERE, torch="2.7.0")
    assert match_environment(book, tested) == []
    (found,) = match_environment(book, replace(tested, numpy="2.4.0", frontend="torchscript"))
    assert found.rule.code == "CL501"
    assert group_findings([found])[0].subject == Subject("environment", "numpy")


def test_a_near_miss_names_every_false_condition_with_its_values() -> None:
    asked = rule(
        block='op = ["aten.relu.*"]\nwhere = ["self.rank == 3", "is_float(self)", "self.shape[0] > 1"]'
    )
    misses = explain(asked, call("aten.relu.default", 7), HERE)
    assert [(miss.condition, miss.reason) for miss in misses] == [
        ("self.rank == 3", "self.rank == 3: self.rank is 4"),
        ("self.shape[0] > 1", "self.shape[0] > 1: self.shape[0] is 1"),
    ]
    assert misses[0].site == Site("model.py", 7)
    assert near_misses(asked, graph(call("aten.relu.default", 7), call("aten.add.Tensor")), HERE) == misses


@pytest.mark.parametrize(("slopes", "code"), [("varied", "CL121"), (0.25, "CL152"), (None, "CL152")])
def test_slopes_that_differ_are_refused_and_equal_ones_noted(slopes: str | float | None, code: str) -> None:
    weight = TensorArg("w", TensorMeta((4,), "float32"), "parameter", True, value=slopes)
    x = TensorArg("x", TensorMeta((1, 4, 8), "float32"), "input", False)
    fired = match_graph(load_rulebook(), graph(call("aten.prelu.default", self=x, weight=weight)), HERE)
    assert [match.rule.code for match in fired] == [code]


def test_a_near_miss_knows_the_dtypes_of_core_ml() -> None:
    made = call("aten.zeros.default", out=TensorMeta((3,), "int64"))
    used = TensorArg("zeros", TensorMeta((3,), "int64"), "computed", False, call=made.name)
    asked = rule(block='op = ["aten.gather.default"]\nwhere = ["coreml_dtype(index) == \'int32\'"]')
    (miss,) = near_misses(asked, graph(made, call("aten.gather.default", index=used)), HERE)
    assert "coreml_dtype(index) is 'fp32'" in miss.reason


def test_a_near_miss_names_a_bound_of_applies() -> None:
    asked = rule(applies='coremltools = ">=9.1.dev1"')
    (miss,) = explain(asked, call("aten.relu.default"), HERE)
    assert (miss.condition, miss.reason) == ("coremltools >=9.1.dev1", "coremltools is 9.0")


def test_there_is_no_near_miss_where_a_rule_fires_or_does_not_look() -> None:
    assert explain(rule(), call("aten.relu.default"), HERE) == []
    assert explain(rule(), call("aten.add.Tensor"), HERE) == []
    port = Port("x", "tensor", TensorMeta((), "int32"))
    assert explain(rule("ACME401", 'input = ["tensor"]', message="{name}"), port, HERE) == []


def test_the_calls_of_one_line_are_one_finding_in_graph_order() -> None:
    calls = [call("aten.relu.default", 5, f"layers.{index}") for index in range(3)]
    (finding,) = group_findings(
        match_graph(Rulebook((rule(message="{op} in {module}"),)), graph(*calls), HERE)
    )
    assert finding.calls == tuple(calls)
    assert (finding.op, finding.module, finding.message) == (
        "aten.relu.default",
        "layers.0",
        "aten.relu.default in layers.0",
    )


def test_a_line_with_several_ops_of_one_rule_names_them_all() -> None:
    calls = graph(call("aten.relu.default", 5), call("aten.tanh.default", 5), call("aten.relu.default", 5))
    (finding,) = group_findings(match_graph(Rulebook((rule(block='op = ["*"]'),)), calls, HERE))
    assert finding.message == "aten.relu.default (and aten.tanh.default)"
    assert len(finding.calls) == 3


def test_findings_are_sorted_by_place_with_errors_first() -> None:
    book = Rulebook((rule("ACME201", severity="warning"), rule("ACME301")))
    calls = graph(
        call("aten.relu.default", 9),
        call("aten.relu.default", 2, path="b.py"),
        call("aten.relu.default", 2, path="a.py"),
    )
    nowhere = replace(call("aten.relu.default"), site=None)
    findings = group_findings(match_graph(book, replace(calls, calls=(nowhere, *calls.calls)), HERE))
    assert [(str(finding.site), finding.severity) for finding in findings] == [
        ("a.py:2", "error"),
        ("a.py:2", "warning"),
        ("b.py:2", "error"),
        ("b.py:2", "warning"),
        ("model.py:9", "error"),
        ("model.py:9", "warning"),
        ("None", "error"),
        ("None", "warning"),
    ]


def test_time_grows_with_the_calls_and_not_with_calls_times_rules() -> None:
    many = Rulebook(
        tuple(rule(f"ACME{number}", f'op = ["aten.op{number}.default"]') for number in range(100, 500))
    )
    calls = graph(*[call("aten.relu.default", line) for line in range(1, 3001)])
    start = time.perf_counter()
    assert match_graph(many, calls, HERE) == []
    assert time.perf_counter() - start < 2
