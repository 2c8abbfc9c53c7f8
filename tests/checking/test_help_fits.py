"""What a finding shows is of the op that it names, and what it claims was proved of that op.

Every rule is asked about every bad example of its own: about ninety rules speak of several functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from textwrap import dedent

import pytest
from conftest import Convlint

from convlint.capture.methods import capture
from convlint.checking.judgement import failures_to_report
from convlint.model import Example, Finding, Replacement, Rule
from convlint.op_functions import function_of, functions_of
from convlint.rule_tester.environment import environment_of
from convlint.rule_tester.example import TIMEOUT, RuleTester, rule_tester
from convlint.rules.match import group_findings, match_failures, match_graph
from convlint.rules.rulebook import Rulebook, load_rulebook

RULEBOOK = load_rulebook()
OF_OPS = [rule for rule in RULEBOOK if any(match.subject == "op" for match in rule.matches)]


@pytest.fixture(scope="module")
def tester() -> Iterator[RuleTester]:
    with rule_tester(RULEBOOK) as opened:
        yield opened


def findings_of(rule: Rule, example: Example, number: int, tester: RuleTester) -> tuple[Finding, ...]:
    """What the rule says of one of its examples: no conversion is needed for that."""
    environment = environment_of(rule, example, tester.environment)
    captured = capture(tester.source(example, f"{rule.code}_{number}")[1], TIMEOUT)
    alone = Rulebook((rule,))
    matches = match_failures(alone, failures_to_report(captured, environment.frontend), environment)
    if captured.graph is not None:
        matches += match_graph(alone, captured.graph, environment)
    return group_findings(matches)


def functions(finding: Finding) -> set[str]:
    return functions_of(call.op for call in finding.calls)


def test_the_code_that_is_shown_is_of_the_op_that_matched(tester: RuleTester) -> None:
    wrong = []
    for rule in OF_OPS:
        found = {
            example.code: findings_of(rule, example, number, tester)
            for number, example in enumerate(rule.bad, 1)
            if "environment" not in example.options and "memory_format" not in example.options
        }
        for finding in (finding for findings in found.values() for finding in findings):
            for shown in finding.replacements:
                if shown.kind != "rewrite":
                    continue
                home = next(code for code in found if shown.before.strip() in code)
                proved = set().union(*map(functions, found[home]))
                if not proved & functions(finding):
                    wrong.append((rule.code, finding.op, shown.before))
    assert wrong == []


def test_no_op_of_a_rule_is_shown_code_of_another() -> None:
    """Of every op that a rule names, whether or not an example has it."""
    wrong = [
        (rule.code, op, replacement.before)
        for rule in OF_OPS
        for op in {name for match in rule.matches if match.subject == "op" for name in match.names}
        for replacement in rule.replacements
        if replacement.kind == "rewrite"
        and any(fnmatchcase(op, pattern) for pattern in replacement.op or (op,))
        and function_of(op) not in functions_of(replacement.op or (op,))
        and "*" not in functions_of(replacement.op)
    ]
    assert wrong == []
    several = [rule.code for rule in OF_OPS if _several(rule) and any(map(_is_loose, rule.replacements))]
    assert several == []


def _several(rule: Rule) -> bool:
    return len(functions_of(name for match in rule.matches for name in match.names)) > 1


def _is_loose(replacement: Replacement) -> bool:
    return replacement.kind == "rewrite" and not replacement.op


SOURCE = """
import torch
from torch import nn


class Least(nn.Module):
    def forward(self, image):
        return image.argmin() + 0.0


class Every(nn.Module):
    def forward(self, x):
        return torch.where(torch.all(x, 1), 1.0, 0.0)


class Either(nn.Module):
    def forward(self, level):
        return torch.where((level > 0) | (level < -3), level, level * 0.1)


class Area(nn.Module):
    def forward(self, x):
        return torch.acosh(x * x + 2)


class Inverse(nn.Module):
    def forward(self, x):
        return torch.linalg.inv(x)


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(8, 8, 2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.memory(x)[0]


class Slope(nn.Module):
    def forward(self, x):
        return torch.diff(x, dim=1, prepend=x[:, :1])


class Middle(nn.Module):
    def forward(self, x):
        return torch.median(x, 1)[0]


class Masked(nn.Module):
    def forward(self, x, holes):
        y = x * 2.0
        y[holes] = 0.0
        return y
"""
LINES = [
    # model, input, what stands under the finding, what must not
    (
        "Least",
        ["4x6"],
        ["+ return torch.argmin(image.flatten(), 0) + 0.0", "equal bit for bit"],
        [".argmax("],
    ),
    ("Every", ["4x6"], ["+ return torch.where(torch.all(x != 0, 1), 1.0, 0.0)"], ["torch.any"]),
    ("Either", ["4x6"], ["torch.logical_or(level > 0, level < -3)"], ["logical_and", "logical_xor"]),
    ("Area", ["4x6"], ["for example:", "torch.log(y + torch.sqrt(y * y - 1.0))"], ["equal", "torch.sign"]),
    ("Inverse", ["2x8x8"], ["Newton-Schulz"], ["x[..., 1, 1]"]),
    ("Steps", ["1x5x8"], ["TorchScript"], ["lstm", "weight_ih_l0"]),
    ("Slope", ["4x6"], ["torch.cat"], ["x[..., 1:]"]),
    ("Middle", ["4x9"], ["for example:", "torch.topk(x, 3, 1)"], ["equal", "cummax", "torch.prod"]),
    ("Masked", ["4x6", "4x6:bool"], ["masked_fill", "for example:"], ["torch.cat"]),
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "lines.py"
    path.write_text(dedent(SOURCE).lstrip(), encoding="utf-8")
    return path


@pytest.mark.parametrize(("model", "inputs", "there", "absent"), LINES, ids=[line[0] for line in LINES])
def test_a_line_is_told_what_holds_of_it(
    convlint: Convlint, source: Path, model: str, inputs: list[str], there: list[str], absent: list[str]
) -> None:
    arguments = [word for text in inputs for word in ("--input", text)]
    ran = convlint("check", f"{source}:{model}", *arguments, "--no-trial", "-q", "--full", "--no-cache")
    helps = ran.out[ran.out.index("help:") :]
    for words in there:
        assert words in helps
    for words in absent:
        assert words not in helps
