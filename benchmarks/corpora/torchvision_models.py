"""torchvision's architectures, untrained, at the input sizes of their papers or smaller ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torchvision
from torch import nn

from . import Example

__all__ = ["BUILDERS", "FURTHER"]

CLASSIFIERS = (
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "quantized_mobilenet_v2",
    "quantized_resnet18",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x1_0",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11_bn",
    "vit_b_32",
    "wide_resnet50_2",
)
SEGMENTERS = (
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
)
DETECTORS = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "fasterrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
VIDEO = ("mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18", "s3d", "swin3d_t")


def _image(name: str, size: int = 224, **options: Any) -> Example:
    model = torchvision.models.get_model(name, weights=None, **options)
    return Example(model.eval(), (torch.rand(1, 3, size, size),))


def _inception(name: str) -> Example:
    return _image(name, size=299, init_weights=False)


def _segmenter(name: str) -> Example:
    return _image(name, weights_backbone=None)


def _detector(name: str) -> Example:
    size = {} if name.startswith("ssd") else {"min_size": 320, "max_size": 320}  # else images are enlarged
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None, **size)
    return Example(model.eval(), ([torch.rand(3, 320, 320)],))


def _video(name: str) -> Example:
    model = torchvision.models.get_model(name, weights=None)
    size = 224 if "mvit" in name or "s3d" in name else 112
    return Example(model.eval(), (torch.rand(1, 3, 16, size, size),))


class _Flow(nn.Module):
    """Two refinement steps instead of twelve."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        flows: list[torch.Tensor] = self.model(first, second, num_flow_updates=2)
        return flows[-1]


def _flow(name: str) -> Example:
    model = _Flow(torchvision.models.get_model(name, weights=None))
    return Example(model.eval(), (torch.rand(1, 3, 128, 160), torch.rand(1, 3, 128, 160)))


def _builders() -> dict[str, Callable[[], Example]]:
    makers: list[tuple[tuple[str, ...], Callable[[str], Example]]] = [
        (CLASSIFIERS, _image),
        (("googlenet", "inception_v3"), _inception),
        (SEGMENTERS, _segmenter),
        (DETECTORS, _detector),
        (VIDEO, _video),
        (("raft_small", "raft_large"), _flow),
    ]
    return {name: partial(make, name) for names, make in makers for name in names}


BUILDERS: dict[str, Callable[[], Example]] = _builders()
"""Model name -> what builds it."""


def _further() -> dict[str, Callable[[], Example]]:
    makers = {"detection": _detector, "segmentation": _segmenter, "video": _video, "models": _image}
    found: dict[str, Callable[[], Example]] = {}
    for name in torchvision.models.list_models():
        room = torchvision.models.get_model_builder(name).__module__.split(".")[2:]
        maker = makers.get(room[0] if room[0] in makers else "models", _image)
        if name not in BUILDERS and not name.startswith(("vit_h", "vit_l")):
            found[name] = partial(maker, name)
    return found


FURTHER: dict[str, Callable[[], Example]] = _further()
"""The other members of the families."""
