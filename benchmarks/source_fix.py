"""How often ``convlint fix --write`` fixes the source, and not the graph alone.

    python -m benchmarks.source_fix [--draw N] [--seed S] [--only NAME] [--json PATH]

Each case is a module written as source with one call that coremltools refuses, in the spellings people use.
``--draw`` adds calls with the arguments of PyTorch's own samples (OpInfo), of functions that convlint has a
rewrite for. ``source fixed`` is said where ``convlint check`` takes the written files; ``equal`` where the
edited module gave the original's values in a fresh process, which is asked before anything is written.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HEAD = """\
import torch
from torch import nn
import torch.nn.functional as F
from torch import cummax


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))

    def forward(self, {arguments}):
        {first} = {first} * self.scale[0]
{body}
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A module with one call: the lines of its ``forward``, and the shapes of its inputs."""

    name: str
    body: str
    shapes: tuple[str, ...] = ("1x3x8x8",)


CASES = (
    Case("median, two results", "best, place = torch.median(x, dim=1)\nreturn best, place"),
    Case("median, a method", "return x.median(dim=2)[0]"),
    Case(
        "kthvalue over several lines", "return torch.kthvalue(\n    x,  # remark\n    k=2,\n    dim=1,\n)[0]"
    ),
    Case("cummax, imported by name", "return cummax(x, dim=-1)[0]"),
    Case("cumprod, a method", "return x.cumprod(1)"),
    Case("logcumsumexp", "return torch.logcumsumexp(x, dim=2)"),
    Case("diff", "return torch.diff(x, dim=-1)"),
    Case("diff, twice", "return torch.diff(input=x, n=2, dim=1)"),
    Case("hypot, keywords", "return torch.hypot(x, other=y)", ("1x3x8x8", "1x3x8x8")),
    Case("logaddexp", "return torch.logaddexp(x, y)", ("1x3x8x8", "1x3x8x8")),
    Case("and, an operator", "mask = (x > 0) & (x < 1)\nreturn torch.where(mask, x, x * 2)"),
    Case("xor, an operator", "return ((x > 0) ^ (y > 0)).float()", ("1x3x8x8", "1x3x8x8")),
    Case("bicubic resize, F", 'return F.interpolate(x, scale_factor=2, mode="bicubic")'),
    Case("lerp, a method", "return x.lerp(y, 0.3)", ("1x3x8x8", "1x3x8x8")),
    Case("addcmul", "return torch.addcmul(x, y, x, value=0.5)", ("1x3x8x8", "1x3x8x8")),
    Case("cdist", "return torch.cdist(x, y)", ("1x5x4", "1x6x4")),
    Case("norm, a method", "return x.norm(p=3, dim=1)"),
    Case("two calls on a line", "return torch.hypot(x, torch.diff(y, dim=1))", ("1x3x8", "1x4x8")),
    Case("a call inside of another", "return torch.median(x.cumprod(1), dim=1).values"),
    Case("sinc", "return torch.sinc(x)"),
    Case("heaviside", "return torch.heaviside(x, y)", ("1x3x8x8", "1x3x8x8")),
    Case("trace", "return torch.trace(x)", ("5x5",)),
    Case("unfold, F", "return F.unfold(x, kernel_size=2)"),
    Case("take_along_dim", "return torch.take_along_dim(x, x.argsort(1), dim=1)"),
    Case("nansum", "return torch.nansum(x, dim=1)"),
    Case("rot90", "return torch.rot90(x, 1, [2, 3])"),
    Case("bucketize", "return torch.bucketize(x, torch.linspace(-1, 1, 5)).float()"),
    Case("xlogy", "return torch.xlogy(x, y.abs() + 1)", ("1x3x8x8", "1x3x8x8")),
    Case("expm1", "return self.scale * torch.expm1(x)", ("2x4",)),
    Case("in place, on itself", "x = x.abs() + 1\nx = x.xlogy_(y)\nreturn x", ("1x3x8x8", "1x3x8x8")),
)


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a case. ``why`` says what is left where the source is not fixed."""

    name: str
    converts_before: bool
    graph_fixed: bool
    source_fixed: bool
    equal: bool
    form: str
    seconds: float
    why: str = ""


