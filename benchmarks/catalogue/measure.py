"""One architecture in a process of its own: each stage keeps what it found, and a limit loses the rest only.

``installed`` runs what ``convlint check``, ``plan``, ``fix`` and parity do; ``next_release`` asks another
release of coremltools alone.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.catalogue.candidate import Candidate
from convlint.checking.check import _Check
from convlint.checking.frontends import Frontends
from convlint.checking.judgement import judge, static_verdict
from convlint.checking.shipping import Shipped
from convlint.errors import ConvlintError
from convlint.model import Report, Trial
from convlint.rules.rulebook import load_rulebook
from convlint.runs.opening import opened
from convlint.settings.jobs import Job

CHIPS = ("A15", "A16", "A17 Pro", "A18 Pro", "M2", "M4")
CHECKING = 0.75
"""Share of the time limit that the check may take; with what is left, numbers are compared."""
LARGEST_WEIGHTS = 1_600_000_000
"""Bytes of weights in float32 beyond which no model is built with data."""
_SHOWN = 8
_LENGTH = 240


def quiet(stage: str) -> None:
    """No progress is shown."""


class Notes:
    """The file of what was found so far, and the time that is left."""

    def __init__(self, path: Path, limit: float) -> None:
        self.path = path
        self.start = time.monotonic()
        self.limit = limit
        self.found: dict[str, Any] = {"stages": {}}

    @property
    def left(self) -> float:
        return self.limit - (time.monotonic() - self.start)

    def keep(self, **found: Any) -> None:
        self.found |= found
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(self.found), encoding="utf-8")
        os.replace(temporary, self.path)

    def stage(self, name: str, work: Callable[[], Any], needs: float = 0.0) -> None:
        """Run a stage where at least ``needs`` seconds are left; what it raises is a remark of it."""
        if self.left < needs:
            self.keep(stages={**self.found["stages"], name: f"no time was left ({self.left:.0f} s)"})
            return
        self.keep(stages={**self.found["stages"], name: "the time was up"})
        start = time.monotonic()
        try:
            work()
        except ConvlintError as error:
            self.keep(stages={**self.found["stages"], name: _line(error)})
        except MemoryError:
            self.keep(stages={**self.found["stages"], name: "the memory did not suffice"})
        except Exception as error:  # models, torch and coremltools raise anything
            text = f"{type(error).__name__}: {_line(error)}"
            self.keep(stages={**self.found["stages"], name: text}, **{f"{name}_crash": text})
        else:
            self.keep(stages={**self.found["stages"], name: round(time.monotonic() - start, 2)})


class Kept(_Check):
    """A check that remembers its capture and the program that would ship."""

    captured: Any = None
    ships: Shipped = Shipped()

    def capture(self) -> Any:
        self.captured = super().capture()
        return self.captured

    def shipped(self, captured: Any, trials: tuple[Trial, ...]) -> Shipped:
        self.ships = super().shipped(captured, trials)
        return self.ships


def job_of(words: Iterable[str]) -> Job:
    """The job that ``convlint check`` makes of these arguments."""
    from convlint.cli.parser import build_parser
    from convlint.cli.requests import check_request
    from convlint.settings.project import find_project
    from convlint.settings.request import one_job

    request = check_request(build_parser().parse_args(["check", *words]))
    return one_job(request.models, find_project(), "check")


def installed(candidate: Candidate, notes: Notes) -> None:
    """Everything about one architecture by the installed coremltools."""
    try:
        words = _first_that_fits(candidate)
        job = job_of(words)
        notes.keep(command=list(words))
        with opened(job, quiet) as source:
            _measure(candidate, job, source, notes)
    except ConvlintError as error:
        notes.keep(unbuilt=_line(error))


def next_release(candidate: Candidate, notes: Notes) -> None:
    """What another release of coremltools says: TorchScript only where export is refused."""
    from convlint.capture.limits import REAL_WEIGHTS_LIMIT
    from convlint.capture.methods import capture

    try:
        job = job_of(candidate.commands[0])
        with opened(job, quiet) as source:
            captured = capture(source, job.options.timeout, REAL_WEIGHTS_LIMIT)
            trials = Frontends(source, job.options, quiet, []).trials(captured)
            notes.keep(doors=[_door(trial) for trial in trials])
    except ConvlintError as error:
        notes.keep(unbuilt=_line(error))


def _first_that_fits(candidate: Candidate) -> tuple[str, ...]:
    """The first of the commands whose model runs and is no larger than wanted, else the smallest that runs.

    Raises :class:`~convlint.errors.ConvlintError` for the first problem where none runs.
    """
    from convlint.capture.weightless import build_weightless

    if not candidate.largest:
        return candidate.commands[0]
    problem: ConvlintError | None = None
    sizes: dict[tuple[str, ...], int] = {}
    for words in dict.fromkeys(candidate.commands):
        try:
            with opened(job_of(words), quiet) as source:
                assert source.build is not None
                module = build_weightless(source.build)
                sizes[words] = sum(parameter.numel() for parameter in module.parameters())
                if sizes[words] <= candidate.largest:
                    _run_once(source)
                    return words
        except ConvlintError as error:
            problem = problem or error
            sizes.pop(words, None)
    for words in sorted(sizes, key=lambda words: sizes[words]):
        try:
            with opened(job_of(words), quiet) as source:
                if 4 * sizes[words] <= LARGEST_WEIGHTS:
                    _run_once(source)
                return words
        except ConvlintError as error:
            problem = problem or error
    raise problem or ConvlintError(f"{candidate.name} has no command")


def _run_once(source: Any) -> None:
    """Run the model on its inputs. Raises :class:`~convlint.errors.ConvlintError` where it does not."""
    import torch

    from convlint.capture.build import build_on_cpu

    module = build_on_cpu(source.build)
    args, kwargs = source.make_inputs()
    try:
        with torch.no_grad():
            module(*args, **kwargs)
    except Exception as error:  # models raise anything
        raise ConvlintError(f"the model does not run: {type(error).__name__}: {error}") from None


def _measure(candidate: Candidate, job: Job, source: Any, notes: Notes) -> None:
    check = Kept(job.name, source, job.options, quiet, None, True)
    report: Report | None = None

    def run() -> None:
        nonlocal report
        report = check.run()
        notes.keep(**_told(report, check, job))

    notes.stage("check", run)
    if report is None:
        return
    notes.stage("torchscript", lambda: _torchscript(notes, report, check, job), 20.0)
    notes.stage("places", lambda: notes.keep(**_places(check, report)), 2.0)
    notes.stage("parts", lambda: notes.keep(**_parts(source, candidate)), 5.0)
    from benchmarks.catalogue.numbers import compare_and_weigh

    compare_and_weigh(report, source, job, notes)


def _told(report: Report, check: Kept, job: Job) -> dict[str, Any]:
    """What the report of the check says."""
    graph = report.graph
    ane = [
        finding
        for finding in report.findings
        if finding.rule.category == "ane" and finding.severity == "warning"
    ]
    refused = {
        place
        for op in (report.plan.ops if report.plan is not None else ())
        if op.refused
        for place in (str(op.site), str(op.caller))
    }
    confirmed = [each for each in ane if {str(each.site), str(each.caller)} & refused]
    return {
        "convertible": report.convertible,
        "capture": report.capture_method,
        "parameters": graph.parameter_count if graph is not None else 0,
        "inputs": _inputs(report),
        "form": report.form.sentence if report.form is not None else "",
        "doors": [_door(trial) for trial in report.trials],
        "static": _static(check, report),
        "warnings": [len(ane), len(confirmed)],
        "unconfirmed": [finding.summary for finding in ane if finding not in confirmed],
        "disagreements": [f"{each.static}; {each.trial}: {each.detail}" for each in report.disagreements],
        "proposal": report.repair is not None and report.repair.converts,
        "changes": len(report.repair.applied) if report.repair is not None else 0,
        "findings": [finding.summary for finding in report.findings if finding.severity == "error"],
        "notes": list(report.notes),
        "versions": dict(report.versions),
    }


def _static(check: Kept, report: Report) -> dict[str, Any] | None:
    """The verdict of the rules alone beside that of the export frontend; None where nothing is exported."""
    export = next((trial for trial in report.trials if trial.frontend == "export"), None)
    if check.captured.program is None or export is None or export.status not in ("converted", "failed"):
        return None
    findings = judge(check.captured, load_rulebook(), check.environment(), ())
    codes = sorted({finding.rule.code for finding in findings if finding.severity == "error"})
    said = static_verdict(findings, exported=True)
    return {"said": said, "codes": codes, "agrees": (said == "yes") == (export.status == "converted")}


def _torchscript(notes: Notes, report: Report, check: Kept, job: Job) -> None:
    """The other frontend too, where the check had no need of it."""
    if any(trial.frontend == "torchscript" for trial in report.trials) or check.captured.graph is None:
        return
    frontends = Frontends(check.source, job.options, quiet, [])
    if not frontends.worth_tracing(check.captured):
        notes.keep(torchscript="; ".join(frontends.notes))
        return
    doors = [*notes.found["doors"], _door(frontends.torchscript(check.captured, "passes"))]
    notes.keep(doors=doors)


def _door(trial: Trial) -> dict[str, Any]:
    ops = [failure.op or f"{failure.stage}: {_line(failure.error)}" for failure in trial.failures]
    refused = list(dict.fromkeys(ops))[:_SHOWN] or ([_line(trial.detail)] if trial.detail else [])
    converts = trial.status == "converted"
    return {
        "frontend": trial.frontend,
        "coremltools": trial.coremltools,
        "converts": converts,
        "refused": [] if converts else refused or [trial.status],
        "status": trial.status,
        "seconds": round(trial.seconds, 2),
    }


def _inputs(report: Report) -> list[str]:
    ports = [port for port in (report.graph.inputs if report.graph is not None else ()) if port.meta]
    return [
        f"{'x'.join(map(str, port.meta.shape)) or 'scalar'} {port.meta.dtype}"
        for port in ports
        if port.kind == "tensor" and port.meta is not None
    ]


def _places(check: Kept, report: Report) -> dict[str, Any]:
    """The forecast on each chip of the program that would ship; else of PyTorch's ops, for their number."""
    from convlint.placement.aten_reader import read_aten
    from convlint.placement.chips import device_for
    from convlint.placement.operations import with_modules
    from convlint.placement.planner import Planner

    if check.ships.operations:
        operations = with_modules(check.ships.operations)
    elif report.graph is not None:
        operations = read_aten(report.graph, report.target)
    else:
        return {}
    places = []
    flops = 0
    for chip in CHIPS:
        planner = Planner(operations, device_for(chip, None, report.target))
        flops = sum(cost.flops for cost in planner.costs)
        if not check.ships.operations:
            break
        division = planner.division()
        latency, share = planner.latency(division), planner.share(division)
        places.append(
            {
                "chip": chip,
                "milliseconds": _short(latency.mid),
                "lowest": _short(latency.low),
                "highest": _short(latency.high),
                "engine_share": round(share["ANE"], 3),
            }
        )
    return {"places": places, "gflops": _short(flops / 1e9)}


