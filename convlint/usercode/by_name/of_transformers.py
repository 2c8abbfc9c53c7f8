"""The models of transformers by the type of their configuration, as in ``config.json``: no hub is asked.

``hf:bert`` is ``BertModel`` of ``BertConfig()``. A model whose default is very large is made with four
layers, so that it can be fixed and compared too.
https://huggingface.co/docs/transformers/model_doc/auto
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from convlint.errors import ModelError, UsageError
from convlint.interface.contents import Contents
from convlint.interface.inputs import InputSpec, parse_input
from convlint.nearest import did_you_mean
from convlint.usercode.arguments import evaluate_expression
from convlint.usercode.by_name.full import InFull

_TOKENS, _DECODED, _SAMPLES, _SIDE = 64, 16, 16_000, 224
"""Tokens of a text and of what was decoded of it, samples of a second of sound, the side of a picture."""
_LARGEST = 10**9
"""Parameters from which on a default configuration is made with fewer layers."""
_LAYERS = 4
_FRAMES, _STEPS, _PATCHES = 256, 20, 16
"""Frames of a spectrum where the type names no number of its own, steps of what an agent did, and the patches
of a side, for encoders that take them as rows."""
_BINS_FIRST = {"glmasr_encoder", "voxtral_realtime_encoder"}
"""Types whose spectra are (bins, frames), though they have no number of positions, as Whisper's have."""
_STATED = """
audioflamingo3_encoder input_features=1x{num_mel_bins}x3000 input_features_mask=1x3000:bool=true
blip_2_qformer query_embeds=1x32x{hidden_size} encoder_hidden_states=1x257x{encoder_hidden_size}
bridgetower input_ids=1x64:int64 pixel_values=1x3x{image_size}x{image_size}
bros input_ids=1x64:int64 bbox=1x64x{dim_bbox}
clap input_ids=1x64:int64 input_features=1x1x1001x{num_mel_bins}
dac input_values=1x1x16000
depth_pro pixel_values=1x3x1536x1536
efficientloftr pixel_values=1x2x3x256x256
fun_asr_nano_encoder input_features=1x128x{input_size} input_features_mask=1x128:bool=true
gemma4_audio input_features=1x256x128 attention_mask=1x256:bool=true
gemma4_vision pixel_values=1x144x768 pixel_position_ids=1x144x2:int64=0..11
granite_speech5_ctc input_features=1x256x320
granite_speech5_encoder input_features=1x256x320
idefics input_ids=1x64:int64 pixel_values=1x1x3x{image_size}x{image_size} image_attention_mask=1x64x1:int64=1
kimi_k25_vision pixel_values=256x3x{patch_size}x{patch_size} grid_thw=1x3:int64=1,16,16
lxmert input_ids=1x64:int64 visual_feats=1x36x{visual_feat_dim} visual_pos=1x36x{visual_pos_dim}
mimi_decoder latents=1x{hidden_size}x25
speecht5 input_values=1x100x{hidden_size} decoder_input_values=1x16x{hidden_size}
"""
"""The inputs of types whose signatures and fields do not say them, with the sizes of their configuration."""
_TOGETHER = {"states": ("actions", "rewards", "returns_to_go", "timesteps")}
"""What is given with an input, though the signature does not ask for it."""


def names() -> Collection[str]:
    """Every type that has a configuration."""
    import transformers

    return frozenset(transformers.CONFIG_MAPPING)


def in_full(name: str, args: Mapping[str, Any], arg_exprs: Mapping[str, str]) -> InFull:
    """The class of the model with a configuration.

    Arguments that the class does not have are those of the configuration: ``--arg num_hidden_layers=4``.
    """
    import transformers

    model, config = _classes(name)
    taken = inspect.signature(model.__init__).parameters
    own = {key: value for key, value in args.items() if key in taken}
    exprs = {key: text for key, text in arg_exprs.items() if key in taken}
    if "config" not in exprs:
        settings = {key: repr(value) for key, value in args.items() if key not in taken}
        settings |= {key: text for key, text in arg_exprs.items() if key not in taken}
        _check_settings(name, config, settings)
        exprs = {"config": _configured(config, settings), **exprs}
    inputs = tuple(_inputs(model, _evaluated(exprs["config"])))
    return InFull(f"{transformers.__name__}:{model.__name__}", own, exprs, inputs)


