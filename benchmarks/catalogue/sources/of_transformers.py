"""Every type of model of transformers, from its default configuration with two layers.

Widths stay those of the default, where the model is then small enough; else they are cut as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.catalogue.candidate import Candidate
from benchmarks.catalogue.sources.cuts import small_settings

COMMON = """
bert mobilevit whisper distilbert vit llama segformer wav2vec2 t5 detr gpt2 dinov2 clip mobilenet_v2 qwen2
roberta convnext swin bart albert deit gemma yolos qwen3 hubert electra rt_detr mistral mobilebert dpt phi3
siglip resnet depth_anything deberta-v2 beit phi opt gemma2 encodec pvt vitmatte efficientnet marian blip
mixtral falcon data2vec-vision levit cvt focalnet regnet olmo2 smollm3 granite gemma3_text xlm-roberta
modernbert rwkv mamba mamba2 squeezebert layoutlm camembert mpnet swinv2 hiera dinov3_vit vit_mae glpn
mgp-str owlvit conditional_detr deformable_detr sew unispeech speecht5 vits moonshine clap musicgen
seamless_m4t superpoint sam sam2 pix2struct donut-swin trocr
""".split()
"""Types that people ask for, in front; the rest follows by name."""
LARGEST = 60_000_000
"""Parameters above which widths are cut too."""
TASKS = {
    "OBJECT_DETECTION": "detection",
    "SEMANTIC_SEGMENTATION": "segmentation",
    "UNIVERSAL_SEGMENTATION": "segmentation",
    "DEPTH_ESTIMATION": "depth",
    "KEYPOINT_DETECTION": "pose",
    "IMAGE_CLASSIFICATION": "classification",
    "VIDEO_CLASSIFICATION": "video classification",
    "SPEECH_SEQ_2_SEQ": "speech recognition",
    "CTC": "speech recognition",
    "AUDIO_CLASSIFICATION": "audio classification",
    "CAUSAL_LM": "text generation",
    "SEQ_TO_SEQ_CAUSAL_LM": "translation",
    "MASKED_LM": "text encoding",
}
"""The table of heads that a type is in, and what that is called here; the first that fits."""


def candidates() -> Iterator[Candidate]:
    """Every type that has a model without a head, common ones first."""
    import transformers

    mapping = transformers.models.auto.modeling_auto.MODEL_MAPPING_NAMES
    types = [name for name in transformers.CONFIG_MAPPING if name in mapping]
    for name in [*(name for name in COMMON if name in types), *sorted(set(types) - set(COMMON))]:
        commands = tuple(_commands(name))
        if commands:
            yield Candidate(
                f"transformers/{name}",
                "transformers",
                name,
                _task(name),
                commands,
                "transformers",
                largest=LARGEST,
                reduced=True,
            )


def _task(name: str) -> str:
    from transformers.models.auto import modeling_auto as auto

    tables = ((getattr(auto, f"MODEL_FOR_{table}_MAPPING_NAMES", {}), task) for table, task in TASKS.items())
    return next((task for names, task in tables if name in names), "features")


def _commands(name: str) -> Iterator[tuple[str, ...]]:
    import transformers

    config = transformers.CONFIG_MAPPING[name]
    try:
        default = config()
    except Exception:  # a configuration of parts that have to be given
        yield (f"hf:{name}",)
        return
    for settings in small_settings(default):
        text = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        yield (f"hf:{name}", "--arg-expr", f"config=transformers.{config.__name__}({text})")
