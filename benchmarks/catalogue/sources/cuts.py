"""Small configurations of transformers: the settings that differ from the default, one set after another.

Nothing is known of a type but the names of its fields. So the first sets only take layers away, and each of
the rest keeps another of the relations that may hold between widths; which one runs is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

Settings = dict[str, Any]
Sizes = Mapping[str, int]

_WORDS = {"vocab_size": 1000}
_TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
"""Ids that a small vocabulary has."""
_WIDTHS = {
    "num_attention_heads": ("hidden_size", "d_model", "n_embd"),
    "num_heads": ("hidden_size", "d_model", "embed_dim"),
    "n_head": ("n_embd", "hidden_size"),
    "n_heads": ("d_model", "hidden_size", "dim"),
}
"""What the number of heads is called, and the widths that it may divide."""
_INNER = (
    "intermediate_size",
    "moe_intermediate_size",
    "ffn_hidden_size",
    "expert_ffn_hidden_size",
    "shared_expert_intermediate_size",
)
_FEW = 4
"""Heads of a small model."""
_MISSING = {"vocab_size": 1000, "num_experts_per_tok": 2, "n_routed_experts": 4, "n_shared_experts": 1}
"""What some types leave open in their default, and then do not build from it."""


def small_settings(default: Any) -> Iterator[Settings]:
    """Settings to try for a configuration, the most like the default first."""
    from benchmarks.corpora.transformers_zoo import DEPTHS, WIDTHS

    depths = {key: size for key, size in DEPTHS.items() if size == 2 and "token" not in key}
    depths |= {
        key: DEPTHS[key]
        for key in ("num_experts", "num_local_experts", "n_routed_experts", "n_group", "topk_group")
    }
    yield _cut(default, lambda part: depths)
    yield _cut(default, lambda part: depths | _WORDS)
    yield _cut(default, lambda part: DEPTHS | WIDTHS)
    for layers, width in ((2, 0), (2, 64), (_FEW, 0), (2 * _FEW, 0)):  # 4 and 8: some of each kind of layer
        deep = depths | {key: layers for key in depths if "layer" in key}
        yield _whole(default, partial(_narrow, deep, width))
    yield {**_whole(default, partial(_narrow, depths, 0)), "use_cache": False}


def _cut(config: Any, sizes: Callable[[Any], Sizes]) -> Settings:
    """The settings of a configuration that are larger than these, cut, with those of its parts."""
    import transformers

    made: Settings = {}
    wanted = sizes(config)
    for key, value in vars(config).items():
        if isinstance(value, transformers.PretrainedConfig):
            parts = _cut(value, sizes)
            if parts:
                made[key] = {"model_type": value.model_type, **parts} if value.model_type else parts
        elif isinstance(value, int) and not isinstance(value, bool) and value > wanted.get(key, value):
            made[key] = wanted[key]
        elif key == "depths" and isinstance(value, list | tuple) and any(depth > 2 for depth in value):
            made[key] = type(value)(min(depth, 2) for depth in value)
    return made


def _whole(config: Any, sizes: Callable[[Any], Sizes]) -> Settings:
    """The settings of :func:`_cut`, with what each part has of its own and what the default leaves open.

    A part that is given anew begins from the default of its type, and not from what this configuration made
    of it: the stages that a backbone hands on, say.
    """
    import transformers

    made = _cut(config, sizes)
    fields = vars(config)
    made |= {key: size for key, size in _MISSING.items() if key in fields and fields[key] is None}
    if "vocab_size" in made and fields.get("pad_token_id", 0) is None:
        made["pad_token_id"] = 0
    heads = next((made.get(key, fields.get(key)) for key in _WIDTHS if key in fields), None)
    width = made.get("hidden_size", fields.get("hidden_size"))
    if fields.get("head_dim", 0) is None and isinstance(heads, int) and isinstance(width, int):
        made["head_dim"] = width // heads
    for key, part in fields.items():
        if isinstance(part, transformers.PretrainedConfig) and part.model_type:
            own = _own(part)
            if own or key in made:
                made[key] = {"model_type": part.model_type, **own, **_whole(part, sizes)}
    return made


def _own(part: Any) -> Settings:
    """What a part has that is not the default of its type: numbers, words and lists of them."""
    try:
        plain = vars(type(part)())
    except Exception:  # a type that has no default
        return {}
    found = {}
    for key, value in vars(part).items():
        name = key.removeprefix("_")
        differs = isinstance(value, int | float | str | list | tuple) and value != plain.get(key)
        if differs and name in ("out_features", *plain):
            found[name] = value
    return found


def _narrow(depths: Sizes, of_head: int, config: Any) -> dict[str, int]:
    """Few heads, each as wide as it was or as ``of_head``: what divides a head sees no difference."""
    fields = vars(config)
    sizes = {**depths, **_WORDS, **_TOKENS}
    for heads, widths in _WIDTHS.items():
        number = fields.get(heads)
        if not isinstance(number, int) or number <= _FEW:
            continue
        for width in widths:
            size = fields.get(width)
            if isinstance(size, int) and size % number == 0:
                narrow = _FEW * (of_head or size // number)
                sizes |= {heads: _FEW, width: narrow, "num_key_value_heads": _FEW}
                return sizes | dict.fromkeys(_INNER, 2 * narrow)
    return sizes
