"""The models of the published latencies that can be built here, with the family that each belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parent / "latencies.json"
UNSEEN = Path(__file__).parent / "latencies_unseen.json"
"""Latencies that no fit has read, nor anybody who chose the form of the model."""


@dataclass(frozen=True, slots=True)
class Timed:
    """One published latency, and the key of the model that it is of."""

    key: str
    family: str
    name: str
    chip: str
    unit: str
    milliseconds: float
    source: str


def timed() -> list[Timed]:
    """The published latencies in float16 of models that can be built here."""
    found = []
    for row in json.loads(TABLE.read_text(encoding="utf-8")):
        key = key_of(row)
        compressed = row.get("precision", "fp16") != "fp16"
        if key is None or compressed or "ms" not in row or not row.get("chip"):
            continue
        if row["unit"] in ("CPU_ONLY", "CPU_AND_GPU"):
            continue
        found.append(
            Timed(key, family_of(key), row["model"], row["chip"], row["unit"], row["ms"], row["source"])
        )
    return found


def unseen() -> list[Timed]:
    """Published latencies for a last comparison; nothing is ever fitted to them."""
    return [
        Timed(
            row["key"],
            family_of(row["key"]),
            row["model"],
            row["chip"],
            row["unit"],
            row["ms"],
            row["source"],
        )
        for row in json.loads(UNSEEN.read_text(encoding="utf-8"))
    ]


def key_of(row: dict[str, Any]) -> str | None:
    """A text that says what to build: a name of timm with the size of its image, or one of ours."""
    name = row["model"].removesuffix(" backbone")
    image = re.search(r"x(\d+)$", row.get("input", ""))
    size = image[1] if image else "224"
    if chain := re.fullmatch(r"(\d+) x \(conv1x1 512ch \+ relu chain\)", row["model"]):
        return f"chain:{chain[1]}"
    if chain := re.match(r"(\d+) x conv1x1 512->512 \(shared", row["model"]):
        return f"shared:{chain[1]}"
    if row["model"].startswith("gpt2-large") and row["input"].split()[0] in ("32", "96", "128"):
        return None  # half of the lengths of the larger model are enough, and take a minute less
    if cached := re.match(r"gpt2(-large)? \d+M with KV cache 512", row["model"]):
        return f"gpt2{cached[1] or ''}:{row['input'].split()[0]}"
    timm = {
        "MobileNetV2-1.0": "mobilenetv2_100", "MobileNetV2 1.0x": "mobilenetv2_100",
        "MobileNetV2 1.4x": "mobilenetv2_140", "MobileNetV3-small": "mobilenetv3_small_100",
        "MobileNetV3-Large 0.75x": "mobilenetv3_large_075", "MobileNetV3-Large 1.0x": "mobilenetv3_large_100",
        "ResNet50": "resnet50", "EfficientNet-B0": "efficientnet_b0", "PVTv2-B1": "pvt_v2_b1",
    }.get(name)  # fmt: skip
    if timm is None and re.match(r"(FastViT|EfficientFormer|SwiftFormer|PoolFormer|iFormer)-", name):
        timm = name.lower().replace("-", "_")
    return f"{timm}@{size}" if timm else None


def family_of(key: str) -> str:
    """What is left out together: models of one design, and all depths of one chain."""
    name = re.split(r"[:@]", key)[0]
    return "chain" if name in ("chain", "shared") else re.split(r"[_-]|\d", name)[0] or name


def builders(keys: set[str]) -> Iterator[tuple[str, Callable[[], Any], Callable[[], Any]]]:
    """For each key how to build the model, and its inputs."""
    import torch

    for key in sorted(keys, key=lambda key: (key.startswith("gpt2-"), key)):  # the largest last
        name, _, size = re.sub("[:@]", " ", key).partition(" ")
        if name in ("chain", "shared"):
            shape = (1, 512, 32, 32) if name == "chain" else (1, 512, 1, 128)
            yield key, lambda n=int(size), s=name: chain(n, s == "shared"), lambda s=shape: torch.zeros(s)
        elif name.startswith("gpt2"):
            width, depth, heads = (1280, 36, 20) if name.endswith("large") else (768, 12, 12)
            build = lambda w=width, d=depth, h=heads: cached_gpt2(w, d, h)  # noqa: E731
            yield key, build, lambda n=int(size): torch.zeros(1, n, dtype=torch.int64)
        elif name == "depth-anything":
            shape = tuple(map(int, size.split("x")))
            yield key, lambda s=shape: depth_anything(*s), lambda s=shape: torch.zeros(1, 3, *s)
        elif name == "segformer-b0":
            yield key, segformer, lambda s=int(size): torch.zeros(1, 3, s, s)
        else:
            build = lambda n=name, s=int(size): image_model(n, s)  # noqa: E731
            yield key, build, lambda s=int(size): torch.zeros(1, 3, s, s)


def image_model(name: str, size: int) -> Any:
    """A model of timm as it is used on a device: branches that fold into one are folded.

    EfficientFormer holds a table of relative positions, which timm makes for images of 224 alone.
    """
    from functools import partial
    from unittest.mock import patch

    import timm
    from timm.models import efficientformer
    from timm.utils import reparameterize_model

    sized = partial(efficientformer.Attention, resolution=size // 32)
    with patch.object(efficientformer, "Attention", sized):
        return reparameterize_model(timm.create_model(name).eval())


def segformer() -> Any:
    """SegFormer-B0 with 35 classes, as its configuration has it."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    return SegformerForSemanticSegmentation(SegformerConfig(num_labels=35)).eval()


