"""What the catalogue is asked about a refused model: its classes, its inputs, the part that is to blame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from convlint.catalogue.alternatives import Part
from convlint.catalogue.entry import Features
from convlint.checking.doctor import installed_version
from convlint.checking.options import Options
from convlint.checking.reconcile import deciding_trial
from convlint.model import Convertible, Finding, Graph, TensorMeta, Trial
from convlint.model.graph import TensorArg

if TYPE_CHECKING:
    import torch

    from convlint.capture.methods import Source
    from convlint.model.alternative import Alternative
    from convlint.model.placement import Plan
    from convlint.model.repair import Repair

_OF_PYTORCH = ("torch.", "builtins.")
"""Beginnings of names of classes that say nothing about an architecture."""


def stays_refused(convertible: Convertible, trials: tuple[Trial, ...], repair: Repair | None) -> bool:
    """Whether coremltools refuses the model, and no change is known with which it does not."""
    return convertible == "no" and bool(trials) and not (repair is not None and repair.converts)


def faster_than(
    plan: Plan, source: Source, options: Options, max_ms: float, notes: list[str]
) -> tuple[Alternative, ...]:
    """What the catalogue has for the task of a planned model that keeps a limit on the chip of the plan."""
    options = replace(options, chip=plan.chip, os=plan.os)
    read = {place for op in plan.ops for place in op.inputs}
    made = [meta for op in plan.ops if op.index not in read for meta in op.outputs]
    return alternatives_to(source, None, (), options, notes, max_ms, _shapes(made))


def alternatives_to(
    source: Source,
    graph: Graph | None,
    refused: tuple[str, ...],
    options: Options,
    notes: list[str],
    max_ms: float | None = None,
    outputs: tuple[tuple[int, ...], ...] = (),
) -> tuple[Alternative, ...]:
    """What the catalogue has instead of a model, or of the part around its ``refused`` modules.

    Without a graph, ``outputs`` has the shapes of the outputs. A catalogue that cannot be read is a remark
    among the ``notes``.
    """
    from convlint.catalogue.alternatives import Subject, Wanted, alternatives
    from convlint.catalogue.store import CatalogueError, read

    try:
        entries = read()
    except CatalogueError as error:
        notes.append(f"no alternatives are named: {error}")
        return ()
    module = _built(source, options.timeout)
    if module is None or not entries:
        return ()
    parts = tuple(parts_of(module))
    if graph is not None:
        outputs = _shapes([port.meta for port in graph.outputs])
    subject = Subject(parts, _inputs(source), outputs, *_part_to_blame(parts, graph, refused))
    release = installed_version("coremltools") or ""
    return alternatives(entries, subject, Wanted(_chip(options), options.frontend, release, max_ms))


def parts_of(module: torch.nn.Module) -> Iterator[Part]:
    """Every module that is no layer of PyTorch's own, the model itself first."""
    for path, part in module.named_modules():
        classes = tuple(_classes(type(part)))
        if classes or not path or any(True for _ in part.children()):
            yield Part(path, classes, sum(each.numel() for each in part.parameters()))


def refused_modules(
    findings: Iterable[Finding], trials: tuple[Trial, ...], repair: Repair | None, graph: Graph | None
) -> tuple[str, ...]:
    """The module paths of what is refused, after all changes that are known; empty texts where unknown."""
    if repair is not None and repair.remaining:
        found = [(each.module, each.site) for each in repair.remaining if not each.follows]
    else:
        deciding = deciding_trial(trials)
        failures = deciding.failures if deciding is not None else ()
        found = [(each.module, each.site) for each in failures if not each.follows]
        for finding in findings:
            if finding.severity == "error":
                modules = [call.module for call in finding.calls] or [finding.module]
                found += [(module, finding.site) for module in modules]
    at = modules_of_lines(graph) if graph is not None else {}
    paths = (path for module, site in found for path in ([module] if module else at.get(str(site), [""])))
    return tuple(dict.fromkeys(paths))


def modules_of_calls(graph: Graph) -> dict[str, str]:
    """The module path of each call by its name.

    torch tells none for what a module that torch.fx made does by itself: such a call is in the innermost
    module that has both the call before it and the one after it.
    """
    paths = [call.module.split(".") if call.module else [] for call in graph.calls]
    after: list[list[str]] = [[]] * len(paths)
    for place in range(len(paths) - 2, -1, -1):
        after[place] = paths[place + 1] or after[place + 1]
    before: list[str] = []
    found = {}
    for call, path, following in zip(graph.calls, paths, after, strict=True):
        found[call.name] = ".".join(path or _shared(before, following))
        before = path or before
    return found


