"""The plugin in real pytest runs: in process, in a subprocess, with and without xdist."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import coremltools  # noqa: F401 - pytester forgets what an inner run imported, and these import once only
import pytest
import torch
from conftest import ROOT
from small_project import CONFIG, CONFIG_OF_BAD, write_project

pytest_plugins = ("pytester",)

INSTALLED = any(point.name == "convlint" for point in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "convlint.pytest_plugin")
STRICT = ("-W", "error", "--strict-markers", "--strict-config", *PLUGIN)

TESTS = """
import pytest, torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)
    def forward(self, x, mask=None):
        return self.linear(x) if mask is None else self.linear(x) * mask

class Bad(nn.Module):
    def forward(self, x, y):
        return torch.hypot(x, y)

def test_tensors(convlint):
    report = convlint(Net(), torch.rand(1, 4))
    assert report.convertible == "yes"
    assert report.target == "iOS16"

def test_words(convlint):
    report = convlint.assert_convertible(Net(), ["1x4", "mask=1x4"])
    assert [port.name for port in report.graph.inputs][-2:] == ["x", "mask"]

@pytest.mark.convlint(target="iOS18", trial=None)
def test_marker(convlint):
    report = convlint(Net, "1x4")
    assert (report.target, report.trial) == ("iOS18", None)
    assert convlint(Net, "1x4", target="iOS15").target == "iOS15"

def test_fixture_fails(convlint):
    convlint.assert_convertible(Bad(), ("1x4", "1x4"))

def test_function_fails():
    import convlint
    convlint.assert_convertible(Bad(), (torch.rand(1, 4), torch.rand(1, 4)))

def test_of_others_fails():
    assert not "any failure\\nand its second line"

def test_select_leaves_the_verdict(convlint):
    assert convlint(Bad(), ("1x4", "1x4"), select=["ane"]).convertible == "no"

class Highest(nn.Module):
    def forward(self, x):
        return x.argmax()

class Top(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(64, 64, 3, padding=1) for _ in range(4)))
    def forward(self, x):
        return self.layers(x).mean((2, 3)).topk(5).values.cumsum(1)

WANTED = {"chip": "A17Pro", "ane_share": 0.5, "max_ms": 8}

def test_placement(convlint):
    plan = convlint.assert_placement(Top(), "1x64x64x64", **WANTED, outside={"topk", "aten.cumsum"})
    assert (plan.chip, plan.share["ANE"] > 0.5) == ("A17 Pro", True)

def test_placement_fails(convlint):
    convlint.assert_placement(Top(), "1x64x64x64", **WANTED, outside=set())

def test_placement_of_a_refused_model_fails():
    import convlint
    convlint.assert_placement(Bad(), ("1x4", "1x4"), max_ms=8)

@pytest.mark.convlint(parity=True, ignore=["numeric"])
def test_parity_fails(convlint):
    convlint.assert_convertible(Highest(), "2x4")
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return pytester


def test_fixture_marker_and_function(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")  # pytest cuts the summary line at the width of the terminal
    inner.makeini("[pytest]\nconvlint_target = iOS16\n")
    inner.makepyfile(TESTS)
    # In this process, torch would be imported by halves: pytester forgets what the inner run imports.
    monkeypatch.delenv("CI", raising=False)
    result = inner.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=5, failed=6)
    result.stdout.fnmatch_lines(["*The converted program computes something else, first here*"])
    result.stdout.fnmatch_lines(
        ["*error CL104 hypot: aten.hypot.default has no converter", "*return torch.hypot(x, y)"]
    )
    frames = [line for line in result.outlines if "convlint/" in line and ".py:" in line]
    assert frames == [], "the failure is the report, and no frame of ours"
    why = {
        line.split()[1].partition("::")[2]: line.partition(" - ")[2]
        for line in result.outlines
        if line.startswith("FAILED")
    }
    where = "test_fixture_marker_and_function.py"
    hypot = TESTS.splitlines().index("        return torch.hypot(x, y)") + 1
    assert why["test_fixture_fails"] == f"Failed: does not convert: CL104 {where}:{hypot - 1}"
    assert why["test_function_fails"] == f"AssertionError: does not convert: CL104 {where}:{hypot - 1}"
    assert why["test_placement_fails"].startswith("Failed: placement: not on it: ")
    assert why["test_placement_fails"].endswith("(+1)")
    assert why["test_placement_of_a_refused_model_fails"].startswith(
        "AssertionError: does not convert: CL104"
    )
    assert "DEBUG" not in result.stdout.str(), "torch's own log for tlparse is not the test's"


