"""A script that converts one model with what is needed, and with nothing of convlint.

For pipelines that must not know convlint: it imports the user's model, opens the context of the helper file
where the model needs it, exports and converts. It is run once before it is left there.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convlint.destination import FileKind
from convlint.interface.inputs import InputSpec
from convlint.repair.source.helper_place import HelperPlace
from convlint.repair.source.program_text import CLASS, ProgramText
from convlint.repair.source.proof import Original
from convlint.supervision import prefix_of
from convlint.text import one_line
from convlint.usercode.spec import is_file_spec, split_spec

MARKER = "# Written by `convlint fix --emit`"
SCRIPT = FileKind("a script that convlint wrote", lambda head: MARKER.encode() in head)

_FEW = 16
"""Entries of a tensor of integers that are written out."""


@dataclass(frozen=True, slots=True)
class Script:
    """The parts of a script: imports, the folders that they are found in, the model, and its inputs."""

    folders: tuple[str, ...]
    imports: tuple[str, ...]
    model: str
    args: tuple[str, ...]
    kwargs: Mapping[str, str]


def script_text(
    path: str,
    original: Original,
    made_with: str,
    helpers: HelperPlace | None,
    inputs: Sequence[InputSpec] = (),
    program: ProgramText | None = None,
    sparse: Sequence[str] = (),
) -> str:
    """The text of the script at ``path``. ``helpers`` is the helper file whose context it opens, if any.

    ``inputs`` are declared as pictures where they are; sizes are those of the example. ``program`` is what is
    converted in the model's place, where it has to be written out. ``sparse`` names buffers to make dense.
    """
    script = _script(original, path, helpers)
    args: Sequence[Any] = script.args
    if program is not None:
        args = tuple(map(_value, program.inputs))
    lines = [
        f"{MARKER} ({made_with}): converts {original.spec} to Core ML.",
        *(["import sys", "from pathlib import Path", ""] if script.folders else []),
        "import coremltools as ct",
        "import torch",
        *(program.imports if program is not None else ()),
        "",
        *(f"sys.path.insert(0, str(Path(__file__).parent / {folder!r}))" for folder in script.folders),
        *script.imports,
        "",
        *(["", *program.lines, "", ""] if program is not None else ()),
        f"model = {script.model}.eval()  # load your weights into it here",
        *map(_made_dense, sparse),
        f"args = ({''.join(f'{each}, ' for each in args).strip()})",
    ]
    keywords = ", ".join(f'"{name}": {text}' for name, text in script.kwargs.items())
    if keywords and program is None:
        lines.append(f"kwargs = {{{keywords}}}")
    whole = "model" if program is None else f"{CLASS}(model)"
    export = (
        f"program = torch.export.export({whole}, args{', kwargs' if keywords and program is None else ''})"
    )
    table = "{}"
    if helpers is not None:
        lines.append("with coreml_ops.convertible():")
        export = f"    {export}"
        table = "coreml_ops.decompositions()"
    options = []
    if any(spec.image for spec in inputs):
        options.append(f"inputs=[{', '.join(map(_type, inputs))}]")
    if original.target:
        options.append(f"minimum_deployment_target=ct.target.{original.target}")
    name = script.model.partition("(")[0].rpartition(".")[2]
    lines += [
        export,
        f"program = program.run_decompositions({table})",
        f'ct.convert({", ".join(["program", *options])}).save("{name}.mlpackage")',
    ]
    return "\n".join(lines) + "\n"


def _made_dense(name: str) -> str:
    module, _, attribute = name.rpartition(".")
    return f"model.get_submodule({module!r}).{attribute} = model.get_buffer({name!r}).to_dense()"


def run_script(path: str, timeout: float) -> str:
    """Run a script as its user will, in a folder of its own: what it said where it failed, else nothing."""
    with tempfile.TemporaryDirectory(prefix=prefix_of(os.getpid())) as folder:
        command = [sys.executable, "-B", os.path.abspath(path)]  # nothing is written beside the modules
        try:
            done = subprocess.run(command, capture_output=True, cwd=folder, timeout=timeout, check=False)
        except subprocess.TimeoutExpired:
            return f"it did not end within {timeout:g} seconds"
        if not done.returncode and any(Path(folder).glob("*.mlpackage")):
            return ""
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return one_line(said[-1])[:300] if said else f"it ended with exit code {done.returncode}"


def _script(original: Original, path: str, helpers: HelperPlace | None) -> Script:
    where, attribute = split_spec(original.spec, original.root)
    root = Path(original.root).resolve()
    if is_file_spec(where):
        folder, module = _place_of(root / os.path.expanduser(where))
    else:
        folder, module = root, where
    own = Path(path).resolve().parent
    names = {attribute.partition(".")[0]}
    imports = []
    for text in original.arg_exprs.values():
        used = {node.id for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Name)}
        known = sys.modules.get(module)
        names |= {name for name in used if known is not None and hasattr(known, name)}
        others = sorted(used - names - {"torch"})
        imports += [f"import {name}" for name in others if name in sys.modules]
    folders = [folder]
    if helpers is not None:
        top = Path(helpers.package or Path(helpers.path).parent).resolve()
        inside = Path(helpers.path).resolve().parent.relative_to(top).parts
        imports.append(f"from {'.'.join(inside)} import coreml_ops" if inside else "import coreml_ops")
        folders.append(top)
    imports.append(f"from {module} import {', '.join(sorted(names))}")
    arguments = [*(f"{name}={value!r}" for name, value in original.args.items())]
    arguments += [f"{name}={text}" for name, text in original.arg_exprs.items()]
    call = "" if _is_module(module, attribute) else f"({', '.join(arguments)})"
    args, kwargs = original.inputs
    return Script(
        tuple(dict.fromkeys(os.path.relpath(each, own) for each in folders if each != own)),
        tuple(imports),
        f"{attribute}{call}",
        tuple(map(_value, args)),
        {name: _value(value) for name, value in kwargs.items()},
    )


def _place_of(file: Path) -> tuple[Path, str]:
    """The folder that a file is imported from, and its name as a module."""
    folder, parts = file.resolve().parent, [file.stem]
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _is_module(module: str, attribute: str) -> bool:
    """Whether the spec names a module that exists, and nothing that builds one."""
    import torch

    thing: Any = sys.modules.get(module)
    for part in attribute.split("."):
        thing = getattr(thing, part, None)
    return isinstance(thing, torch.nn.Module)


def _type(spec: InputSpec) -> str:
    """The type of an input, as coremltools is told of it."""
    if spec.image is None:
        return f"ct.TensorType(shape={spec.shape})"
    scale, bias = spec.image.scale_and_bias()
    gray = spec.image.layout == "gray"
    layout = "GRAYSCALE" if gray else spec.image.layout.upper()
    return (
        f"ct.ImageType(shape={spec.shape}, scale={scale!r}, bias={bias[0] if gray else list(bias)!r},"
        f" color_layout=ct.colorlayout.{layout})"
    )


def _value(value: Any) -> str:
    """An expression for an input: a tensor of its shape and dtype, small integers as they are."""
    import torch

    if isinstance(value, torch.Tensor):
        shape, dtype = list(value.shape), str(value.dtype)
        if value.dtype.is_floating_point:
            more = "" if value.dtype is torch.float32 else f", dtype={dtype}"
            return f"torch.rand({shape}{more})"
        if value.numel() <= _FEW:
            return f"torch.tensor({value.tolist()}, dtype={dtype})"
        return f"torch.zeros({shape}, dtype={dtype})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple):
        return f"({_joined(value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{_joined(value)}]"
    return repr(value)


def _joined(values: Iterable[Any]) -> str:
    return ", ".join(map(_value, values))