def depth_anything(height: int, width: int) -> Any:
    """Depth Anything small: DINOv2 under the convolutions of DPT, its positions made for the size."""
    import torch
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    model = DepthAnythingForDepthEstimation(DepthAnythingConfig()).eval()
    start = model.backbone.embeddings
    (rows, columns), (_, _, channels) = start.patch_embeddings.patch_size, start.position_embeddings.shape
    positions = torch.zeros(1, 1 + height // rows * (width // columns), channels)
    start.position_embeddings = torch.nn.Parameter(positions)
    start.interpolate_pos_encoding = lambda *sizes: start.position_embeddings
    return model


def chain(length: int, shared: bool) -> Any:
    """1x1 convolutions of 512 channels with relu, each with its own weights or all with the same."""
    from torch import nn

    conv = nn.Conv2d(512, 512, 1)
    layers: list[nn.Module] = []
    for _ in range(length):
        layers += [conv if shared else nn.Conv2d(512, 512, 1), *([] if shared else [nn.ReLU()])]
    return nn.Sequential(*layers).eval()


def cached_gpt2(width: int, depth: int, heads: int, keys: int = 512) -> Any:
    """GPT-2 that sees a few new tokens, and the keys and values of a cache of 512."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
            self.register_buffer("cache", torch.zeros(2, 1, heads, keys, width // heads))

        def forward(self, x: Any, one: Any) -> Any:
            new = x.shape[1]
            parts = self.qkv(self.norm1(x)).chunk(3, -1)
            q, k, v = (part.reshape(1, new, heads, -1).transpose(1, 2) for part in parts)
            k = torch.cat([self.cache[0][:, :, new:] * one, k], 2)
            v = torch.cat([self.cache[1][:, :, new:] * one, v], 2)
            scores = (q @ k.transpose(-1, -2) * (width // heads) ** -0.5).softmax(-1)
            x = x + self.out((scores @ v).transpose(1, 2).reshape(1, new, width))
            return x + self.down(functional.gelu(self.up(self.norm2(x)), approximate="tanh"))

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(50257, width)
            self.blocks = nn.ModuleList(Block() for _ in range(depth))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 50257, bias=False)

        def forward(self, tokens: Any) -> Any:
            x = self.embed(tokens)
            one = x.mean().reshape(1, 1, 1, 1) * 0 + 1  # a cache is an input, and no constant to be folded
            for block in self.blocks:
                x = block(x, one)
            return self.head(self.norm(x[:, -1:]))  # of the new tokens, only the last is to be continued

    return Model().eval()
