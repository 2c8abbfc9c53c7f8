"""Whether a model built from edited source still computes the same, asked before anything is written.

A fresh Python imports the user's modules with the edited texts in the place of the files, new files beside
them, builds the model, gives it the weights of the original and runs it on the same inputs: outputs and
gradients in eval mode and, where that gives the same values twice, in train mode, with the buffers then.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import cache_from_source, module_from_spec, spec_from_file_location, spec_from_loader
from types import MappingProxyType, ModuleType
from typing import Any

from convlint.repair.source.behaviour import Behaviour, behaviour_apart, behaviour_of
from convlint.repair.source.edit import Edit, edited_files
from convlint.repair.source.layers import Made, noted, notes_of
from convlint.supervision import prefix_of
from convlint.text import one_line


@dataclass(frozen=True)
class Original:
    """The model that was fixed, and how it was built. ``inputs`` are its arguments."""

    module: Any
    spec: str
    args: Mapping[str, Any]
    arg_exprs: Mapping[str, str]
    root: str
    inputs: tuple[tuple[Any, ...], dict[str, Any]]
    timeout: float
    target: str = ""

    @cached_property
    def behaviour(self) -> Behaviour:
        """What every edited model is compared with."""
        return behaviour_of(self.module, self.inputs)


Files = Mapping[str, bytes]
"""New files by path, which stand beside those that are edited."""

_NO_FILES: Files = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Converted:
    """What became of an edited model in plain torch.export and coremltools, in a fresh process.

    ``refused`` are the ops that coremltools refuses, ``problem`` is why there is no program to convert, or
    why it computes something else.
    """

    status: str
    refused: tuple[str, ...] = ()
    problem: str = ""


def proved(
    edits: Sequence[Edit], original: Original, files: Files = _NO_FILES
) -> tuple[list[Edit], dict[Edit, str]]:
    """The edits after which the model computes the same, and why the others are no good."""
    if not edits:
        return [], {}
    problem = _problem(edits, original, files)
    if not problem:
        return list(edits), {}
    if len(edits) == 1:
        return [], {edits[0]: problem}
    alone = {edit: _problem([edit], original, files) for edit in edits}
    good = [edit for edit, text in alone.items() if not text]
    bad = {edit: text for edit, text in alone.items() if text}
    together = _problem(good, original, files) if bad and good else ""
    if together or not bad:
        return [], dict.fromkeys(edits, together or problem)
    return good, bad


def converted(edits: Sequence[Edit], original: Original, files: Files, context: str = "") -> Converted:
    """What plain torch.export and a trial conversion make of the edited model.

    ``context`` is the path of a helper file whose context is open meanwhile, and whose table of
    decompositions is used.
    """
    import torch

    from convlint.capture.walk import graph_of_program
    from convlint.numerics.comparison import module_difference
    from convlint.numerics.tolerance import FIXED
    from convlint.trial.run import run_trial

    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        file = os.path.join(folder, "program.pt2")
        result, problem = _in_fresh_python(edits, original, files, {"context": context, "program": file})
        if problem:
            return Converted("not run", problem=problem)
        if result["problem"]:
            return Converted("not run", problem=f"plain torch.export refuses it: {result['problem']}")
        problem = module_difference(result["exported"], original.behaviour["outputs"]).beyond(FIXED)
        if problem:
            return Converted("differs", problem=f"the exported program gives other values: {problem}")
        program = torch.export.load(file)  # tried here, where coremltools is imported already
        program.graph.eliminate_dead_code()  # loading adds an item for every unused output of an op
    trial = run_trial(
        program, graph_of_program(program), "export", original.target, "passes", original.timeout
    )
    refused = tuple(failure.op or one_line(failure.error)[:200] for failure in trial.failures)
    return Converted(str(trial.status), refused)


def made_at(original: Original) -> Mapping[str, Made]:
    """Where each module of the model is made, as a process of its own finds it."""
    result, _ = _in_fresh_python((), original, _NO_FILES, {"layers": True})
    found: Mapping[str, Made] = result.get("layers", {})
    return found


def _problem(edits: Sequence[Edit], original: Original, files: Files) -> str:
    """How the edited model differs from the original; empty where it does not."""
    result, problem = _in_fresh_python(edits, original, files, {})
    if not problem:
        problem = behaviour_apart(result, original.behaviour)
    return f"with the edit {problem}" if problem else ""


def _in_fresh_python(
    edits: Sequence[Edit], original: Original, files: Files, more: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """What the edited model did in a process of its own, or why it did nothing."""
    import torch

    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        job = os.path.join(folder, "job.pt")
        torch.save(
            {
                "texts": {
                    os.path.realpath(path): data for path, data in (edited_files(edits) | dict(files)).items()
                },
                **more,
                "spec": original.spec,
                "args": dict(original.args),
                "arg_exprs": dict(original.arg_exprs),
                "root": original.root,
                "inputs": original.inputs,
                "state": original.module.state_dict(),
                "timeout": original.timeout,
            },
            job,
        )
        # Compiled files are read, since a library takes twice as long without them, and none is written.
        command = [sys.executable, "-B", "-m", "convlint.repair.source.proof", job]
        try:
            done = subprocess.run(command, capture_output=True, timeout=2 * original.timeout, check=False)
        except subprocess.TimeoutExpired:
            return {}, "the edited model did not end in time"
        result = os.path.join(folder, "outputs.pt")
        if done.returncode or not os.path.exists(result):
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            died = f"its process ended with exit code {done.returncode}"
            why = one_line(said[-1]) if done.returncode and said else died
            return {}, f"the edited model does not run: {why}"
        return torch.load(result, weights_only=True), ""


def _run(path: str) -> None:
    """The fresh Python: import with the edited texts, build, run, save what came of it."""
    import torch

    from convlint.usercode.spec import load_model

    job = torch.load(path, weights_only=False)  # written by this very program a moment ago
    _read_from(job["texts"])
    loaded = load_model(job["spec"], job["args"], job["arg_exprs"], root=job["root"], timeout=job["timeout"])
    with noted() if "layers" in job else nullcontext():
        module = loaded.build()
    if "layers" in job:
        result: dict[str, Any] = {"layers": notes_of(module)}
    else:
        module.load_state_dict(job["state"])
        result = _exported(module, job) if "context" in job else dict(behaviour_of(module, job["inputs"]))
    torch.save(result, os.path.join(os.path.dirname(path), "outputs.pt"))


def _exported(module: Any, job: Mapping[str, Any]) -> dict[str, Any]:
    """The model through plain torch.export and a trial, in the context of a helper file if there is one."""
    import torch

    from convlint.capture.outputs import tensor_leaves
    from convlint.sandbox import user_code

    args, kwargs = job["inputs"]
    helpers = _module_at(job["context"]) if job["context"] else None
    module.eval()
    try:
        with user_code(), helpers.convertible() if helpers is not None else nullcontext():
            program = torch.export.export(module, args, kwargs)
        with torch.no_grad():
            outputs = [tensor.clone() for tensor in tensor_leaves(program.module()(*args, **kwargs))]
        program = program.run_decompositions(helpers.decompositions() if helpers is not None else {})
        torch.export.save(program, job["program"])
    except Exception as error:
        return {"problem": one_line(f"{type(error).__name__}: {error}")[:300]}
    return {"problem": "", "exported": outputs}


def _module_at(path: str) -> Any:
    """The helper file, whose text was put in the place of the file."""
    loader = SourceFileLoader("coreml_ops", path)
    spec = spec_from_loader("coreml_ops", loader)
    assert spec is not None
    module = sys.modules["coreml_ops"] = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _read_from(texts: Mapping[str, bytes]) -> None:
    """Let Python read these texts in the place of the files, and find those that are no files yet."""
    read = SourceFileLoader.get_data
    stale = {os.path.realpath(cache_from_source(path)) for path in texts}

    def get_data(self: SourceFileLoader, name: str) -> bytes:
        path = os.path.realpath(name)
        if path in stale:
            raise FileNotFoundError(f"{name} is of the text before the edit")
        text = texts.get(path)
        return read(self, name) if text is None else text

    vars_of_class: Any = SourceFileLoader
    vars_of_class.get_data = get_data
    sys.meta_path.insert(0, _NewFiles(texts))


class _NewFiles(MetaPathFinder):
    """Finds modules whose files are not written yet."""

    def __init__(self, texts: Mapping[str, bytes]) -> None:
        self.new = {path for path in texts if not os.path.exists(path)}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        for folder in sys.path if path is None else path:
            file = os.path.realpath(os.path.join(folder or os.getcwd(), f"{fullname.rpartition('.')[2]}.py"))
            if file in self.new:
                return spec_from_file_location(fullname, file, loader=SourceFileLoader(fullname, file))
        return None


if __name__ == "__main__":
    _run(sys.argv[1])
