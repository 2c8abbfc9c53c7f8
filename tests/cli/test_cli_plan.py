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
        (("--precision", "float8"), "unknown precision 'float8'."),
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


def test_a_plan_says_which_units_to_ask_for(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--input", "1x3x56x56", "--no-trial", "--chip", "M4")
    code, text, _ = run(capsys, "nets.py:Net", *arguments)
    assert code == 0
    assert re.search(r"ask for \S+ on M4", text)
    assert "configuration.computeUnits = ." in text
    assert "compute_units=ct.ComputeUnit." in text
    _, text, _ = run(capsys, "nets.py:Net", *arguments, "--format", "json")
    choices = {each["compute_units"] for each in json.loads(text)["choices"]}
    assert choices == {"all", "cpu+ane", "cpu+gpu", "cpu"}


def test_several_chips_are_planned_from_one_conversion(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("nets.py:Net", "--input", "1x3x56x56", "--no-trial", "--chip", "A15,A17Pro,M4")
    code, text, _ = run(capsys, *arguments)
    assert code == 0
    lines = [line for line in text.splitlines() if line.startswith(("A15", "A17 Pro", "M4"))]
    assert len(lines) == 3
    code, text, _ = run(capsys, *arguments, "--format", "json", "--max-ms", "0.001")
    document = json.loads(text)
    assert code == 1
    assert [plan["chip"] for plan in document["plans"]] == ["A15", "A17 Pro", "M4"]
    assert document["fast_enough"] == []
    code, text, _ = run(capsys, *arguments, "--format", "markdown", "--max-ms", "10000")
    assert code == 0
    assert "Within 10000 ms on 3 of 3 chips." in text


def test_all_chips_and_a_limit(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("nets.py:Net", "--input", "1x3x56x56", "--no-trial", "--chips", "all")
    code, text, _ = run(capsys, *arguments, "--max-ms", "10000")
    assert code == 0
    assert "A19 Pro" in text
    assert re.search(r"Within 10000 ms on (\d+) of \1 chips", text)


def test_a_limit_of_one_chip_is_the_exit_code(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("nets.py:Net", "--input", "1x3x56x56", "--no-trial", "--chip", "M4")
    assert run(capsys, *arguments, "--max-ms", "10000")[0] == 0
    code, text, _ = run(capsys, *arguments, "--max-ms", "0.001")
    assert code == 1
    assert "Slower than 0.001 ms" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--chip", "A15,M4", "--html", "page.html"), "is for one chip"),
        (("--max-ms", "0"), "--max-ms is 0"),
        (("--chip", "A15,A99"), "unknown chip 'A99'"),
    ],
)
def test_what_does_not_go_together(
    net: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    code, out, err = run(capsys, "nets.py:Net", "--input", "1x3x56x56", *arguments)
    assert code == 2
    assert not out
    assert message in err


def test_a_tiny_model_says_why_it_is_off_the_engine(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (net / "tiny.py").write_text("import torch\n\ndef tiny():\n    return torch.nn.ReLU()\n")
    _, text, _ = run(capsys, "tiny.py:tiny", "--input", "1x8", "--no-trial", "--chip", "M4")
    assert "as it is too small to be worth a launch there" in text


def _report(ops: list[dict[str, object]], everything: bool = False) -> str:
    """A report with the keys that the source of anemll-profile writes."""
    placements = [
        {"function": "main", "index": at, "type": f"ios18.{op['kind']}", "cost": 0.1, **op}
        for at, op in enumerate(ops)
    ]
    return json.dumps(
        {
            "tool": "anemll-profile",
            "version": "0.4.1",
            "compute": {"mode": "", "compute_units_all": everything},
            "measured_prediction": {"status": "ok", "average_ms": 0.75},
            "ordered_placements": placements,
        }
    )


def test_what_a_mac_said_is_laid_beside_the_plan(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("nets.py:Net", "--input", "1x3x56x56", "--no-trial", "--chip", "M4")
    _, text, _ = run(capsys, *arguments, "--compute-units", "cpu+ane", "--format", "json")
    ops = json.loads(text)["ops"]
    wide = next(op for op in ops if not {"ANE"} & set(op["allowed"]))
    said = [
        {
            "name": f"{op['name']}_cast_fp16",
            "kind": op["kind"],
            "device": "ANE" if op is wide else op["unit"],
            "ane_supported": True,
        }
        for op in ops
    ]
    (net / "report.json").write_text(_report([*said, {**said[0], "name": "of_nobody"}]))
    code, text, _ = run(capsys, *arguments, "--compare-with", "report.json", "--format", "json")
    assert code == 0
    document = json.loads(text)
    assert document["compute_units"] == "cpu+ane", "the units that the file was written for"
    measured = document["measured"]
    assert measured["unmatched"] == 1
    assert measured["predict_ms"] == {"cpu+ane": 0.75}
    wrong = [op for op in measured["ops"] if op["planned"] != op["preferred"]]
    assert [op["name"] for op in wrong] == [wide["name"]]
    assert wrong[0]["why"] == f"the plan says that the ANE does not take it: {wide['reason']}"
    _, text, _ = run(capsys, *arguments, "--compare-with", "report.json")
    assert "measured  by report.json (anemll-profile)" in text
    assert "0.75 ms a prediction" in text


@pytest.mark.parametrize("content", ["no JSON", "[]", "{}", '{"tool": "anemll-profile"}'])
def test_a_file_of_no_known_tool_is_refused(
    net: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (net / "report.json").write_text(content)
    code, out, err = run(capsys, "nets.py:Net", "--input", "1x3x56x56", "--compare-with", "report.json")
    assert code == 2
    assert not out
    assert err.startswith("convlint: error: --compare-with report.json: ")
