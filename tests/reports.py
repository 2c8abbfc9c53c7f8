"""Hand-made reports for the tests of the outputs: no model and no conversion, every field used."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convlint.model import (
    CaptureFailure,
    Disagreement,
    Finding,
    Graph,
    OpCall,
    Port,
    Replacement,
    Report,
    Rule,
    Site,
    TensorArg,
    TensorMeta,
    Trial,
    TrialFailure,
)
from convlint.model.parity import Divergence, Errors, Parity

X = TensorMeta((1, 4, 8, 8), "float32")


def rule(code: str, name: str, severity: Any = "error", **fields: Any) -> Rule:
    defaults: dict[str, Any] = {
        "category": "support",
        "message": "coremltools has no translation for {op}",
        "why": "No converter is registered under this name.",
        "confidence": "measured",
        "sources": ("https://example.org/issue/1",),
        "applies": {"coremltools": ">=8,<10"},
        "matches": (),
        "path": f"rules/support/{code}-{name}.toml",
        "title": f"{name} has no converter",
    }
    return Rule(code=code, name=name, severity=severity, **(defaults | fields))


def call(op: str, site: Site | None, module: str = "", number: int = 0, **fields: Any) -> OpCall:
    argument = TensorArg(f"x_{number}", X, "computed", False)
    defaults: dict[str, Any] = {
        "args": {"self": argument, "dims": (1, -1), "p": float("inf"), "dtype": None},
        "given": ("self",),
        "positional": 1,
        "inputs": (X,),
        "outputs": (X,),
        "used_outputs": (0,),
        "users": ("y",),
        "const": False,
        "module_type": "models.Attention",
    }
    name = f"{op.split('.')[1]}_{number}"
    return OpCall(op=op, name=name, site=site, module=module, **(defaults | fields))


HYPOT_SITE = Site("models/unet.py", 41, "return torch.hypot(x, y)", "forward")
DIFF_SITE = Site("models/unet.py", 52, "d = torch.diff(x[dim], dim=-1)  # [bold]not markup[/bold]", "edges")
LIBRARY_SITE = Site("/usr/lib/site-packages/timm/layers/pool.py", 7, "return x.median(dim=[2])", "forward")
NARROW_SITE = Site("models/unet.py", 80, "x.narrow(-1, 0, 2)", "forward")
CALLER_SITE = Site("models/unet.py", 60, "x = self.pool(x)", "forward")

HYPOT_CALLS = tuple(call("aten.hypot.default", HYPOT_SITE, f"encoder.layers.{i}.attn", i) for i in range(12))

FINDINGS = (
    Finding(
        rule=rule("CL201", "softmax-axis", "warning", category="ane", confidence="documented"),
        severity="warning",
        message="softmax over axis 1 keeps the Neural Engine waiting",
        op="aten.softmax.int",
        site=Site("models/unet.py", 70, "return x.softmax(1)", "forward"),
        calls=(call("aten.softmax.int", None, "head"),),
        replacements=(Replacement("move the axis to the end", "advice"),),
        trial="converted",
    ),
    Finding(
        rule=rule("CL104", "hypot"),
        severity="error",
        message="coremltools has no translation for aten.hypot.default",
        op="aten.hypot.default",
        site=HYPOT_SITE,
        calls=HYPOT_CALLS,
        replacements=(
            Replacement(
                "spell hypot out as a square root",
                "rewrite",
                "unsafe",
                "return torch.hypot(x, y)",
                "return torch.sqrt(x * x + y * y)",
                1e-5,
                "same outputs on random inputs, and coremltools 9.0 converts it",
            ),
        ),
        trial="failed",
    ),
    Finding(
        rule=rule("CL105", "diff"),
        severity="error",
        message="coremltools has no translation for aten.diff.default",
        op="aten.diff.default",
        site=DIFF_SITE,
        calls=(call("aten.diff.default", DIFF_SITE, "", 0),),
        replacements=(
            Replacement("run_decompositions turns diff into sub and slice", "decomposition", proof="done"),
        ),
        trial="failed",
    ),
    Finding(
        rule=rule("CL105", "diff"),
        severity="error",
        message="coremltools has no translation for aten.diff.default",
        op="aten.diff.default",
        site=LIBRARY_SITE,
        caller=CALLER_SITE,
        calls=(
            call("aten.diff.default", LIBRARY_SITE, "pool.3"),
            call("aten.diff.default", LIBRARY_SITE, "pool.7"),
        ),
        replacements=(
            Replacement("run_decompositions turns diff into sub and slice", "decomposition", proof="done"),
        ),
        trial="failed",
    ),
)

TRIAL = Trial(
    status="failed",
    failures=(
        TrialFailure(
            "aten.hypot.default",
            "PyTorch convert function for op 'hypot' not implemented.",
            "NotImplementedError",
            HYPOT_SITE,
            None,
            "encoder.layers.0.attn",
            "hypot",
        ),
        TrialFailure(
            "aten.narrow.default",
            "Dimension out of range\nsecond line",
            "IndexError",
            NARROW_SITE,
            node="narrow",
        ),
        TrialFailure("aten.add.Tensor", "shapes do not broadcast", "ValueError", HYPOT_SITE, follows="hypot"),
    ),
    seconds=0.34,
    coremltools="9.0",
    mil_ops={"add": 3},
)

REPORT = Report(
    model="models/unet.py:UNet",
    target="iOS17",
    frontend="export",
    convertible="no",
    findings=FINDINGS,
    trial=TRIAL,
    trials=(TRIAL,),
    graph=Graph(
        HYPOT_CALLS, (Port("x", "input", X),), (Port("out", "output", X),), parameter_count=25_600_000
    ),
    capture_method="fake",
    capture_failures=(
        CaptureFailure(
            "torch.export on meta tensors",
            "data-dependent",
            "GuardOnDataDependentSymNode",
            "Could not guard on\nu0 > 0",
            Site("models/unet.py", 33, "if x.sum() > 0:", "forward"),
        ),
    ),
    disagreements=(Disagreement("aten.narrow.default", "converts", "fails", NARROW_SITE),),
    notes=("numpy 2.4 breaks coremltools 9.0",),
    seconds={"capture": 0.41, "rules": 0.02, "trial": 0.34, "total": 0.8},
    versions={"torch": "2.14.1", "coremltools": "9.0"},
    exit_code=1,
)

CLEAN_TRIAL = replace(TRIAL, status="converted", failures=())
CLEAN = replace(
    REPORT,
    convertible="yes",
    findings=(),
    trial=CLEAN_TRIAL,
    trials=(CLEAN_TRIAL,),
    capture_failures=(),
    disagreements=(),
    notes=(),
    exit_code=0,
)

DIFFERS = replace(
    CLEAN,
    model="apart",
    findings=(),
    exit_code=1,
    parity=Parity(
        "differs",
        "iOS17",
        "float32",
        "export",
        3,
        1e-3,
        Errors(0.5, 0.25, 12.0, 14.0),
        Divergence("add", "add_0", "aten.add.Tensor", "", HYPOT_SITE, None, Errors(0.5, 0.25)),
    ),
)
"""It converts, and computes something else."""
