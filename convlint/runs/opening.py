"""Opens the user's code, for every command: imports the model and makes it ready for a capture."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.errors import UsageError
from convlint.runs.progress import silence_libraries
from convlint.settings.jobs import Job

if TYPE_CHECKING:
    from convlint.capture.methods import Source
    from convlint.usercode.spec import LoadedModel


def in_full(job: Job, progress: Callable[[str], None]) -> tuple[Job, tuple[str, ...]]:
    """``job`` with the spec, the arguments and the inputs that a name such as ``timm:resnet50`` stands for.

    The second is a remark with all of it for the report; none where the spec is no such name. Raises
    :class:`~convlint.errors.ConvlintError` where the library has no model of the name.
    """
    from convlint.usercode.by_name import full

    if full.library_of(job.spec, job.root) is None:
        return job, ()
    progress("importing")
    timeout = job.options.timeout
    found = full.in_full(job.spec, job.args, job.arg_exprs, root=job.root, timeout=timeout)
    if found is None:
        return job, ()
    found = replace(found, inputs=job.inputs or found.inputs)
    whole = replace(job, spec=found.spec, args=found.args, arg_exprs=found.arg_exprs, inputs=found.inputs)
    return whole, (f"{job.spec} is {found}",)


@contextmanager
def opened(job: Job, progress: Callable[[str], None], *, debug: bool = False) -> Iterator[Source]:
    """The imported model of a job with its inputs; while open, its converters are in coremltools' table.

    Libraries are silent from here on, unless ``debug``. Raises :class:`~convlint.errors.ConvlintError` where
    the model cannot be imported or its inputs are not known.
    """
    from convlint.usercode.spec import load_model

    options = job.options
    job, notes = in_full(job, progress)
    progress("importing")
    loaded = load_model(job.spec, job.args, job.arg_exprs, root=job.root, timeout=options.timeout)
    if not job.inputs:
        raise UsageError(_no_input(job, loaded))
    if not debug:
        silence_libraries()
    from convlint.capture.given import built_whole
    from convlint.capture.methods import Source
    from convlint.interface.inputs import make_tensors
    from convlint.usercode.converters import own_converters

    build = built_whole(_with_checkpoint(loaded, options.checkpoint), lambda: make_tensors(job.inputs))
    with own_converters(options.converters, job.root, options.timeout):
        yield Source(
            build, None, lambda: make_tensors(job.inputs), job.inputs, outputs=options.outputs, notes=notes
        )


def _with_checkpoint(loaded: LoadedModel, checkpoint: str) -> Callable[[], Any]:
    """A function that builds the model, with the weights of the checkpoint where one is named."""
    if not checkpoint:
        return loaded.build
    from convlint.usercode.checkpoint import load_into, read_checkpoint

    state = read_checkpoint(checkpoint)
    return lambda: load_into(loaded.build(), state, checkpoint)


def _no_input(job: Job, loaded: LoadedModel) -> str:
    takes = f" Its forward takes {', '.join(loaded.parameters)}." if loaded.parameters else ""
    return (
        f"no input is given for {job.name}.{takes} Write one --input for each tensor, for example"
        " --input 1x3x224x224 or --input input_ids=1x64:int64."
    )