def _classes(name: str) -> tuple[Any, Any]:
    """The class of a type's model without a head, and that of its configuration."""
    import transformers

    config = transformers.CONFIG_MAPPING[name]
    try:
        model = transformers.MODEL_MAPPING[config]
    except KeyError:
        raise ModelError(
            f"transformers names no model for the type {name!r} alone: give a class and its configuration, as"
            f" in transformers:CLASS --arg-expr 'config=transformers.{config.__name__}()'."
        ) from None
    return (model[0] if isinstance(model, tuple) else model), config


def _check_settings(name: str, config: Any, settings: Mapping[str, str]) -> None:
    """Refuse what a configuration does not have: it would take any argument, and nothing would come of it."""
    if not settings:
        return
    known = {*vars(config()), *config.attribute_map, *inspect.signature(config.__init__).parameters}
    for key in settings:
        if key not in known:
            near = did_you_mean(key, known)
            raise UsageError(f"{config.__name__}, the configuration of hf:{name}, has no {key!r}.{near}")


def _configured(config: Any, settings: Mapping[str, str]) -> str:
    """The expression of a configuration with these settings, and with few layers where it is very large."""
    text = _called(config, settings)
    if "num_hidden_layers" in settings or _parameters(_evaluated(text)) <= _LARGEST:
        return text
    smaller = _called(config, {**settings, "num_hidden_layers": str(_LAYERS)})
    try:
        _evaluated(smaller)
    except UsageError:  # the layers of its kinds are counted elsewhere too
        return text
    return smaller


def _called(config: Any, settings: Mapping[str, str]) -> str:
    return f"transformers.{config.__name__}({', '.join(f'{key}={text}' for key, text in settings.items())})"


def _evaluated(text: str) -> Any:
    import transformers

    return evaluate_expression("config", text, vars(transformers))


def _parameters(config: Any) -> int:
    """About how many parameters a transformer of this configuration has: 12 squares of its width a layer."""
    total = 0
    for part in _parts(config):
        width, layers = _number(part, "hidden_size"), _number(part, "num_hidden_layers")
        experts = max(_number(part, "num_experts"), _number(part, "num_local_experts"), 1)
        total += (4 + 8 * experts) * width * width * layers + width * _number(part, "vocab_size")
    return total


def _parts(config: Any) -> Iterator[Any]:
    """A configuration and those of its parts, and of theirs."""
    yield config
    for name in ("text_config", "vision_config", "audio_config", "encoder_config", "backbone_config"):
        part = _value(config, name)
        if part is not None and part is not config:
            yield from _parts(part)


def _value(config: Any, name: str) -> Any:
    try:
        return getattr(config, name, None)
    except Exception:  # what differs from layer to layer raises errors of its own
        return None


def _number(config: Any, name: str) -> int:
    value = _value(config, name)
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _inputs(model: Any, config: Any) -> Iterator[InputSpec]:
    """The inputs that the model needs, for a batch of one; none where its kind is not known here."""
    taken = inspect.signature(model.forward).parameters
    main = model.main_input_name
    names = [main] if isinstance(main, str) else list(main)
    if hasattr(model, "get_text_features"):  # two encoders side by side, and both are compared
        names = [name for name in ("input_ids", "pixel_values", "input_features") if name in taken]
    stated = next((line for line in _STATED.splitlines() if line.split()[:1] == [config.model_type]), "")
    if stated:
        yield from (parse_input(_filled(text, config)) for text in stated.split()[1:])
        return
    names += [name for name, each in taken.items() if name not in names and _is_required(each)]
    names += [more for name in names for more in _TOGETHER.get(name, ()) if more not in names]
    patched = any(name.endswith("grid_thw") for name in names if name in taken)
    given = _of_patches if patched else _input
    found = [given(name, config) for name in names if name in taken]
    if not found or None in found:
        return
    yield from (each for each in found if each is not None)
    if _value(config, "is_encoder_decoder") and "decoder_input_ids" in taken:
        yield InputSpec("decoder_input_ids", (1, _DECODED), "int64")


def _filled(text: str, config: Any) -> str:
    """An input with the sizes of the configuration, or of the first of its parts that has them."""
    for key in re.findall(r"{(\w+)}", text):
        size = next((n for part in _parts(config) if (n := _number(part, key))), 0)
        text = text.replace(f"{{{key}}}", str(size))
    return text


