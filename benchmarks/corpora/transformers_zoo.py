"""Every architecture of transformers by its default configuration, cut down: no list, no override.

Which sizes of a configuration may be cut follows from the names of its fields, and which inputs a model
takes from the names of its arguments. So what a new release adds is here without a change; what cannot
be built or run this way raises.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import transformers
from transformers.models.auto import modeling_auto as auto

from . import Example
from .transformers_models import BUILDERS as LISTED

__all__ = ["BUILDERS"]

TASKS = (
    "CAUSAL_LM",
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SPEECH_SEQ_2_SEQ",
    "OBJECT_DETECTION",
    "SEMANTIC_SEGMENTATION",
    "UNIVERSAL_SEGMENTATION",
    "DEPTH_ESTIMATION",
    "IMAGE_CLASSIFICATION",
    "CTC",
)
"""Heads to prefer over the bare model, in this order."""

DEPTHS = {
    "num_hidden_layers": 2,
    "num_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "encoder_num_layers": 2,
    "decoder_num_layers": 2,
    "depth": 2,
    "vocab_size": 128,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "image_size": 64,
    "num_queries": 16,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 1,
    "topk_group": 1,
    "num_hash_layers": 0,
    "first_k_dense_replace": 1,
}
"""Sizes that can be cut alone."""
WIDTHS = {
    "hidden_size": 32,
    "d_model": 32,
    "n_embd": 32,
    "encoder_hidden_dim": 32,
    "num_attention_heads": 4,
    "num_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "d_kv": 8,
    "intermediate_size": 48,
    "ffn_dim": 48,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "d_ff": 48,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "qk_head_dim": 16,
    "v_head_dim": 8,
    "projection_dim": 32,
}
"""Sizes that must fit each other, so that cutting them may be refused."""
LARGEST = 40_000_000
"""Parameters of a model that is still looked at."""


def _classes() -> list[str]:
    """One class for each type of model: with a head of ``TASKS`` where there is one."""
    tables = [getattr(auto, f"MODEL_FOR_{task}_MAPPING_NAMES") for task in TASKS] + [auto.MODEL_MAPPING_NAMES]
    types = dict.fromkeys(kind for table in tables for kind in table)
    found = (next(table[kind] for table in tables if kind in table) for kind in types)
    names = dict.fromkeys(name if isinstance(name, str) else name[0] for name in found)
    return [name for name in names if name not in LISTED]


def _cut(config: Any, sizes: dict[str, int]) -> dict[str, Any]:
    """The arguments that make ``config`` anew with sizes no larger than these."""
    made: dict[str, Any] = {}
    for key, value in vars(config).items():
        if isinstance(value, transformers.PretrainedConfig):
            made[key] = {"model_type": value.model_type, **_cut(value, sizes)}
        elif isinstance(value, int) and not isinstance(value, bool) and key in sizes:
            made[key] = min(value, sizes[key])
        elif key == "depths" and isinstance(value, (list, tuple)):
            made[key] = type(value)(1 for _ in value)
    return made


def _models(name: str) -> Iterator[Any]:
    """The class as small as it can be made, then with its own widths."""
    model = getattr(transformers, name)
    default = model.config_class()
    for sizes in (DEPTHS | WIDTHS, DEPTHS):
        try:
            config = model.config_class(**_cut(default, sizes))
            config.use_cache = False
            with torch.device("meta"):
                count = sum(parameter.numel() for parameter in model(config).parameters())
        except Exception:  # a configuration may refuse sizes in any way
            continue
        if count <= LARGEST:
            yield model(config).eval()


def _inputs(model: Any) -> Iterator[dict[str, torch.Tensor]]:
    """Sets of arguments to try, by the names that ``forward`` has for them."""
    config = model.config
    names = inspect.signature(model.forward).parameters
    vision = getattr(config, "vision_config", None) or config
    size = getattr(vision, "image_size", None) or 64
    height, width = (size, size) if isinstance(size, int) else tuple(size)
    mels = getattr(config, "num_mel_bins", None) or 80
    tokens = torch.arange(3, 11)[None]
    choices: dict[str, list[torch.Tensor]] = {
        "input_ids": [tokens],
        "decoder_input_ids": [tokens[:, :4]],
        "bbox": [torch.arange(32).reshape(1, 8, 4)],
        "pixel_values": [torch.rand(1, 3, height, width), torch.rand(1, 4, 3, height, width)],
        "input_values": [torch.rand(1, 4000), torch.rand(1, 1, 4000)],
        "input_features": [torch.rand(1, mels, 64), torch.rand(1, 64, mels), torch.rand(1, mels, 3000)],
    }
    given = {name: choices[name] for name in choices if name in names}
    main = [{name} for name in given if name not in ("decoder_input_ids", "bbox")]
    for wanted in (*main, set(given), *({*one, "decoder_input_ids"} for one in main)):
        chosen = {name: values for name, values in given.items() if name in wanted}
        for values in itertools.product(*chosen.values()):
            yield dict(zip(chosen, values, strict=True))


def _example(name: str) -> Example:
    problems: list[str] = []
    for model in _models(name):
        for inputs in _inputs(model):
            try:
                with torch.no_grad():
                    model(**inputs)
            except Exception as error:
                problems.append(f"{', '.join(inputs)}: {type(error).__name__}: {str(error)[:100]}")
            else:
                return Example(model, (), inputs)
    raise NotImplementedError(
        f"{name} cannot be made this way: {'; '.join(problems) or 'too large, or refused'}"
    )


BUILDERS: dict[str, Callable[[], Example]] = {name: partial(_example, name) for name in _classes()}
"""Model class -> what builds it, or raises."""
