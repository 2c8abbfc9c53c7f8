"""The conversion itself, as the child process runs it: frontend, passes, backend.

Weightless, unless asked for in full: every large constant becomes a zero-stride tensor, which
coremltools takes for an array of its shape while it fills no memory.
"""

from __future__ import annotations

import errno
from collections import Counter
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.child import Channel
from convlint.coreml.precision import compute_precision
from convlint.text import single_line
from convlint.trial.frontend import interface_options, run_frontend, target_option
from convlint.trial.job import Failed, Finished, Job, Passed, Read, call_nodes, failed
from convlint.trial.light import take_weights
from convlint.trial.recorder import Recorder

_REFUSE_NOTHING = {"common::fuse_conv_batchnorm"}
"""Passes that only make a program smaller, by computing with all weights: a trial whose program nobody
reads goes without."""


def convert(job: Job, channel: Channel) -> None:
    """Run ``job``, send what fails, at last :class:`Passed` or :class:`Finished`."""
    order = {node.name: index for index, node in enumerate(call_nodes(job))}
    recorder = Recorder(report=channel.send, position=lambda name: channel.at(order.get(name, -1)))
    if job.frontend == "export":
        _mark_known(job)
        mark_origins(job.model)
        if job.level != "full":
            take_weights(job.model)
    program = run_frontend(job, recorder, channel)
    if program is None or recorder.failures:
        channel.send(Passed(tuple(sorted({kind.partition(".")[0] for kind in recorder.passed}))))
    elif job.level == "frontend":
        channel.send(Finished(_counts(program)))
    elif job.level == "full":
        _full(job, channel)
    elif _passes(job, program, channel):
        _read(job, program, channel)
        channel.send(Finished(_counts(program)))


def _mark_known(job: Job) -> None:
    for node in call_nodes(job):
        node.meta["known"] = node.name in job.known


def mark_origins(program: Any) -> None:
    """Let every MIL operation say which node of ``program`` it came from, by the text of its stack.

    Names do not tell: passes make new operations, ``transpose_7`` say, whose names other nodes have.
    """
    for node in program.graph.nodes:
        if node.op == "call_function":
            node.meta["stack_trace"] = node.name


def _counts(program: Any) -> dict[str, int]:
    """How many operations of each kind a MIL program has."""
    return dict(Counter(str(op.op_type) for op in adapter.operations(program)))


def _read(job: Job, program: Any, channel: Channel) -> None:
    """Send what the job's reader makes of the program, if it can: the verdict does not hang on a forecast."""
    if job.read is None or program is None:
        return
    try:
        read = Read(*job.read(program))
    except Exception:  # an operation of a form that nobody has met
        return
    channel.send(read)


def _rank(variable: Any) -> int:
    try:
        return int(variable.rank)
    except (AttributeError, TypeError):  # lists have none
        return 0


def _passes(job: Job, program: Any, channel: Channel) -> bool:
    """Run the passes of a full conversion over ``program``; whether the backend would take the result."""
    import coremltools as ct

    pipeline = ct.PassPipeline.DEFAULT
    if job.read is None:
        pipeline.remove_passes(_REFUSE_NOTHING)
    stages = [ct.PassPipeline.get_pipeline("frontend_pytorch"), pipeline, adapter.backend_pipeline()]
    light = adapter.light_constants() if job.level != "full" and job.frontend == "export" else nullcontext()
    try:
        with light:
            for stage in stages:
                adapter.apply_passes(program, stage)
    except Exception as error:
        channel.send(replace(failed("passes", error), node=adapter.origin_of_error(error)))
        return False
    high = [op for op in adapter.operations(program) if any(_rank(variable) > 5 for variable in op.outputs)]
    for operation in high:
        rank = max(_rank(variable) for variable in operation.outputs)
        limit, has = "Core ML only supports tensors with rank <= 5; the", f"has rank {rank} after all passes"
        channel.send(_refused(operation, "ValueError", limit, has))
    unknown = [op for op in adapter.operations(program) if adapter.is_without_value(op)]
    for operation in unknown:
        said = "'NoneType' object cannot be interpreted as an integer; the"
        channel.send(
            _refused(operation, "TypeError", said, "is given None for a number that only the input tells")
        )
    if high or unknown:
        return False
    try:
        adapter.check_program(program)
    except Exception as error:
        channel.send(failed("backend", error))
        return False
    return True


def _refused(operation: Any, error: str, before: str, behind: str) -> Failed:
    """An operation that the backend does not take, named between the two halves of the text."""
    kind, name = str(operation.op_type), str(operation.name)
    text = f"{before} {kind} named {name} {behind}"
    return Failed("backend", error, text, op=kind, node=adapter.stack_text(operation) or name)


def _full(job: Job, channel: Channel) -> None:
    """The whole conversion as a user runs it, written to a package."""
    import coremltools as ct

    try:
        options = target_option(job) | interface_options(job)
        if job.precision is not None:
            options["compute_precision"] = compute_precision(job.precision)
        model = ct.convert(job.model, convert_to="mlprogram", skip_model_load=True, **options)
        program = adapter.program_of_model(model)
    except Exception as error:
        # Coming so far as to write weights, coremltools has taken the model; what fails then is the disk.
        channel.send(Finished({}, unwritten=said) if (said := _of_disk(error)) else failed("backend", error))
        return
    counts = {} if program is None else _counts(program)
    _read(job, program, channel)
    unwritten = ""
    if job.output is not None:
        try:
            model.save(job.output)
        except Exception as error:  # a full disk has many names
            text = getattr(error, "strerror", None) or str(error)
            unwritten = single_line(text, 300) or type(error).__name__
    channel.send(Finished(counts, "" if unwritten else job.output or "", unwritten))


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
