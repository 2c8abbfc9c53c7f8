"""The real architectures that convlint must handle: builders with random weights, and their inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """A model that can be built offline. ``slow`` ones are for the long run."""

    name: str
    build: Callable[[], Any]
    shape: tuple[int, ...] | None = None
    kwargs: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)
    slow: bool = False

    def inputs(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        import torch

        torch.manual_seed(0)
        args = (torch.rand(self.shape),) if self.shape else ()
        kwargs = {
            name: torch.rand(shape) if dtype == "float32" else torch.zeros(shape, dtype=getattr(torch, dtype))
            for name, (shape, dtype) in self.kwargs.items()
        }
        return args, kwargs


def _vision(name: str, shape: tuple[int, ...] = (1, 3, 224, 224), slow: bool = False) -> Architecture:
    def build() -> Any:
        import torchvision

        return getattr(torchvision.models, name)(weights=None)

    return Architecture(f"torchvision.{name}", build, shape, slow=slow)


def _segmentation() -> Any:
    import torchvision

    return torchvision.models.segmentation.deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None)


def _detector() -> Any:
    import torchvision

    return torchvision.models.detection.fasterrcnn_mobilenet_v3_large_fpn(weights=None, weights_backbone=None)


def _timm(name: str, size: int = 224, slow: bool = False) -> Architecture:
    def build() -> Any:
        import timm

        return timm.create_model(name, pretrained=False)

    return Architecture(f"timm.{name}", build, (1, 3, size, size), slow=slow)


_SMALL = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_TOKENS: dict[str, tuple[tuple[int, ...], str]] = {"input_ids": ((1, 32), "int64")}


def _hugging(name: str, config: dict[str, Any], *, model: str = "", **given: Any) -> Architecture:
    def build() -> Any:
        import transformers

        kind = model or f"{name}Model"
        settings = getattr(transformers, f"{name}Config")(**config)
        return getattr(transformers, kind)(settings)

    return Architecture(f"transformers.{model or name}", build, **given)


def _whisper_encoder() -> Any:
    import transformers
    from transformers.models.whisper.modeling_whisper import WhisperEncoder

    return WhisperEncoder(
        transformers.WhisperConfig(
            d_model=64,
            encoder_layers=2,
            encoder_attention_heads=4,
            encoder_ffn_dim=128,
            max_source_positions=100,
        )
    )


def large_llama() -> Any:
    """Llama at its full size of 6.7 B parameters; never built with weights."""
    import transformers

    return transformers.LlamaForCausalLM(transformers.LlamaConfig(use_cache=False))


ARCHITECTURES: tuple[Architecture, ...] = (
    _vision("resnet50", slow=True),
    _vision("mobilenet_v3_small"),
    Architecture("torchvision.deeplabv3_mobilenet_v3_large", _segmentation, (1, 3, 224, 224), slow=True),
    _vision("swin_t", slow=True),
    Architecture("torchvision.fasterrcnn_mobilenet_v3_large_fpn", _detector, (1, 3, 320, 320)),
    _timm("vit_tiny_patch16_224", slow=True),
    _timm("convnext_atto", slow=True),
    _timm("swin_tiny_patch4_window7_224", slow=True),
    _timm("maxvit_rmlp_nano_rw_256", 256, slow=True),
    _hugging("Bert", _SMALL, kwargs=_TOKENS),
    _hugging("GPT2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "use_cache": False}, kwargs=_TOKENS),
    _hugging(
        "Llama",
        {**_SMALL, "num_key_value_heads": 2, "vocab_size": 1000, "use_cache": False},
        model="LlamaForCausalLM",
        kwargs=_TOKENS,
    ),
    Architecture("transformers.WhisperEncoder", _whisper_encoder, (1, 80, 200), slow=True),
    _hugging(
        "CLIP",
        {
            "text_config": {**_SMALL, "vocab_size": 1000},
            "vision_config": {**_SMALL, "image_size": 32, "patch_size": 8},
            "projection_dim": 32,
        },
        kwargs={**_TOKENS, "pixel_values": ((1, 3, 32, 32), "float32")},
    ),
    _hugging(
        "Segformer",
        {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "decoder_hidden_size": 32},
        model="SegformerForSemanticSegmentation",
        shape=(1, 3, 64, 64),
        slow=True,
    ),
    _hugging(
        "Mamba",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100, "state_size": 4, "use_cache": False},
        kwargs={"input_ids": ((1, 16), "int64")},
        slow=True,
    ),
)
