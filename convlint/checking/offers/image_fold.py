"""A std for each channel, folded into the convolution that reads the picture.

``ct.ImageType`` has one scale. It becomes the mean of the stds, and the weights of the first convolution
take the rest as a factor for each input channel. Zero stays zero, so padding is not touched. The fold is
proved on the model itself, with random weights and random pictures.
https://apple.github.io/coremltools/docs-guides/source/image-inputs.html
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from convlint.capture.build import borrowed
from convlint.capture.called import called
from convlint.capture.declared import spec_by_port
from convlint.capture.methods import Attempts, Source, quiet_torch
from convlint.capture.outputs import tensor_leaves
from convlint.capture.walk import graph_of_program
from convlint.interface.images import LARGEST_VALUE, Image
from convlint.interface.inputs import InputSpec, make_tensors, random_factory
from convlint.model import Finding, Graph, OpCall, Port, Replacement, TensorArg
from convlint.numerics.samples import picture
from convlint.numerics.tolerance import FIXED
from convlint.sandbox import time_limit, user_code

if TYPE_CHECKING:
    import torch

SEEDS = (0, 1, 2)


@called
def fold_std(model: torch.nn.Module, convolution: str, std: Sequence[float]) -> torch.nn.Module:
    """A copy of ``model`` whose convolution of this name takes what ``ct.ImageType`` can hand over.

    ``std`` has the standard deviation of each channel that the model was trained with; their mean is left
    to the scale. Fold trained weights, just before converting: the copy expects pictures divided by that
    mean, not those that it was trained with.
    """
    import torch

    image = Image(std=tuple(std))
    folded = copy.deepcopy(model)
    weight: Any = folded.get_submodule(convolution).get_parameter("weight")
    factors = torch.tensor(image.remainder(), dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        weight.mul_(factors.reshape(1, -1, *[1] * (weight.dim() - 2)))
    return folded


def offer_fold(
    finding: Finding, source: Source, graph: Graph | None, limit: float | None
) -> Replacement | None:
    """The fold for the picture that the finding is about; None without one that can be proved."""
    port = finding.subject.thing
    if graph is None or not isinstance(port, Port):
        return None
    spec = spec_by_port(graph, source.specs).get(port.name)
    return proved_fold(source, spec, graph, port.name, limit) if spec is not None else None


def proved_fold(
    source: Source, spec: InputSpec, graph: Graph, name: str, limit: float | None
) -> Replacement | None:
    """The fold for the input ``name`` with the spec ``spec``; None where it needs or allows none."""
    if spec.image is None or spec.image.expressible:
        return None
    call = first_convolution(graph, name)
    error = _proved(source, spec, call.module, limit) if call is not None else None
    if call is None or error is None or error > FIXED:
        return None
    return _replacement(spec.image, call.module, error)


def fold_notes(source: Source, program: Any, limit: float | None) -> tuple[str, ...]:
    """The notes of ``convlint fix`` about pictures: the folds to do after training."""
    if program is None or all(spec.image is None or spec.image.expressible for spec in source.specs):
        return ()
    graph = graph_of_program(program)
    specs = spec_by_port(graph, source.specs)
    folds = (proved_fold(source, spec, graph, name, limit) for name, spec in specs.items())
    return tuple(
        f"{fold.title}, as shown by `convlint check` ({fold.proof})" for fold in folds if fold is not None
    )


def first_convolution(graph: Graph, name: str) -> OpCall | None:
    """The convolution layer that alone reads an input; None where anything else reads it."""
    readers = [
        call
        for call in graph.calls
        if any(isinstance(value, TensorArg) and value.name == name for value in call.args.values())
    ]
    if len(readers) != 1 or readers[0].module_type != "Conv2d" or not readers[0].op.startswith("aten.conv"):
        return None
    call = readers[0]
    weight, groups = call.args.get("weight"), call.args.get("groups", 1)
    return call if groups == 1 and isinstance(weight, TensorArg) and weight.origin == "parameter" else None


def _proved(source: Source, spec: InputSpec, convolution: str, limit: float | None) -> float | None:
    """The largest error of the folded model, relative to the largest output; None where it cannot run."""
    assert spec.image is not None
    attempts = Attempts(source, limit, None)
    try:
        with quiet_torch(), time_limit(limit), user_code():
            module, _ = attempts.real()
            folded = fold_std(module, convolution, spec.image.std)
            with borrowed(module), borrowed(folded):
                return max(_error(module, folded, source.specs, spec, seed) for seed in SEEDS)
    except Exception:  # user code runs here; without a proof nothing is offered
        return None


def _error(
    module: torch.nn.Module,
    folded: torch.nn.Module,
    specs: Sequence[InputSpec],
    spec: InputSpec,
    seed: int,
) -> float:
    import torch

    image = spec.image
    assert image is not None
    pixels = picture(spec.shape, seed)

    def column(values: Sequence[float]) -> torch.Tensor:
        return torch.tensor(tuple(values)).reshape(1, -1, 1, 1)

    trained = (pixels / LARGEST_VALUE - column(image.mean or (0.0,))) / column(image.std)
    scale, bias = image.scale_and_bias()
    handed = pixels * scale + column(bias)

    def run(model: torch.nn.Module, tensor: torch.Tensor) -> list[torch.Tensor]:
        make = random_factory(seed)
        args, kwargs = make_tensors(specs, lambda each: tensor if each == spec else make(each))
        with torch.no_grad():
            return tensor_leaves(model(*args, **kwargs))

    return largest_error(run(folded, handed), run(module, trained))


def largest_error(actual: Sequence[torch.Tensor], expected: Sequence[torch.Tensor]) -> float:
    """The largest difference between float outputs, relative to the largest value of each.

    It is infinite where anything but a number differs, and where there are no floats: integers that a model
    makes from floats jump when these move by a rounding error, and prove nothing either way.
    """
    from convlint.numerics.difference import difference

    floats = [place for place, tensor in enumerate(expected) if tensor.is_floating_point() and tensor.numel()]
    if not floats or len(actual) != len(expected):
        return math.inf
    apart = difference([actual[place] for place in floats], [expected[place] for place in floats])
    return math.inf if apart.problem else apart.share


def _replacement(image: Image, convolution: str, error: float) -> Replacement:
    scale, bias = image.scale_and_bias()
    factors = ", ".join(f"{factor:.6g}" for factor in image.remainder())
    biases = ", ".join(f"{value:.6g}" for value in bias)
    return Replacement(
        title=(
            f"fold the std once the model is trained: convlint.fold_std(model, {convolution!r}, {image.std})"
        ),
        kind="advice",
        safety="safe",
        after=(
            f"factors = torch.tensor([{factors}]).reshape(1, -1, 1, 1)\n"
            f"with torch.no_grad():\n    model.{convolution}.weight.mul_(factors)\n"
            f"inputs = [ct.ImageType(shape=x.shape, scale={scale:.9g}, bias=[{biases}])]"
        ),
        rtol=FIXED,
        proof=(
            f"compared on {len(SEEDS)} random pictures:"
            f" the largest error is {error:.1g} of the largest output"
        ),
    )