def _is_required(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and parameter.default is parameter.empty and parameter.name != "self"


def _input(name: str, config: Any) -> InputSpec | None:
    """One input by its name, which says the kind in all of transformers."""
    if name == "input_ids":
        limits = (_number(part, "max_position_embeddings") for part in _parts(config))
        return InputSpec(name, (1, min(n for n in (*limits, _TOKENS) if n > 0)), "int64")
    if name in ("pixel_values", "pixel_values_videos"):
        return InputSpec(name, (1, *_picture(config, video=name.endswith("videos"))))
    if name == "input_values":
        bins, length = _number(config, "num_mel_bins"), _number(config, "max_length")
        channels = _number(config, "audio_channels")
        wave = (1, channels, _SAMPLES) if channels else (1, _SAMPLES)
        return InputSpec(name, (1, length, bins) if bins and length else wave)
    if name in ("input_features", "audio_mel"):
        return _features(name, config)
    if name in ("input_features_mask", "audio_mel_mask"):
        return InputSpec(name, (1, _FRAMES), "bool", contents=Contents(True, True))
    if name == "past_values":
        return _of_numbers(name, config, "context_length", "num_input_channels")
    if name == "task_inputs":
        return _of_numbers(name, config, "task_seq_len", dtype="int64")
    return _of_an_agent(name, config)


def _of_numbers(name: str, config: Any, *keys: str, dtype: str = "float32") -> InputSpec | None:
    """An input of the sizes that the configuration has under these keys; None where it lacks one."""
    sizes = [_number(config, key) for key in keys]
    return InputSpec(name, (1, *sizes), dtype) if all(sizes) else None


def _of_patches(name: str, config: Any) -> InputSpec | None:
    """An input of an encoder that takes a picture as rows, one for each patch, and their grid beside it."""
    if name.endswith("grid_thw"):
        return InputSpec(name, (1, 3), "int64", contents=Contents(listed=(1, _PATCHES, _PATCHES)))
    side, frames = _number(config, "patch_size"), _number(config, "temporal_patch_size") or 1
    channels = _number(config, "in_channels") or _number(config, "num_channels") or 3
    if name not in ("hidden_states", "pixel_values") or not side:
        return None
    return InputSpec(name, (_PATCHES * _PATCHES, channels * frames * side * side))


def _of_an_agent(name: str, config: Any) -> InputSpec | None:
    """What an agent saw and did, step by step."""
    sizes = {
        "states": _number(config, "state_dim"),
        "actions": _number(config, "act_dim"),
        "rewards": 1,
        "returns_to_go": 1,
    }
    if name == "timesteps":
        return InputSpec(name, (1, _STEPS), "int64")
    return InputSpec(name, (1, _STEPS, sizes[name])) if sizes.get(name) else None


def _picture(config: Any, *, video: bool) -> tuple[int, ...]:
    parts = list(_parts(config))
    channels = next(
        (n for part in parts for key in ("num_channels", "in_channels") if (n := _number(part, key))), 3
    )
    size = next((s for part in parts if (s := _value(part, "image_size"))), _SIDE)
    sides = (
        (size, size) if isinstance(size, int) else tuple(size.values() if isinstance(size, Mapping) else size)
    )
    frames = next(
        (n for part in parts if (n := _number(part, "num_frames") or _number(part, "frames_per_clip"))), 0
    )
    return (*((frames,) if video or frames else ()), channels, *sides[-2:])


def _features(name: str, config: Any) -> InputSpec | None:
    """Spectra of sound, in the order of axes that the type has them."""
    bins, frames = _number(config, "num_mel_bins"), 2 * _number(config, "max_source_positions")
    if bins and frames:
        return InputSpec(name, (1, bins, frames))
    for key in ("feature_projection_input_dim", "input_feat_per_channel"):
        if _number(config, key):
            return InputSpec(name, (1, 128, _number(config, key)))
    if config.model_type in _BINS_FIRST:
        return InputSpec(name, (1, bins, _FRAMES))
    keys = ("num_mel_bins", "input_feat_size")
    bins = next((n for part in _parts(config) for key in keys if (n := _number(part, key))), 0)
    return InputSpec(name, (1, _FRAMES, bins)) if bins else None