def run(case: Case) -> Row:
    """One case through the command line, in a folder of its own."""
    start = time.perf_counter()
    arguments = ["x", "y", "z"][: len(case.shapes)]
    body = "\n".join(f"        {line}" for line in case.body.splitlines())
    text = HEAD.format(arguments=", ".join(arguments), first="x", body=body)
    with tempfile.TemporaryDirectory(prefix="source-fix-") as folder:
        file = Path(folder, "net.py")
        file.write_text(text, encoding="utf-8")
        inputs = [word for shape in case.shapes for word in ("--input", shape)]
        command = [
            sys.executable,
            "-m",
            "convlint",
            "fix",
            "net.py:Net",
            *inputs,
            "--write",
            "--format",
            "json",
        ]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - start
        try:
            report = json.loads(done.stdout)
            checked = report["checked_after_writing"]
        except (ValueError, KeyError):
            said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
            return Row(case.name, False, False, False, False, "", seconds, f"fix ended: {said[:200]}")
        edited = file.read_text(encoding="utf-8") != text
        form = "helper" if Path(folder, "coreml_ops.py").exists() else "expression" if edited else ""
    reasons = "; ".join(str(one["reason"]) for one in report["left_to_you"])
    source_fixed = checked is not None and checked["exit_code"] == 0
    return Row(
        case.name,
        report["converted_before"],
        report["ships"],
        source_fixed,
        edited and "other values" not in reasons,
        form if edited else "context" if report["to_paste"] else "",
        seconds,
        "" if source_fixed else (reasons or (checked or {}).get("headline", "")),
    )


def drawn(count: int, seed: int) -> Iterator[Case]:
    """Cases with the arguments of PyTorch's own samples, of functions that convlint has a rewrite for."""
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    from convlint.rewrites.table import all_rewrites

    names = {op.split(".")[1] for rewrite in all_rewrites() for op in rewrite.ops}
    infos = [info for info in op_db if info.name in names and torch.float32 in info.dtypes]
    random.Random(seed).shuffle(infos)
    for info in infos:
        if count <= 0:
            return
        samples = list(info.sample_inputs("cpu", torch.float32))
        random.Random(seed).shuffle(samples)
        case = next((one for sample in samples if (one := _written(info.name, sample)) is not None), None)
        if case is not None:
            count -= 1
            yield case


def _written(name: str, sample: Any) -> Case | None:
    """A sample as source; None where an argument is not a plain value or a tensor of floats."""
    import torch

    tensors = [sample.input, *(each for each in sample.args if isinstance(each, torch.Tensor))]
    if len(tensors) > 3 or any(
        not isinstance(each, torch.Tensor)
        or each.dtype != torch.float32
        or not each.numel()
        or not each.dim()
        for each in tensors
    ):
        return None
    words = iter(["y", "z"])
    texts = [next(words) if isinstance(each, torch.Tensor) else repr(each) for each in sample.args]
    texts += [f"{key}={value!r}" for key, value in sample.kwargs.items()]
    if any("tensor(" in text or "<" in text for text in texts):
        return None
    call = (
        f"torch.{name}("
        if hasattr(torch, name)
        else f"F.{name}("
        if hasattr(torch.nn.functional, name)
        else ""
    )
    call = f"return {call}{', '.join(['x', *texts])})" if call else f"return x.{name}({', '.join(texts)})"
    return Case(f"OpInfo {name}", call, tuple("x".join(map(str, each.shape)) for each in tensors))


def table(rows: Sequence[Row]) -> str:
    """The rows as a table, and the shares below it."""
    lines = [
        "| case | converts before | graph fixed | source fixed | equal | form | what is left |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        marks = (row.converts_before, row.graph_fixed, row.source_fixed, row.equal)
        words = " | ".join("yes" if mark else "no" for mark in marks)
        lines.append(f"| {row.name} | {words} | {row.form} | {row.why[:100]} |")
    refused = [row for row in rows if not row.converts_before]
    graph = [row for row in refused if row.graph_fixed]
    source = [row for row in refused if row.source_fixed]
    lines.append(
        f"\n{len(refused)} refused before, the graph fixed for {len(graph)}, the source for {len(source)}."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.source_fix", description=__doc__)
    parser.add_argument("--draw", type=int, default=0, metavar="N", help="add N cases drawn from OpInfo")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: %(default)s)")
    parser.add_argument("--only", default="", help="only the cases whose name holds this")
    parser.add_argument("--json", metavar="PATH", help="write the rows here too")
    options = parser.parse_args()
    rows: list[Row] = []
    for case in (*CASES, *drawn(options.draw, options.seed)):
        if options.only in case.name:
            rows.append(run(case))
            print(f"{rows[-1]}", file=sys.stderr, flush=True)
    print(table(rows))
    if options.json:
        Path(options.json).write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
