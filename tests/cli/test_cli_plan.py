"""``convlint plan`` as a user runs it: real models, the real command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from conftest import Convlint

from convlint.cli.program import main

NET = """\
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        sizes = [3, *[width] * 12]
        self.body = nn.Sequential(*[nn.Conv2d(a, width, 3, padding=1) for a in sizes[:-1]])
        self.tail = nn.Sequential(*[nn.Conv2d(width, width, 3, padding=1) for _ in range(12)])
        self.wide = nn.Conv2d(width, width, 17, padding=8)

    def forward(self, x):
        x = torch.relu(self.body(x))
        x = self.wide(x)  # too wide for the engine
        return self.tail(x)

class Refused(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module('<img src=x onerror="a()">|\\x1b[31m', nn.Linear(8, 8))

    def forward(self, x):
        (layer,) = self.children()
        return torch.hypot(layer(x), x)

class Branch(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x

class Hopeless(Refused):
    def forward(self, x):
        (layer,) = self.children()
        return torch.linalg.eigvalsh(layer(x).mT @ x)
"""


@pytest.fixture
def net(project: Path) -> Path:
    (project / "nets.py").write_text(NET)
    return project


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["plan", *arguments, "--quiet"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


INPUT = ("--input", "1x3x56x56")


def test_one_plan_in_three_formats(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    device = ("--chip", "m4", "--os", "macOS15", "--compute-units", "cpu+ane")
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device, "--format", "json")
    assert code == 0
    plan = json.loads(text)
    assert (plan["chip"], plan["os"], plan["level"]) == ("M4", "macOS15", "mil")
    (blocker,) = plan["blockers"]
    assert blocker["rule"] == "CL202"
    assert (
        blocker["site"]["line"]
        == NET.splitlines().index("        x = self.wide(x)  # too wide for the engine") + 1
    )
    assert blocker["modules"] == ["wide"]
    assert blocker["islands"] == [2, 1]
    assert 0 < blocker["win_ms"]["low"] < blocker["win_ms"]["mid"] < blocker["win_ms"]["high"]
    assert blocker["replacements"]
    kinds = [op["kind"] for op in plan["ops"]]
    assert kinds.count("conv") == 25
    assert all(op["op"] and op["module"] for op in plan["ops"] if op["kind"] == "conv")
    assert plan["flops"] == sum(op["flops"] for op in plan["ops"])
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device)
    assert code == 0
    assert "CL202 aten.conv2d.default: a kernel 17 high and 17 wide" in text
    assert "nets.py:14" in text
    assert re.search(r"time +█+.* ANE \d+%, CPU \d+%", text)
    assert re.search(
        r"About [\d.]+ ms \([\d.]+ to [\d.]+\), \d+% of the time on the Neural Engine, in 2 islands", text
    )
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device, "--format", "markdown")
    assert text.startswith("## nets.py:Net on M4, macOS15")
    assert "| CL202 aten.conv2d.default | nets.py:14 |" in text


def test_without_a_trial_pytorchs_ops_are_planned(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, "--no-trial", "--format", "json")
    assert code == 0
    plan = json.loads(text)
    assert plan["level"] == "aten"
    assert any("no conversion was asked for" in note for note in plan["notes"])
    assert [blocker["rule"] for blocker in plan["blockers"]] == ["CL202"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chip", "A17"), "unknown chip 'A17'. Did you mean A17 Pro?"),
        (("--os", "iOS19"), "unknown target 'iOS19'. Did you mean iOS1"),
        (("--chip", "A11", "--os", "iOS18"), "A11 never ran iOS18: it runs iOS11 to iOS16."),
        (("--compute-units", "cpu+npu"), "unknown compute units 'cpu+npu'. Did you mean cpu+"),
        (("--precision", "float8"), "invalid choice: 'float8' (choose from 'float32', 'float16')"),
        (("--measure",), "--measure asks Core ML itself, which exists on macOS alone."),
        ((), "no input is given for nets.py:Net."),
    ],
)
def test_bad_use_is_one_paragraph(
    net: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(capsys, "nets.py:Net", *arguments)
    assert code == 2
    assert not out
    assert err.startswith("convlint: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("size", "declared"), [("1x3x[32..64]x56", "shape is a range"), ("1x3x{32,56}x56", "enumerated shapes")]
)
def test_declared_sizes_are_a_what_if(
    net: Path, capsys: pytest.CaptureFixture[str], size: str, declared: str
) -> None:
    arguments = ("--input", size, "--no-trial", "--chip", "M4", "--format", "json")
    code, text, _ = run(capsys, "nets.py:Net", *arguments)
    assert code == 0
    first = json.loads(text)["what_if"][0]
    assert first["assumption"].startswith("as declared, ")
    assert declared in first["assumption"]
    assert (first["share"]["by_time"]["ANE"] == 0) is ("range" in declared)


def test_a_model_that_cannot_be_exported_is_planned_from_one_run(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(capsys, "nets.py:Branch", "--input", "1x4", "--format", "json")
    assert code == 0
    plan = json.loads(text)
    assert plan["level"] == "mil", "the trace converts, for the branch of the example"


def test_a_model_that_coremltools_refuses_is_planned_on_its_own_ops(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And its module has a name that would do harm anywhere but in a text."""
    texts = {}
    for format_ in ("json", "terminal", "markdown"):
        code, texts[format_], _ = run(capsys, "nets.py:Hopeless", "--input", "1x8", "--format", format_)
        assert code == 0
    plan = json.loads(texts["json"])
    assert plan["level"] == "aten"
    assert any("before coremltools fuses them: " in note for note in plan["notes"])
    assert {op["module"] for op in plan["ops"]} == {'<img src=x onerror="a()">|\x1b[31m', ""}
    assert not any("\x1b" in texts[name] for name in ("terminal", "markdown"))
    assert re.search(r"(?<!\\)<img", texts["markdown"]) is None


def test_a_model_that_is_refused_is_planned_as_it_would_be_fixed(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(capsys, "nets.py:Refused", "--input", "1x8", "--format", "json")
    assert code == 0
    plan = json.loads(text)
    assert plan["level"] == "mil"
    assert any("planned after 1 change at 1 line" in note for note in plan["notes"])


def test_a_model_that_is_not_there(net: Path, convlint: Convlint) -> None:
    ran = convlint("plan", "nets.py:Nothing", *INPUT)
    assert ran.code == 3
    assert ran.err.startswith("convlint: error: ")
    assert "Nothing" in ran.err


def test_several_chips_in_one_call_with_a_limit(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chips = ("nets.py:Net", *INPUT, "--chip", "A14,M4Pro")
    code, text, _ = run(capsys, *chips, "--format", "json", "--max-ms", "1000")
    found = json.loads(text)
    assert code == 0
    assert [plan["chip"] for plan in found["plans"]] == ["A14", "M4 Pro"]
    assert (found["max_ms"], found["above_max_ms"]) == (1000, [])
    slowest = max(found["plans"], key=lambda plan: plan["latency_ms"]["mid"])
    fastest = min(plan["latency_ms"]["mid"] for plan in found["plans"])
    limit = str((fastest + slowest["latency_ms"]["mid"]) / 2)
    code, text, _ = run(capsys, *chips, "--max-ms", limit)
    assert code == 1
    rows = {row.split()[0]: row for row in text.splitlines() if "iOS" in row or "macOS" in row}
    assert " no" in rows[slowest["chip"].split()[0]]
    assert sum(" yes" in row for row in rows.values()) == 1
    code, text, _ = run(capsys, *chips, "--format", "markdown")
    assert (code, text.count("| A14 |"), text.count("| M4 Pro |")) == (0, 1, 1)


def test_one_chip_tells_which_units_to_ask_for(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, "--chip", "M4Pro", "--max-ms", "0.0001")
    assert code == 1
    assert "at most 0.0001 ms: no" in text
    assert "ask for " in text
    assert "Swift: configuration.computeUnits = ." in text
    assert "ct.ComputeUnit." in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-ms", "0"), "--max-ms takes milliseconds above 0"),
        (("--chip", "A15,M44"), "unknown chip 'M44'. Did you mean M4"),
        (("--chip", "A15,M4", "--report", "plan.html"), "a page or a drawing is for one chip"),
    ],
)
def test_what_does_not_fit_is_refused(
    net: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, _, error = run(capsys, "nets.py:Net", *INPUT, *arguments)
    assert code == 2
    assert message in error


def test_a_plan_is_compared_with_what_a_mac_said(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = {"operator": "ios18.conv", "preferred": "ANE", "supported": ["ANE", "CPU"]}
    (net / "dump.json").write_text(json.dumps({"compute_units": "CPU_AND_NE", "operations": [told] * 25}))
    device = ("--chip", "M4", "--compare-with", "dump.json")
    code, _, error = run(capsys, "nets.py:Net", *INPUT, *device)
    assert code == 2
    assert "give --compute-units cpu+ane" in error
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device, "--compute-units", "cpu+ane")
    assert code == 0
    assert "compared  with dump.json: 96% of 25 ops run where the plan says" in text
    assert "a rule of the plan refuses what Core ML offers on the ANE" in text


def test_the_lines_that_left_the_engine_since_are_named(
    net: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    narrow = NET.replace("self.wide = nn.Conv2d(width, width, 17, padding=8)", "self.wide = nn.Identity()")
    device = ("--chip", "M4", "--compute-units", "cpu+ane")
    (net / "before.py").write_text(narrow)
    code, text, _ = run(capsys, "before.py:Net", *INPUT, *device, "--format", "json")
    (net / "main.json").write_text(text)
    assert run(capsys, "before.py:Net", *INPUT, *device, "--diff", "main.json")[0] == code == 0

    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device, "--diff", "main.json")
    assert code == 1
    *_, told, where, source, _, _, sentence = text.splitlines()
    assert re.fullmatch(r"new, and off the Neural Engine: CL202 \S+, on the CPU, \+[\d.]+ ms", told)
    line = NET.splitlines().index("        x = self.wide(x)  # too wide for the engine") + 1
    assert where.split() == ["→", f"nets.py:{line}"]
    assert "x = self.wide(x)  # too wide for the engine" in source
    assert sentence.startswith("1 line left the Neural Engine since main.json: ")
    assert "0 to 2 crossings" in sentence
    code, text, _ = run(capsys, "nets.py:Net", *INPUT, *device, "--diff", "main.json", "--format", "json")
    since = json.loads(text)["since"]
    assert since["left"] == 1
    assert since["lines"][0]["ms"] == pytest.approx(json.loads(text)["blockers"][0]["win_ms"]["mid"])
    for other, says in ((("--chip", "M2"), "chip M4, and this one has M2"), (device[:2], "compute_units")):
        code, _, error = run(capsys, "nets.py:Net", *INPUT, *other, "--diff", "main.json")
        assert (code, says in error) == (2, True), error
    (net / "main.json").write_text("{}")
    code, _, error = run(capsys, "nets.py:Net", *INPUT, *device, "--diff", "main.json")
    assert code == 2
    assert "main.json: no plan in it. `convlint plan --format json` writes one" in error