def _shared(one: list[str], other: list[str]) -> list[str]:
    """The beginning that two paths have in common."""
    return [name for name, _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))]


def modules_of_lines(graph: Graph) -> dict[str, list[str]]:
    """The module paths of the calls of each line of source."""
    modules = modules_of_calls(graph)
    lines: dict[str, list[str]] = {}
    for call in graph.calls:
        if call.site is not None:
            lines.setdefault(str(call.site), []).append(modules[call.name])
    return lines


def _built(source: Source, timeout: float) -> Any:
    """The model with as little memory as it can have, only to be looked at; None where that fails now."""
    if source.instance is not None:
        return source.instance
    from convlint.capture.weightless import build_weightless
    from convlint.sandbox import time_limit

    assert source.build is not None
    try:
        with time_limit(timeout):
            return build_weightless(source.build)
    except Exception:  # the check has told what the model is; this adds to it
        return None


def _classes(kind: type) -> Iterator[str]:
    """A class and its bases as ``module.Class``, without those of PyTorch."""
    for each in kind.__mro__:
        if not f"{each.__module__}.".startswith(_OF_PYTORCH):
            yield f"{each.__module__}.{each.__qualname__}"


def _inputs(source: Source) -> tuple[tuple[int, ...], ...]:
    """The shapes of the tensors that the model takes."""
    if source.specs:
        return tuple(tuple(spec.shape) for spec in source.specs)
    args, kwargs = source.make_inputs()
    return tuple(tuple(each.shape) for each in (*args, *kwargs.values()) if hasattr(each, "shape"))


def _shapes(metas: Sequence[TensorMeta | None]) -> tuple[tuple[int, ...], ...]:
    """The shapes of these tensors; none where one of them is not known."""
    shapes = [meta.shape for meta in metas if meta is not None]
    known = len(shapes) == len(metas) and all(isinstance(size, int) for shape in shapes for size in shape)
    return tuple(tuple(int(size) for size in shape) for shape in shapes) if known else ()


def _chip(options: Options) -> str:
    from convlint.checking.shipping import device_of

    return device_of(options).chip.name


def _part_to_blame(
    parts: tuple[Part, ...], graph: Graph | None, paths: tuple[str, ...]
) -> tuple[Part | None, bool]:
    """A part with something refused in it that hands on feature maps to the rest, and whether that is all.

    It is the innermost around all that is refused, where there is one; else the largest around some of it.
    """
    if graph is None:
        return None, False
    around = {
        ".".join(names[:depth])
        for names in (path.split(".") for path in paths if path)
        for depth in range(1, len(names) + 1)
    }
    modules = modules_of_calls(graph)
    found = [
        Part(part.path, part.classes, part.parameters, features)
        for part in reversed(parts)
        if part.path in around and (features := handed_on(graph, part.path, modules))
    ]
    several = [part for part in found if len(part.features) > 1]
    for part in (*several, *found):
        if all(f"{path}.".startswith(f"{part.path}.") for path in paths):
            return part, True
    largest = max(several, key=lambda part: part.parameters, default=None)
    return largest, False


def handed_on(graph: Graph, path: str, modules: Mapping[str, str]) -> tuple[Features, ...]:
    """The feature maps that the rest of the model reads from a module, by their strides.

    A map has the height and the width of the picture divided by its stride, in either layout. Several of one
    stride are the last of them.
    """
    size = next((port.meta.shape[2:] for port in graph.inputs if port.meta and port.meta.rank == 4), None)
    if size is None:
        return ()
    inside = {name for name, module in modules.items() if f"{module}.".startswith(f"{path}.")}
    read = {
        (argument.call, argument.output): argument.meta.shape
        for call in graph.calls
        if call.name not in inside
        for argument in _tensors(call.args.values())
        if argument.call in inside
    }
    widths = {}
    for shape in read.values():
        if (found := _feature(shape, size)) is not None:
            widths[found.stride] = found
    return tuple(widths[stride] for stride in sorted(widths))


def _tensors(values: Iterable[Any]) -> Iterator[TensorArg]:
    for value in values:
        if isinstance(value, TensorArg):
            yield value
        elif isinstance(value, tuple | list):
            yield from _tensors(value)


def _feature(shape: tuple[int | str, ...], size: tuple[int | str, ...]) -> Features | None:
    """What a tensor is as a feature map: channels first, else channels last; None where it is none."""
    numbers = [each for each in (*shape, *size) if isinstance(each, int) and each > 0]
    if len(shape) != 4 or len(numbers) != 6:
        return None
    _, one, two, three, height, width = numbers
    for channels, high, wide in ((one, two, three), (three, one, two)):
        if height % high == 0 == width % wide and height // high == width // wide > 1:
            return Features(height // high, channels)
    return None
