"""The table of placements against the rules of the category ane: one fact must not be stated in two ways."""

from __future__ import annotations

from convlint.interface.inputs import make_tensors, parse_inputs
from convlint.model import Rule
from convlint.placement.aten_reader import read_aten
from convlint.placement.chips import find_device
from convlint.placement.rules import judge_placement, placement_table
from convlint.rule_tester.example import rule_tester
from convlint.rules.rulebook import load_rulebook

OLD_CHIP = {"CL208": "M3", "CL218": "M1", "CL219": "M1"}
"""Rules about chips before M4, with one of those; all else is asked of M4."""
NO_OP = {"CL001", "CL118"}
"""What never becomes an op of a plan: a branch on data is not exported, rank above 5 is not converted."""


def coded_rules() -> list[Rule]:
    codes = {rule.code for rules in placement_table().rules.values() for rule in rules if rule.code}
    return [rule for rule in load_rulebook() if rule.code in codes - NO_OP]


def test_every_code_of_the_table_is_a_rule() -> None:
    codes = {rule.code for rules in placement_table().rules.values() for rule in rules if rule.code}
    assert codes <= {rule.code for rule in load_rulebook()}


def test_what_a_rule_reports_leaves_the_engine_in_a_plan_too() -> None:
    """On bad examples some op is refused with the code of the rule; on good ones none is, save at an end."""
    from convlint.capture.methods import Source, capture

    wrong = []
    with rule_tester(load_rulebook()) as tester:
        for rule in coded_rules():
            device = find_device(OLD_CHIP.get(rule.code, "M4"), None)
            examples = [(True, each) for each in rule.bad] + [(False, each) for each in rule.good]
            for number, (bad, example) in enumerate(examples):
                build = tester.build(example, f"{rule.code}_{number}")[1]
                specs = parse_inputs(example.inputs)
                captured = capture(Source(build, None, lambda specs=specs: make_tensors(specs)))
                assert captured.graph is not None
                target = example.options.get("target", device.target)
                codes = {
                    judge_placement(operation, device).code for operation in read_aten(captured.graph, target)
                }
                if (rule.code in codes) is not bad and (bad or rule.code not in LENIENT):
                    wrong.append(f"{rule.code}, {'bad' if bad else 'good'} example {number}: {sorted(codes)}")
    assert not wrong


LENIENT = {"CL203", "CL207", "CL219", "CL222"}
"""Rules that leave alone what costs nothing, such as an argmax at the end; a plan says where it runs.

That of attention knows that a given scale keeps the fused op away, which the ATen reader does not.
"""