def test_the_summary_on_ci_is_the_reasons_too(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With CI set, pytest cuts no text in its summary: the report would stand in the log twice."""
    monkeypatch.setenv("CI", "true")
    inner.makepyfile(TESTS)
    result = inner.runpytest_subprocess("-k", "fixture_fails or function_fails or others", *STRICT)
    result.assert_outcomes(failed=3)
    _, _, summary = result.stdout.str().partition("short test summary info")
    assert "seen   1 op" not in summary
    assert summary.count("does not convert: CL104") == 2
    assert "and its second line" in summary, "a failure that is not ours is left as it is"


HIGHEST = """
from torch import nn

class Good(nn.Module):
    def forward(self, x):
        return (x.abs() * 1e-12).rsqrt()  # an epsilon inside: only running it shows
"""
MODELS = CONFIG + CONFIG_OF_BAD + '\n[[models]]\nname = "lost"\nspec = "nets/lost.py:Lost"\ninputs = ["1"]\n'
NO_TORCH = """
import sys
def pytest_unconfigure():
    print("torch is", "loaded" if "torch" in sys.modules else "not loaded")
"""


def test_one_test_for_each_configured_model(inner: pytest.Pytester) -> None:
    write_project(inner.path / "sub", MODELS)
    (inner.path / "sub" / "convlint.toml").rename(inner.path / "convlint.toml")
    (inner.path / "sub" / "nets").rename(inner.path / "nets")
    inner.makeconftest(NO_TORCH)
    inner.makepyfile("def test_other(): pass")
    first = inner.runpytest_subprocess("--convlint", "-v", *STRICT)
    first.assert_outcomes(passed=2, failed=2)
    first.stdout.fnmatch_lines(
        [
            "*convlint::good PASSED*",
            "*convlint::bad FAILED*",
            "*convlint::lost FAILED*",
            "does not convert: CL104 nets/bad.py:7",
            "*error CL104 hypot*",
            "does not convert: CL104 nets/bad.py:7",
            "*convlint: error: there is no file nets/lost.py*",
            "torch is loaded",
        ]
    )
    assert "Traceback" not in first.stdout.str()
    assert not [line for line in first.outlines if "pytest_plugin.py" in line]
    warm = inner.runpytest_subprocess("--convlint", "-k", "good or bad", *STRICT)
    warm.assert_outcomes(passed=1, failed=1, deselected=2)
    warm.stdout.fnmatch_lines(["torch is not loaded"])
    spread = inner.runpytest_subprocess("--convlint", "-n", "2", *STRICT)
    spread.assert_outcomes(passed=2, failed=2)
    marked = inner.runpytest_subprocess("--convlint", "-m", "convlint", "--collect-only", "-q", *STRICT)
    marked.stdout.fnmatch_lines(["convlint::good", "convlint::bad", "convlint::lost"])
    inner.makeini("[pytest]\nconvlint_models = good\n")
    (inner.path / "nets" / "good.py").write_text(HIGHEST)
    chosen = inner.runpytest_subprocess("--convlint", *STRICT)
    chosen.assert_outcomes(passed=2)
    run = inner.runpytest_subprocess("--convlint", "--convlint-parity", *STRICT)
    run.assert_outcomes(passed=1, failed=1)
    run.stdout.fnmatch_lines(["*parity differs*"])


def test_without_the_option_nothing_is_added(inner: pytest.Pytester) -> None:
    (inner.path / "convlint.toml").write_text(CONFIG)
    inner.makeconftest(NO_TORCH)
    inner.makepyfile("def test_other(): pass")
    result = inner.runpytest_subprocess(*STRICT)
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["torch is not loaded"])


@pytest.mark.parametrize(
    ("config", "ini", "says"),
    [
        ("", "", "*no model is configured*convlint init*"),
        ("trget = 'iOS17'", "", "*convlint.toml: trget: unknown key. Did you mean target?*"),
        (CONFIG, "convlint_models = god", "*no model 'god' is configured. Did you mean good?*"),
        (CONFIG, "convlint_config = other.toml", "*cannot read*other.toml*"),
    ],
)
def test_a_wrong_configuration_is_told(inner: pytest.Pytester, config: str, ini: str, says: str) -> None:
    (inner.path / "convlint.toml").write_text(config)
    inner.makeini(f"[pytest]\n{ini}\n")
    result = inner.runpytest_subprocess("--convlint", *STRICT)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says])


UNITTEST = """
import unittest
import convlint
import torch

class Bad(torch.nn.Module):
    def forward(self, x, y):
        return torch.hypot(x, y)

class Converts(unittest.TestCase):
    def test_bad(self):
        convlint.assert_convertible(Bad(), ["1x4", "1x4"])
"""


def test_unittest_shows_the_report_and_no_frame_of_ours(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(UNITTEST)
    done = subprocess.run(
        [sys.executable, "-m", "unittest"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert "FAIL: test_bad" in done.stderr
    assert "error CL104 hypot" in done.stderr
    assert "convlint/testing.py" not in done.stderr
    assert "convlint/check.py" not in done.stderr


def test_parity_runs_what_was_converted() -> None:
    import convlint
    from convlint.errors import UsageError

    report = convlint.assert_convertible(torch.nn.Linear(4, 2), (torch.rand(1, 4),), parity=True)
    assert report.parity is not None
    assert report.parity.status == "equal"
    with pytest.raises(UsageError, match="'float32' or 'float16'"):
        convlint.assert_convertible(None, parity="float8")