def _parts(source: Any, candidate: Candidate) -> dict[str, Any]:
    """The classes of the model and of its larger parts, and what a backbone hands on."""
    from convlint.capture.weightless import build_weightless

    module = build_weightless(source.build)
    whole = sum(parameter.numel() for parameter in module.parameters()) or 1
    classes = [_class(module)]
    for part in module.modules():
        size = sum(parameter.numel() for parameter in part.parameters())
        if size >= whole / 8 and not type(part).__module__.startswith("torch.nn"):
            classes.append(_class(part))
    return {"classes": list(dict.fromkeys(classes))[:12], "features": list(_features(candidate))}


def _class(module: Any) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _features(candidate: Candidate) -> Iterator[dict[str, int]]:
    """Strides and channels as timm says them; nothing for a model that has no such stages."""
    if not candidate.backbone:
        return
    import timm
    import torch

    try:
        with torch.device("meta"):
            model = timm.create_model(candidate.backbone, pretrained=False, features_only=True)
        info = model.feature_info
        pairs = list(zip(info.reduction(), info.channels(), strict=True))
    except Exception:  # a model without stages, or one that reads its weights
        return
    yield from ({"stride": int(stride), "channels": int(channels)} for stride, channels in pairs)


def counted_failures(failures: Iterable[Any], report: Report) -> list[dict[str, Any]]:
    """What is left, by op and reason, with the rule that speaks of the line."""
    rules = {(str(finding.site), finding.op): finding.rule.code for finding in report.findings}
    by_op = {finding.op: finding.rule.code for finding in report.findings if finding.op}
    counts: Counter[tuple[str, str, str]] = Counter()
    for failure in failures:
        rule = rules.get((str(failure.site), failure.op)) or by_op.get(failure.op, "")
        counts[rule, failure.op, _line(failure.error)] += 1
    return [
        {"rule": rule, "op": op, "times": times, "why": why}
        for (rule, op, why), times in counts.most_common(_SHOWN)
    ]


def _line(text: object) -> str:
    """The text in one line, not too long, without the folder that a package stands in."""
    line = " ".join(str(text).split())
    for part in line.split():
        if "/site-packages/" in part:
            line = line.replace(part.partition("/site-packages/")[0].lstrip("(\"'") + "/site-packages/", "")
    return line if len(line) <= _LENGTH else f"{line[: _LENGTH - 1]}…"


def _short(number: float) -> float:
    return float(f"{number:.4g}")
