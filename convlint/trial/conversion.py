"""The conversion itself, as the child process runs it: frontend, passes, backend.

Weightless, unless asked for in full: every large constant becomes a zero-stride tensor, which
coremltools takes for an array of its shape while it fills no memory.
"""

from __future__ import annotations

import errno
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.child import Channel
from convlint.coreml.precision import Precision, compute_precision
from convlint.model import Frontend, TrialLevel
from convlint.text import single_line
from convlint.trial.light import take_weights
from convlint.trial.recorder import CannotStandIn, Recorder

_REFUSE_NOTHING = {"common::fuse_conv_batchnorm"}
"""Passes that only make a program smaller, by computing with all weights: a trial goes without."""
"""Above this much weight the passes run at float32: the cast to float16 copies every weight."""


@dataclass(frozen=True, slots=True)
class Job:
    """One conversion. ``model`` is an ``ExportedProgram``, or a traced ``ScriptModule`` with ``inputs``."""

    model: Any
    frontend: Frontend
    target: str
    level: TrialLevel
    output: str | None = None
    known: frozenset[str] = frozenset()
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    weight_bytes: int = 0
    precision: Precision | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A failure that belongs to no single node of the frontend."""

    stage: str
    error_type: str
    error: str
    op: str = ""
    node: str = ""
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Finished:
    """The conversion ran to its end; ``mil_ops`` counts the operations of the MIL program.

    ``unwritten`` says why its package could not be written: no fault of the model.
    """

    mil_ops: dict[str, int]
    output: str = ""
    unwritten: str = ""


@dataclass(frozen=True, slots=True)
class Passed:
    """The operations, without overload, of which the frontend converted a call before it ended."""

    operations: tuple[str, ...]


def convert(job: Job, channel: Channel) -> None:
    """Run ``job``, send what fails, at last :class:`Passed` or :class:`Finished`."""
    import coremltools as ct

    order = _positions(job)
    recorder = Recorder(report=channel.send, position=lambda name: channel.at(order.get(name, -1)))
    if job.frontend == "export":
        _mark_known(job)
        mark_origins(job.model)
        if job.level != "full":
            take_weights(job.model)
    kinds = [adapter.export_kind(node) for node in _call_nodes(job)]
    if job.frontend == "torchscript":
        kinds = sorted(_torchscript_kinds(job.model.inlined_graph))
    options = _options(job)
    with recorder.listening(kinds):
        program = _frontend(job, recorder, channel, ct.PassPipeline.EMPTY, options)
    if program is None or recorder.failures:
        channel.send(Passed(tuple(sorted({kind.partition(".")[0] for kind in recorder.passed}))))
        return
    counts = dict(Counter(str(op.op_type) for op in adapter.operations(program)))
    if job.level == "frontend":
        channel.send(Finished(counts))
        return
    if job.level == "full":
        _full(job, options, channel)
        return
    if _passes(job, program, channel):
        channel.send(Finished(dict(Counter(str(op.op_type) for op in adapter.operations(program)))))


def _options(job: Job) -> dict[str, Any]:
    import coremltools as ct

    options: dict[str, Any] = {"minimum_deployment_target": getattr(ct.target, job.target)}
    if job.inputs:
        options["inputs"] = list(job.inputs)
    if job.outputs:
        options["outputs"] = list(job.outputs)
    return options


def _frontend(job: Job, recorder: Recorder, channel: Channel, pipeline: Any, options: dict[str, Any]) -> Any:
    """The MIL program, or None after telling why there is none."""
    import coremltools as ct

    if job.inputs:
        try:
            adapter.check_inputs(options["inputs"], options["minimum_deployment_target"])
        except (ValueError, TypeError) as error:
            channel.send(_failed("input", error))
            return None
    try:
        program = ct.convert(job.model, convert_to="milinternal", pass_pipeline=pipeline, **options)
    except CannotStandIn:
        return None
    except Exception as error:
        refused = _failed("frontend" if recorder.failures else "input", error)
        if recorder.failures:  # what goes wrong once a stand-in is in the program may be the stand-in's doing
            refused = replace(refused, follows=recorder.failures[0].node)
        channel.send(refused)
    else:
        if job.outputs and not recorder.failures:
            try:
                adapter.check_outputs(program, options["outputs"])
            except (ValueError, TypeError) as error:
                channel.send(_failed("output", error))
                return None
        return program
    if job.frontend != "export":
        return None
    given = [options.pop(name, None) for name in ("inputs", "outputs")]
    declared = any(given) and not recorder.failures
    if not (_drop_odd_outputs(job.model) or declared):
        return None
    # The interface alone was refused: convert once more without what it refused, for the ops.
    try:
        ct.convert(job.model, convert_to="milinternal", pass_pipeline=pipeline, **options)
    except CannotStandIn:
        pass
    except Exception as error:
        again = _failed("frontend", error)
        if recorder.failures:
            again = replace(again, follows=recorder.failures[0].node)
        if again.error != refused.error:
            channel.send(again)
    return None


def _drop_odd_outputs(program: Any) -> bool:
    """Take outputs that Core ML has no word for out of the signature; whether there were any."""
    from torch.export.graph_signature import OutputKind, TensorArgument

    specs = program.graph_signature.output_specs
    kept = [
        spec
        for spec in specs
        if spec.kind in (OutputKind.USER_OUTPUT, OutputKind.BUFFER_MUTATION)
        and isinstance(spec.arg, TensorArgument)
    ]
    if len(kept) == len(specs) or not kept:
        return False
    specs[:] = kept
    return True


def _failed(stage: str, error: BaseException) -> Failed:
    return Failed(stage, type(error).__name__, single_line(error, 800))


def _rank(variable: Any) -> int:
    try:
        return int(variable.rank)
    except (AttributeError, TypeError):  # lists have none
        return 0


def _passes(job: Job, program: Any, channel: Channel) -> bool:
    """Run the passes of a full conversion over ``program``; whether the backend would take the result."""
    import coremltools as ct

    pipeline = ct.PassPipeline.DEFAULT
    pipeline.remove_passes(_REFUSE_NOTHING)
    stages = [ct.PassPipeline.get_pipeline("frontend_pytorch"), pipeline, adapter.backend_pipeline()]
    light = adapter.light_casts() if job.level != "full" and job.frontend == "export" else nullcontext()
    try:
        with light:
            for stage in stages:
                adapter.apply_passes(program, stage)
    except Exception as error:
        failed = _failed("passes", error)
        channel.send(replace(failed, node=adapter.origin_of_error(error) or failed.node))
        return False
    high = [op for op in adapter.operations(program) if any(_rank(variable) > 5 for variable in op.outputs)]
    for operation in high:
        rank = max(_rank(variable) for variable in operation.outputs)
        channel.send(
            Failed(
                "backend",
                "ValueError",
                f"Core ML only supports tensors with rank <= 5; the {operation.op_type} named "
                f"{operation.name} has rank {rank} after all passes",
                op=str(operation.op_type),
                node=adapter.stack_text(operation) or str(operation.name),
            )
        )
    if high:
        return False
    try:
        adapter.check_program(program)
    except Exception as error:
        channel.send(_failed("backend", error))
        return False
    return True


def _full(job: Job, options: dict[str, Any], channel: Channel) -> None:
    """The whole conversion as a user runs it, written to a package."""
    import coremltools as ct

    try:
        if job.precision is not None:
            options = {**options, "compute_precision": compute_precision(job.precision)}
        model = ct.convert(job.model, convert_to="mlprogram", skip_model_load=True, **options)
        program = adapter.program_of_model(model)
    except Exception as error:
        # Coming so far as to write weights, coremltools has taken the model; what fails then is the disk.
        channel.send(Finished({}, unwritten=said) if (said := _of_disk(error)) else _failed("backend", error))
        return
    counts = (
        Counter(str(op.op_type) for op in adapter.operations(program)) if program is not None else Counter()
    )
    unwritten = ""
    if job.output is not None:
        try:
            model.save(job.output)
        except Exception as error:  # a full disk has many names
            text = getattr(error, "strerror", None) or str(error)
            unwritten = single_line(text, 300) or type(error).__name__
    channel.send(Finished(dict(counts), "" if unwritten else job.output or "", unwritten))


_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EACCES, errno.EPERM}


def _of_disk(error: BaseException | None) -> str:
    """What a disk that takes no more has to say, empty for any other error."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK:
            return f"{error.strerror}, while coremltools wrote it"
        if "MIL FileWriter" in str(error):
            return "coremltools could not write its weights to the temporary folder; is the disk full?"
        error = error.__cause__ or error.__context__
    return ""


def _call_nodes(job: Job) -> list[Any]:
    if job.frontend != "export":
        return []
    return [node for node in job.model.graph.nodes if node.op == "call_function"]


def _torchscript_kinds(block: Any) -> set[str]:
    """The names under which the TorchScript frontend looks for converters, nested blocks included."""
    kinds = set()
    for node in block.nodes():
        kinds.add(adapter.converter_name_of(node.kind()).removesuffix("_"))
        for inner in node.blocks():
            kinds |= _torchscript_kinds(inner)
    return kinds


def _mark_known(job: Job) -> None:
    for node in _call_nodes(job):
        node.meta["known"] = node.name in job.known


def mark_origins(program: Any) -> None:
    """Let every MIL operation say which node of ``program`` it came from, by the text of its stack.

    Names do not tell: passes make new operations, ``transpose_7`` say, whose names other nodes have.
    """
    for node in program.graph.nodes:
        if node.op == "call_function":
            node.meta["stack_trace"] = node.name


def _positions(job: Job) -> dict[str, int]:
    return {node.name: index for index, node in enumerate(_call_nodes(job))}
