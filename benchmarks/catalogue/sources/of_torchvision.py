"""Every model of torchvision. Constructors get their arguments for no weights: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.catalogue.candidate import Candidate

FIRST = """
resnet18 mobilenet_v3_small lraspp_mobilenet_v3_large squeezenet1_1 shufflenet_v2_x1_0
efficientnet_b0 deeplabv3_mobilenet_v3_large mobilenet_v2 vit_b_32 alexnet quantized_mobilenet_v2
regnet_y_400mf mnasnet0_5 convnext_tiny swin_t ssdlite320_mobilenet_v3_large googlenet resnet50
fcn_resnet50 densenet121 s3d ssd300_vgg16 vgg11_bn resnext50_32x4d wide_resnet50_2 inception_v3
regnet_x_400mf swin_v2_t retinanet_resnet50_fpn deeplabv3_resnet50 efficientnet_v2_s maxvit_t raft_small
fcos_resnet50_fpn quantized_resnet18 mobilenet_v3_large fasterrcnn_mobilenet_v3_large_320_fpn vit_b_16
resnet34 swin3d_t r3d_18 mc3_18 r2plus1d_18 mvit_v2_s
fasterrcnn_resnet50_fpn maskrcnn_resnet50_fpn keypointrcnn_resnet50_fpn
""".split()
"""One model of each family and task; the rest follows by name."""
LATE = (
    "vit_h",
    "vit_l",
    "regnet_y_128gf",
    "_32gf",
    "_16gf",
    "efficientnet_b7",
    "efficientnet_v2_l",
    "raft",
    "swin3d",
    "mvit",
    "rcnn",
)
"""Parts of the names of models that take long."""
TASKS = {
    "detection": "detection",
    "segmentation": "segmentation",
    "video": "video classification",
    "optical_flow": "optical flow",
    "quantization": "classification",
}


def candidates() -> Iterator[Candidate]:
    """All models, the first of each family first."""
    import torchvision

    names = torchvision.models.list_models()
    rest = sorted(
        (name for name in names if name not in FIRST), key=lambda name: any(part in name for part in LATE)
    )
    for name in [*(name for name in FIRST if name in names), *rest]:
        yield _candidate(name)


def _candidate(name: str) -> Candidate:
    from torchvision.models import get_model_builder

    *rooms, family = get_model_builder(name).__module__.split(".")[2:]
    task = next((TASKS[room] for room in rooms if room in TASKS), "classification")
    words = [f"torchvision:{name}"]
    if task in ("detection", "segmentation"):
        words += ["--arg-expr", "weights_backbone=None"]
    if name in ("googlenet", "inception_v3"):
        words += ["--arg", "init_weights=False"]  # else it warns, and draws for long
    return Candidate(f"torchvision/{name}", "torchvision", family, task, (tuple(words),), "torchvision")
