"""Five networks at a batch of 16 that were timed on M4 Pro and M5 Max, pinned to two choices of units.

Images a second, medians: https://github.com/erwinzhang7/coreml-compute-placement (macOS 26.5.1 and 26.6).
Nothing is fitted to these times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from convlint.model.placement import ComputeUnits

BATCH = 16
SOURCE = "https://github.com/erwinzhang7/coreml-compute-placement"
UNITS: tuple[ComputeUnits, ...] = ("cpu+ane", "cpu+gpu")
TARGET = "iOS18"
"""That of macOS 15, for which the networks were converted."""

_A_SECOND = {
    "M4 Pro": {
        "siglip": (204.4, 178.8),
        "resnet50": (929.6, 659.5),
        "mobilenet": (3044.7, 3610.9),
        "bert": (757.3, 557.6),
        "whisper": (56.3, 145.1),
    },
    "M5 Max": {
        "siglip": (232.9, 1077.7),
        "resnet50": (1094.6, 3277.5),
        "mobilenet": (3602.2, 10418.4),
        "bert": (822.5, 3517.1),
        "whisper": (65.9, 605.4),
    },
}


RESIDENCY = f"{SOURCE}/tree/69feb36/results"
"""Where the unit of each op of these networks is published: ``placement-*.json``, and ``residency`` op by
op."""

_SPLIT = {
    "siglip": {
        "reshape": "A" + "AAAG" * 12,
        "transpose": "A" + "GGGG" * 12,
        **dict.fromkeys(("matmul", "mul", "softmax"), "G" * 24),
    },
    "resnet50": {"add": "G" * 7 + "A" * 9},
    "mobilenet": {},
    "bert": {
        "add": "C" + "A" * 13,
        "reshape": "AAAG" * 6,
        **dict.fromkeys(("cast", "greater_equal", "select", "gather"), "CCC"),
        **dict.fromkeys(("transpose", "matmul", "mul", "softmax"), "G" * 24),
    },
    "whisper": {
        "gelu": "AGAAAA",
        "layer_norm": "A" * 8 + "G",
        "reshape": "AAGA" * 4,
        **dict.fromkeys(("transpose", "add", "softmax", "reduce_mean"), "G" * 17),
    },
}
"""The first letter of the unit of each op of a kind, in order, on M4 Pro with all units; of the others A."""


def published_units(name: str, chip: str, units: str, kind: str, number: int) -> str:
    """The first letter of the unit where Core ML put op ``number`` of a kind; "" where that is not
    published."""
    if units == "cpu+gpu" or (chip != "M4 Pro" and units == "all"):
        return "G"
    split = _SPLIT[name]
    if units == "cpu+ane":
        split = {each: letters for each, letters in split.items() if "C" in letters}
    letters = split.get(kind, "A" * (number + 1))
    return letters[number : number + 1].replace("G", "A" if units == "cpu+ane" else "G")


@dataclass(frozen=True, slots=True)
class NetworkTime:
    """Milliseconds of one prediction of a network, on each pinned choice of units."""

    name: str
    chip: str
    milliseconds: dict[ComputeUnits, float]

    @property
    def faster(self) -> ComputeUnits:
        """The faster of the two choices."""
        return min(self.milliseconds, key=lambda units: self.milliseconds[units])


def times() -> list[NetworkTime]:
    """Every published time."""
    return [
        NetworkTime(name, chip, {units: 1e3 * BATCH / rate for units, rate in zip(UNITS, rates, strict=True)})
        for chip, networks in _A_SECOND.items()
        for name, rates in networks.items()
    ]


def networks() -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """For each network how to build it with the configuration of its name, and its input."""
    import torch
    import transformers as hub
    from torch import nn
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    class Embedding(nn.Module):
        def __init__(self, model: nn.Module, pooled: bool) -> None:
            super().__init__()
            self.model, self.pooled = model, pooled

        def forward(self, x: Any) -> Any:
            out = self.model(x)
            return out.pooler_output.flatten(1) if self.pooled else out.last_hidden_state.mean(1)

    tiny = {"d_model": 384, "encoder_layers": 4, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536}
    image = lambda: torch.zeros(BATCH, 3, 224, 224)  # noqa: E731
    made: dict[str, tuple[Callable[[], Any], bool, Callable[[], Any]]] = {
        "siglip": (lambda: hub.SiglipVisionModel(hub.SiglipVisionConfig()), True, image),
        "resnet50": (lambda: hub.ResNetModel(hub.ResNetConfig()), True, image),
        "mobilenet": (lambda: hub.MobileNetV2Model(hub.MobileNetV2Config()), True, image),
        "bert": (
            lambda: hub.DistilBertModel(hub.DistilBertConfig()),
            False,
            lambda: torch.zeros(BATCH, 128, dtype=torch.int32),
        ),
        "whisper": (
            lambda: WhisperEncoder(hub.WhisperConfig(**tiny)),
            False,
            lambda: torch.zeros(BATCH, 80, 3000),
        ),
    }
    for name, (build, pooled, inputs) in made.items():
        yield name, lambda b=build, p=pooled: Embedding(b(), p).eval(), inputs
