"""Normalisation inside ``forward``, divided between ``ct.ImageType`` and the convolution after it.

What the model does to a picture before its first convolution is measured: the results for a black
and a white picture give a factor and an offset for each channel, and random pictures prove that it
does nothing else. ``ct.ImageType`` takes the mean of the factors and the offsets; the weights of the
convolution take the rest of the factors. Zero stays zero, so padding is not touched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from convlint.capture.methods import Attempts, Source, quiet_torch
from convlint.checking.offers.image_fold import SEEDS, largest_error
from convlint.interface.images import LARGEST_VALUE, Image
from convlint.model import Finding, Graph, OpCall, Replacement
from convlint.numerics.samples import picture
from convlint.numerics.tolerance import FIXED, NORMALISED_ABSOLUTE, NORMALISED_OWN
from convlint.sandbox import time_limit, user_code

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Normalisation:
    """``factors * x + offsets``, which ``forward`` computes from its input ``x`` for this convolution."""

    convolution: str
    input: str
    factors: tuple[float, ...]
    offsets: tuple[float, ...]
    error: float

    @property
    def scale(self) -> float:
        return sum(self.factors) / len(self.factors)

    @property
    def remainder(self) -> tuple[float, ...]:
        return tuple(factor / self.scale for factor in self.factors)


def offer_forward_fold(
    finding: Finding, source: Source, graph: Graph | None, limit: float | None
) -> Replacement | None:
    """The fold of the normalisation that the finding is about; None where it cannot be proved."""
    if len(finding.calls) != 1:
        return None
    normalisation = measure(source, finding.calls[0], limit)
    if normalisation is None or normalisation.error > FIXED:
        return None
    images = [spec.image for spec in source.specs if spec.name in (None, normalisation.input)]
    return _replacement(normalisation, next((image for image in images if image is not None), None))


def measure(source: Source, call: OpCall, limit: float | None) -> Normalisation | None:
    """The normalisation of the input that ``call`` receives; None where it receives anything else."""
    attempts = Attempts(source, limit, None)
    try:
        with quiet_torch(), time_limit(limit), user_code():
            program = attempts.export_cpu()[1]
            return _Measurement(program, call.name).run() if program is not None else None
    except Exception:  # user code runs here; without a proof nothing is offered
        return None


class _Measurement:
    def __init__(self, program: Any, name: str) -> None:
        self.program = program
        self.nodes = {node.name: node for node in program.graph.nodes}
        self.node = self.nodes[name]

    def run(self) -> Normalisation | None:
        import torch

        names = [str(name) for name in self.program.graph_signature.user_inputs]
        readers = list(self.node.users)
        if len(names) != 1 or len(readers) != 1:
            return None
        weight = self.program.graph_signature.inputs_to_parameters.get(str(readers[0].args[1]))
        if weight is None or not weight.endswith(".weight"):
            return None
        shape = tuple(self.nodes[names[0]].meta["val"].shape)

        def column(values: Sequence[float]) -> torch.Tensor:
            return torch.tensor(tuple(values)).reshape(1, -1, 1, 1)

        black = self.value(torch.zeros(shape))
        offsets = black.mean((0, 2, 3)).tolist()
        factors = (self.value(torch.ones(shape)) - black).mean((0, 2, 3)).tolist()
        normalisation = Normalisation(
            weight.removesuffix(".weight"), names[0], tuple(factors), tuple(offsets), 0.0
        )
        biases = [offset / rest for offset, rest in zip(offsets, normalisation.remainder, strict=True)]
        scaled = self.program.state_dict[weight] * column(normalisation.remainder)
        errors = []
        for seed in SEEDS:
            pixels = picture(shape, seed) / LARGEST_VALUE
            if not _is_formula(self.value(pixels), pixels * column(factors) + column(offsets)):
                return None
            handed = {
                self.node.name: pixels * normalisation.scale + column(biases),
                str(readers[0].args[1]): scaled,
            }
            errors.append(largest_error(self.outputs(pixels, handed), self.outputs(pixels)))
        return replace(normalisation, error=max(errors))

    def value(self, picture: torch.Tensor) -> torch.Tensor:
        """The value of the node for a picture."""
        runner = self.runner({})
        runner.run(*self.inputs(picture))
        value: torch.Tensor = runner.env[self.node]
        return value

    def outputs(
        self, picture: torch.Tensor, instead: Mapping[str, torch.Tensor] | None = None
    ) -> list[torch.Tensor]:
        """The outputs of the model, with the values of ``instead`` in place of those of some nodes."""
        import torch

        results = self.runner(instead or {}).run(*self.inputs(picture))
        return [each for each in results if isinstance(each, torch.Tensor)]

    def runner(self, instead: Mapping[str, torch.Tensor]) -> Any:
        import torch

        class Runner(torch.fx.Interpreter):
            def run_node(self, n: torch.fx.Node) -> Any:
                value = super().run_node(n)
                return instead.get(n.name, value)

        return Runner(self.program.graph_module, garbage_collect_values=False)

    def inputs(self, picture: torch.Tensor) -> list[Any]:
        """The picture and all other inputs of the graph, in its order."""
        program = self.program
        stored = {**program.constants, **program.state_dict}
        specs = program.graph_signature.input_specs
        return [picture if spec.target is None else stored[spec.target] for spec in specs]


def _is_formula(actual: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether every value follows the formula, within a tolerance relative to the value itself."""
    from convlint.numerics.difference import distances

    if actual.shape != expected.shape:
        return False
    allowed = NORMALISED_ABSOLUTE + NORMALISED_OWN * expected.double().abs().numpy()
    return bool((distances(actual, expected) <= allowed).all())


def _replacement(normalisation: Normalisation, image: Image | None) -> Replacement:
    # Where no image is declared, forward takes numbers from 0 to 1, as torchvision makes them.
    scale, shifts = (image or Image(mean=(0.0,), std=(1.0,))).scale_and_bias()
    shifts = shifts if len(shifts) == len(normalisation.factors) else shifts * len(normalisation.factors)
    rows = zip(shifts, normalisation.offsets, normalisation.remainder, strict=True)
    biases = ", ".join(f"{normalisation.scale * shift + offset / rest:.6g}" for shift, offset, rest in rows)
    factors = ", ".join(f"{factor:.6g}" for factor in normalisation.remainder)
    return Replacement(
        title=f"normalise in ct.ImageType and in {normalisation.convolution}, once the model is trained",
        kind="advice",
        safety="safe",
        after=(
            f"factors = torch.tensor([{factors}]).reshape(1, -1, 1, 1)\n"
            f"with torch.no_grad():\n    model.{normalisation.convolution}.weight.mul_(factors)\n"
            "# with a forward that does not normalise, and pictures "
            f"of 0..{LARGEST_VALUE:g}:\n"
            f"inputs = [ct.ImageType(shape=x.shape, scale={normalisation.scale * scale:.9g},"
            f" bias=[{biases}])]"
        ),
        rtol=FIXED,
        proof=(
            f"compared on {len(SEEDS)} random pictures:"
            f" the largest error is {normalisation.error:.1g} of the largest output"
        ),
    )
