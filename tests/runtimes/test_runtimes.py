"""Other runtimes side by side: the installed ones are really tried, the others reported as missing."""

from __future__ import annotations

import json
import os
import time
from io import StringIO
from pathlib import Path

import pytest
import torch
from torch import nn

from convlint.capture.methods import Source
from convlint.cli.compare import CompareRequest, compare, compare_request
from convlint.cli.program import build_parser
from convlint.errors import ModelError, UsageError
from convlint.model.runtimes import Comparison, RuntimeResult, Tried
from convlint.output.runtimes import comparison_text
from convlint.runtimes.compare import compare_runtimes
from convlint.runtimes.subject import RuntimeSubject, ops_in
from convlint.runtimes.table import NAMES, RUNTIMES, Runtime

APPLE_ONLY = {"executorch-coreml", "coreai"}
"""What these write cannot be run here."""


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.conv(x)).mean((2, 3)))


class Odd(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x) + 1


def _compared(
    model: type[nn.Module], *names: str, runtimes: tuple[Runtime, ...] = RUNTIMES
) -> dict[str, RuntimeResult]:
    source = Source(model, None, lambda: ((torch.randn(1, 3, 8, 8),), {}))
    chosen = [runtime for runtime in runtimes if not names or runtime.name in names]
    return {
        result.runtime: result for result in compare_runtimes("net", source, "iOS17", chosen, 100).results
    }


@pytest.fixture(scope="module")
def plain() -> dict[str, RuntimeResult]:
    return _compared(Net)


@pytest.fixture(scope="module")
def odd() -> dict[str, RuntimeResult]:
    return _compared(Odd)


def test_every_runtime_has_a_row(plain: dict[str, RuntimeResult]) -> None:
    assert tuple(plain) == NAMES
    assert {"coreml-export", "coreml-torchscript", "mobile", "onnx"} <= {
        name for name, result in plain.items() if result.status == "accepts"
    }


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_an_ordinary_model_goes_through_what_is_installed(
    runtime: Runtime, plain: dict[str, RuntimeResult]
) -> None:
    result = plain[runtime.name]
    if not runtime.installed:
        assert result.status == "not installed"
        assert result.tried == Tried()
        return
    assert result.status.startswith("accepts"), (result.tried.error, result.detail)
    assert result.release[0].isdigit()
    assert result.tried.bytes > 500
    if runtime.name in APPLE_ONLY:
        assert result.tried.max_rel_error is None
        assert result.tried.not_run
    else:
        assert result.tried.max_rel_error is not None
        assert result.tried.max_rel_error < 1e-4


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mobile"])
def test_a_runtime_that_refuses_names_the_op_and_its_line(name: str, odd: dict[str, RuntimeResult]) -> None:
    result = odd[name]
    if result.status == "not installed":
        return
    assert result.status == "refuses", result
    (blocker,) = result.tried.blockers
    assert "bessel_j0" in blocker.op
    assert blocker.site is not None
    assert blocker.site.source == "return torch.special.bessel_j0(x) + 1"


def test_a_runtime_with_eager_kernels_takes_what_the_others_refuse(odd: dict[str, RuntimeResult]) -> None:
    assert odd["mobile"].status == "accepts"
    assert odd["mobile"].tried.max_rel_error == 0


def hang(subject: RuntimeSubject) -> Tried:
    time.sleep(60)
    return Tried()


def die(subject: RuntimeSubject) -> Tried:
    os.abort()


def fail(subject: RuntimeSubject) -> Tried:
    raise KeyError("nothing that anybody foresaw")


def test_a_runtime_that_hangs_or_dies_takes_no_other_with_it() -> None:
    runtimes = tuple(
        Runtime(name, name, ("torch",), "torch", "torch", f"{__name__}:{name}")
        for name in ("hang", "die", "fail")
    )
    missing = Runtime("missing", "Missing", ("no_such_package",), "no-such-package", "no-such-package", "a:b")
    source = Source(Net, None, lambda: ((torch.randn(1, 3, 8, 8),), {}))
    comparison = compare_runtimes("net", source, "iOS17", (*runtimes, missing), 1.0)
    assert [result.status for result in comparison.results] == [
        "timed out",
        "crashed",
        "refuses",
        "not installed",
    ]
    assert "ended after 1 s" in comparison.results[0].detail
    assert "SIGABRT" in comparison.results[1].detail
    assert "KeyError" in comparison.results[2].tried.error
    assert not comparison.accepted
    text = comparison_text(comparison)
    assert "Missing: pip install no-such-package" in text
    assert "fail: KeyError" in text


def test_a_model_that_does_not_run_is_no_fault_of_a_runtime() -> None:
    source = Source(Net, None, lambda: ((torch.randn(1, 5, 8, 8),), {}))
    with pytest.raises(ModelError, match="The model does not run in PyTorch"):
        compare_runtimes("net", source, "iOS17", RUNTIMES, 10)


def test_names_of_ops_are_found_in_what_runtimes_say() -> None:
    assert ops_in("Lowering not found: aten._linalg_det.default") == ["aten._linalg_det.default"]
    assert ops_in("unsupported ATen ops: aten._fft_r2c.default, aten.x.default. Use") == [
        "aten._fft_r2c.default",
        "aten.x.default",
    ]
    assert ops_in("No ONNX function found for <OpOverload(op='aten.digamma', overload='default')>") == [
        "aten.digamma.default"
    ]


def _request(*words: str) -> CompareRequest:
    return compare_request(build_parser().parse_args(["compare", *words]))


def test_the_command(project: Path) -> None:
    (project / "net.py").write_text("import torch\nNet = torch.nn.ReLU\n")
    out = StringIO()
    words = ("net.py:Net", "--input", "1x4", "--runtime", "mobile", "--runtime", "litert")
    assert compare(_request(*words), out) == 0
    lines = out.getvalue().splitlines()
    assert lines[0] == "net.py:Net  for iOS17"
    assert lines[3].split()[:4] == ["TorchScript", "for", "PyTorch", "Mobile"]
    out = StringIO()
    compare(_request(*words, "--format", "json"), out)
    document = json.loads(out.getvalue())
    assert [runtime["door"] for runtime in document["doors"]] == ["mobile", "litert"]
    assert document["doors"][0]["tried"]["max_rel_error"] == 0


def test_bad_use_of_the_command(project: Path) -> None:
    (project / "convlint.toml").write_text('[[models]]\nspec = "a.py:A"\n[[models]]\nspec = "b.py:B"\n')
    with pytest.raises(UsageError, match="compare looks at one model, and 2 are configured"):
        compare(_request(), StringIO())
    (project / "a.py").write_text("import torch\nA = torch.nn.ReLU\n")
    with pytest.raises(UsageError, match=r"no input is given for a\.py:A"):
        compare(_request("--model", "a.py:A"), StringIO())


def test_nothing_accepted_is_told_by_the_exit_code() -> None:
    assert not Comparison("net", "iOS17", (RuntimeResult("a", "A", "refuses", "a"),)).accepted
    assert Comparison("net", "iOS17", (RuntimeResult("a", "A", "accepts in part", "a"),)).accepted
