"""What needs weights, which are random here: the fix where a model is refused, parity, and sizes.

Sizes are those of the weights in the program that coremltools makes, as they are and after its own
quantization (8 bits a channel, 4 bits in blocks of 32), with float32 counted as the float16 that a package
stores. They do not depend on the values. What stays as it is, small tensors and biases, is in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.catalogue.measure import LARGEST_WEIGHTS, Notes, counted_failures, quiet
from convlint import coremltools_adapter as adapter
from convlint.checking.reconcile import deciding_trial
from convlint.child import run_in_child
from convlint.compression.weights import stored_bytes, weights_of
from convlint.model import Report
from convlint.model.parity import Parity
from convlint.numerics.conversion import Converted, NotConverted, convert, convert_exported
from convlint.settings.jobs import Job

SEEDS = 2
PARITY_LIMIT = 60.0
"""Seconds that the comparison may take."""
_NEEDED = 20.0
"""Seconds that must be left for a conversion with weights."""
_EIGHT = {"mode": "linear_symmetric"}
_FOUR = {"mode": "linear_symmetric", "dtype": "int4", "granularity": "per_block", "block_size": 32}


def compare_and_weigh(report: Report, source: Any, job: Job, notes: Notes) -> None:
    """Every stage that needs weights, as far as the time goes."""
    size = 4 * report.graph.parameter_count if report.graph is not None else 0
    if size > LARGEST_WEIGHTS:
        reason = f"{size / 1e9:.1f} GB of weights in float32"
        notes.keep(equal={"conclusion": "not compared", "error": None, "why": reason})
        return
    made: list[Converted] = []
    if report.convertible == "yes":
        notes.stage("convert", lambda: made.append(_converted(report, source, job, notes)), _NEEDED)
    elif report.convertible == "no":
        notes.stage("fix", lambda: made.extend(_fixed(report, source, job, notes)), _NEEDED)
    if made:
        if "equal" not in notes.found:
            notes.stage("parity", lambda: _compare(made[0], job, notes), 5.0)
        notes.stage("sizes", lambda: _weigh(made[0], notes), 5.0)


def _converted(report: Report, source: Any, job: Job, notes: Notes) -> Converted:
    deciding = deciding_trial(report.trials)
    assert deciding is not None
    try:
        return convert(source, job.options.target, "float32", deciding.frontend, notes.left)
    except NotConverted as error:
        notes.keep(equal={"conclusion": "not compared", "error": None, "why": str(error)[:240]})
        raise


def _compare(converted: Converted, job: Job, notes: Notes) -> None:
    """Parity in a child, which is ended where it takes too long."""
    limit = min(PARITY_LIMIT, notes.left)
    ended = run_in_child(lambda channel: channel.send(_parity(converted, job)), limit)
    notes.keep(equal=ended.sent[0] if ended.sent else _equal("", 0.0, f"the comparison: {ended.detail}"))


def _parity(converted: Converted, job: Job) -> dict[str, Any]:
    """Whether the program computes at float32 what PyTorch does, on the example and on random inputs."""
    from convlint.capture.methods import quiet_torch
    from convlint.numerics.judging import conclude
    from convlint.numerics.running import Terms
    from convlint.numerics.tolerance import PARITY

    with quiet_torch():
        conclusion = conclude(converted, Terms(PARITY["float32"]), SEEDS, edge_cases=False)
    told = [*conclusion.details, str(conclusion.divergence or ""), *conclusion.remarks]
    return _equal(conclusion.status, conclusion.errors.max_rel_error, "; ".join(filter(None, told)))


def _equal(status: str, error: float, why: str) -> dict[str, Any]:
    conclusion = {"equal": "equal", "differs": "differs", "overflows": "differs"}.get(status, "not compared")
    return {
        "conclusion": conclusion,
        "error": None if conclusion == "not compared" else float(f"{error:.3g}"),
        "why": " ".join(why.split())[:300],
    }


def _fixed(report: Report, source: Any, job: Job, notes: Notes) -> list[Converted]:
    """What ``convlint fix`` makes of the model: its repairs are kept, and its program is returned."""
    from convlint.capture.build import build_on_cpu
    from convlint.repair.fix import fix_module

    built, inputs = build_on_cpu(source.build), source.make_inputs()
    module = source.to_judge(built)

    def fix(*, unsafe: bool) -> Any:
        return fix_module(
            module, inputs, job.options.target, unsafe=unsafe, timeout=job.options.timeout, progress=quiet
        )

    fixed, unsafe = fix(unsafe=False), False
    if fixed.converts == "no" and notes.left > 2 * _NEEDED:
        again = fix(unsafe=True)  # says what is left of the rest, too
        if again.converts == "yes" or again.program is not None:
            fixed, unsafe = again, True
    how = "no"
    if fixed.converts == "yes":
        how = "part" if fixed.left_out is not None else "graph"
    left = counted_failures(fixed.remaining, report)
    if fixed.left_out is not None:
        left += [
            {"rule": "", "op": call.op, "times": call.calls, "why": "its sizes follow from data"}
            for call in fixed.left_out.calls[:6]
        ]
    changes = sum(change.calls for change in fixed.applied)
    notes.keep(
        repairs={"how": how, "changes": changes, "left": left[:8], "unsafe": unsafe},
        fix_headline=fixed.headline,
        ships=fixed.ships,
        rolled_back=list(fixed.rolled_back),
        fix_notes=list(fixed.notes),
    )
    if fixed.parity is not None:
        notes.keep(equal=_of_fix(fixed.parity, fixed.max_rel_error))
    elif how == "no":
        notes.keep(equal={"conclusion": "not compared", "error": None, "why": "nothing converts"})
    if how == "no":
        return []
    notes.stage("source", lambda: _in_source(fixed, built, inputs, job, notes, unsafe=unsafe), 60.0)
    program = fixed.program
    return [convert_exported(fixed.module, program, program.example_inputs, job.options.target, "float32")]


def _of_fix(parity: Parity, change: float | None) -> dict[str, Any]:
    """The comparison of the converted program, and of the changed module with the model as it was."""
    told = [parity.detail, str(parity.first_divergence or ""), *parity.remarks]
    return _equal(
        parity.status, max(parity.errors.max_rel_error, change or 0.0), "; ".join(filter(None, told))
    )


def _in_source(fixed: Any, built: Any, inputs: Any, job: Job, notes: Notes, *, unsafe: bool) -> None:
    """Whether every change has a form that plain coremltools converts, without convlint."""
    from convlint.repair.source.changes import OF_THE_MODEL, source_changes
    from convlint.repair.source.proof import Original
    from convlint.runs.opening import in_full

    whole, _ = in_full(job, quiet)
    original = Original(
        built,
        whole.spec,
        whole.args,
        whole.arg_exprs,
        ".",
        inputs,
        min(notes.left, 120.0),
        job.options.target,
    )
    from convlint.rules.rulebook import load_rulebook

    changes = source_changes(fixed, tuple(load_rulebook([])), original, "convlint", unsafe=unsafe)
    problem = changes.context.problem if changes.context is not None else ""
    kinds = {change.kind for change in fixed.applied}
    whole_model = bool(kinds & set(OF_THE_MODEL))
    done = bool(changes.edits or changes.context) and not changes.refusals and not problem and not whole_model
    reasons = dict.fromkeys(refusal.reason for refusal in changes.refusals)
    notes.keep(source_left=[*reasons, *filter(None, [problem])][:4])
    if done and notes.found["repairs"]["how"] == "graph" and fixed.ships:
        notes.keep(repairs={**notes.found["repairs"], "how": "source"})


def _weigh(converted: Converted, notes: Notes) -> None:
    """The bytes of the weights at 16 bits, and after coremltools' quantization; the program is used up."""
    import coremltools

    sizes = [[16, _bytes(converted.program)]]
    notes.keep(bytes_at=sizes)
    for function in converted.program.functions.values():
        function.opset_version = coremltools.target.iOS18  # 4 bits exist from there on
    eight = run_in_child(lambda channel: channel.send(_quantized(converted.program, _EIGHT)), notes.left)
    sizes += [[8, sent] for sent in eight.sent if isinstance(sent, int)]
    sizes.append([4, _quantized(converted.program, _FOUR)])
    notes.keep(bytes_at=sizes)


def _quantized(program: Any, config: Mapping[str, Any]) -> int:
    """The bytes of the weights after coremltools has quantized those that it takes."""
    import coremltools.optimize.coreml as cto
    from coremltools.optimize.coreml._quantization_passes import linear_quantize_weights

    settings = cto.OptimizationConfig(global_config=cto.OpLinearQuantizerConfig(**config))
    linear_quantize_weights(settings, fake_compression=False).apply(program)
    return _bytes(program)


def _bytes(program: Any) -> int:
    return sum(_stored(weight.variable) for weight in weights_of(program, ()))


def _stored(variable: Any) -> int:
    """The bytes of a constant in a program of float16, or of all parts of a compressed one."""
    made_by = variable.op
    if made_by is None or made_by.op_type == "const":
        dtype, _ = adapter.value_type(variable)
        return stored_bytes(variable) // (2 if dtype in ("fp32", "float32") else 1)
    parts = [
        part
        for value in made_by.inputs.values()
        for part in (value if isinstance(value, tuple | list) else [value])
    ]
    return sum(_stored(part) for part in parts if part is not None and part.op is not None)
