"""transformers' architectures with random weights, cut down to two narrow layers where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import transformers

from . import Example
from .transformers_configs import GROUPED, OVERRIDES, SEQ2SEQ, SPEECH, TEXT, VISION, Config

__all__ = ["BUILDERS"]

ENCODERS = """
AlbertModel BertForMaskedLM BertForQuestionAnswering BertGenerationEncoder BertModel BigBirdModel
CamembertModel CanineModel ConvBertModel Data2VecTextModel DebertaModel DebertaV2Model DistilBertModel
ElectraForPreTraining ErnieModel EsmModel EuroBertModel FNetModel FlaubertModel FunnelModel IBertModel
LayoutLMModel LongformerModel MPNetModel MegatronBertModel MobileBertModel ModernBertModel MraModel
NomicBertModel NystromformerModel RemBertModel RoFormerModel RobertaForSequenceClassification
RobertaPreLayerNormModel SplinterModel SqueezeBertModel VisualBertModel XLMModel XLMRobertaModel
XLMRobertaXLModel XLNetModel YosoModel
""".split()
DECODERS = """
ArceeForCausalLM ApertusForCausalLM BioGptForCausalLM BitNetForCausalLM BloomForCausalLM CTRLLMHeadModel
CodeGenForCausalLM Cohere2ForCausalLM CohereForCausalLM CpmAntModel DeepseekV3ForCausalLM
DiffLlamaForCausalLM DogeForCausalLM Ernie4_5ForCausalLM Exaone4ForCausalLM FalconForCausalLM
FalconMambaForCausalLM GPT2LMHeadModel GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM
GPTNeoXForCausalLM GPTNeoXJapaneseForCausalLM Gemma2ForCausalLM Gemma3ForCausalLM GemmaForCausalLM
Glm4ForCausalLM GlmForCausalLM GptOssForCausalLM GraniteForCausalLM GraniteMoeForCausalLM HeliumForCausalLM
HunYuanDenseV1ForCausalLM JambaForCausalLM JetMoeForCausalLM Lfm2ForCausalLM Llama4ForCausalLM
LlamaForCausalLM Mamba2ForCausalLM MambaForCausalLM MiniMaxForCausalLM MinistralForCausalLM
MistralForCausalLM MixtralForCausalLM ModernBertDecoderForCausalLM MptForCausalLM NanoChatForCausalLM
NemotronForCausalLM OPTForCausalLM Olmo2ForCausalLM OlmoForCausalLM OlmoeForCausalLM OpenAIGPTLMHeadModel
PersimmonForCausalLM Phi3ForCausalLM PhiForCausalLM PhimoeForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM
Qwen3ForCausalLM Qwen3MoeForCausalLM RecurrentGemmaForCausalLM RwkvForCausalLM SeedOssForCausalLM
SmolLM3ForCausalLM StableLmForCausalLM Starcoder2ForCausalLM XGLMForCausalLM xLSTMForCausalLM
""".split()
ENCODER_DECODERS = """
BartForConditionalGeneration BigBirdPegasusForConditionalGeneration BlenderbotSmallForConditionalGeneration
BlenderbotForConditionalGeneration FSMTForConditionalGeneration LEDForConditionalGeneration
LongT5ForConditionalGeneration M2M100ForConditionalGeneration MBartForConditionalGeneration
MT5ForConditionalGeneration MarianMTModel MvpForConditionalGeneration PLBartForConditionalGeneration
PegasusForConditionalGeneration PegasusXForConditionalGeneration SwitchTransformersForConditionalGeneration
T5ForConditionalGeneration UMT5ForConditionalGeneration
""".split()
VISION_TRANSFORMERS = """
Aimv2VisionModel BeitModel BlipVisionModel CLIPVisionModel DINOv3ViTModel DPTForDepthEstimation
Data2VecVisionModel DeiTModel DetrForObjectDetection Dinov2Model Dinov2WithRegistersModel IJepaModel
InternVLVisionModel SamVisionModel SiglipVisionModel UperNetForSemanticSegmentation ViTMAEModel ViTMSNModel
ViTModel VitDetModel YolosForObjectDetection
""".split()
PYRAMIDS = """
BitModel ConvNextForImageClassification ConvNextV2Model CvtModel DINOv3ConvNextModel FocalNetModel
GLPNForDepthEstimation HGNetV2Backbone HieraModel LevitModel MobileNetV1Model MobileNetV2Model
MobileViTModel MobileViTV2Model PoolFormerModel PvtModel PvtV2Model RTDetrForObjectDetection RegNetModel
ResNetForImageClassification SegformerForSemanticSegmentation SuperPointForKeypointDetection
SwiftFormerModel Swin2SRForImageSuperResolution SwinModel Swinv2Model TextNetModel
""".split()
VIDEO_MODELS = ("TimesformerModel", "VideoMAEModel", "VivitModel")
SPEECH_MODELS = """
Data2VecAudioModel HubertModel SEWModel UniSpeechModel UniSpeechSatModel Wav2Vec2ConformerModel
Wav2Vec2ForCTC Wav2Vec2Model WavLMModel
""".split()


def _tokens(length: int = 8) -> torch.Tensor:
    return torch.arange(3, 3 + length)[None]


def _mask(length: int = 8) -> torch.Tensor:
    return torch.ones(1, length, dtype=torch.long)


def _model(name: str, common: Config) -> Any:
    """The architecture with ``common``, changed by its own overrides; None there drops an entry."""
    model = getattr(transformers, name)
    wanted = common | OVERRIDES.get(name, {})
    config = model.config_class(**{key: value for key, value in wanted.items() if value is not None})
    return model(config).eval()


def _encoder(name: str) -> Example:
    return Example(_model(name, TEXT), (), {"input_ids": _tokens(), "attention_mask": _mask()})


def _decoder(name: str) -> Example:
    return Example(_model(name, GROUPED), (), {"input_ids": _tokens()})


def _encoder_decoder(name: str) -> Example:
    return Example(_model(name, SEQ2SEQ), (), {"input_ids": _tokens(), "decoder_input_ids": _tokens(4)})


def _vision(name: str, common: Config = VISION) -> Example:
    model = _model(name, common)
    size = getattr(model.config, "image_size", 64)
    height, width = (size, size) if isinstance(size, int) else size
    return Example(model, (), {"pixel_values": torch.rand(1, 3, height, width)})


def _pyramid(name: str) -> Example:
    return _vision(name, {})


def _video(name: str) -> Example:
    model = _model(name, VISION)
    frames, size = model.config.num_frames, model.config.image_size
    return Example(model, (), {"pixel_values": torch.rand(1, frames, 3, size, size)})


def _speech(name: str) -> Example:
    return Example(_model(name, SPEECH), (), {"input_values": torch.rand(1, 4000)})


def _whisper(name: str) -> Example:
    config = SEQ2SEQ | {"max_source_positions": 32, "max_target_positions": 16, "num_mel_bins": 20}
    inputs = {"input_features": torch.rand(1, 20, 64), "decoder_input_ids": _tokens(4)}
    return Example(_model(name, config), (), inputs)


def _spectrogram(name: str) -> Example:
    config = VISION | {
        "max_length": 64,
        "num_mel_bins": 32,
        "patch_size": 8,
        "frequency_stride": 8,
        "time_stride": 8,
    }
    return Example(_model(name, config), (), {"input_values": torch.rand(1, 64, 32)})


def _codec(name: str) -> Example:
    return Example(_model(name, {}), (), {"input_values": torch.rand(1, 1, 3200)})


def _vocoder(name: str) -> Example:
    return Example(_model(name, {"model_in_dim": 16, "upsample_initial_channel": 32}), (torch.rand(20, 16),))


def _pair(name: str) -> Example:
    """Text and image towers side by side."""
    towers = {"text_config": TEXT, "vision_config": VISION}
    inputs = {"input_ids": _tokens(), "pixel_values": torch.rand(1, 3, 64, 64), "attention_mask": _mask()}
    return Example(_model(name, towers), (), inputs)


def _joint(name: str) -> Example:
    """Text and image tokens in one encoder."""
    inputs = {"input_ids": _tokens(), "pixel_values": torch.rand(1, 3, 64, 64), "attention_mask": _mask()}
    return Example(_model(name, TEXT | VISION), (), inputs)


def _series(name: str) -> Example:
    config = {
        "context_length": 32,
        "num_input_channels": 2,
        "patch_length": 8,
        "patch_stride": 8,
        "d_model": 16,
    }
    return Example(_model(name, config), (), {"past_values": torch.rand(1, 32, 2)})


def _decision(name: str) -> Example:
    model = _model(
        name, {"hidden_size": 32, "n_layer": 2, "n_head": 4, "state_dim": 5, "act_dim": 3, "max_ep_len": 16}
    )
    inputs = {
        "states": torch.rand(1, 4, 5),
        "actions": torch.rand(1, 4, 3),
        "returns_to_go": torch.rand(1, 4, 1),
        "timesteps": torch.arange(4)[None],
        "attention_mask": torch.ones(1, 4),
    }
    return Example(model, (), inputs)


def _builders() -> dict[str, Callable[[], Example]]:
    makers: list[tuple[Sequence[str], Callable[[str], Example]]] = [
        (ENCODERS, _encoder),
        (DECODERS, _decoder),
        (ENCODER_DECODERS, _encoder_decoder),
        (VISION_TRANSFORMERS, _vision),
        (PYRAMIDS, _pyramid),
        (VIDEO_MODELS, _video),
        (SPEECH_MODELS, _speech),
        (("WhisperForConditionalGeneration",), _whisper),
        (("ASTModel",), _spectrogram),
        (("EncodecModel", "DacModel"), _codec),
        (("SpeechT5HifiGan",), _vocoder),
        (("CLIPModel", "SiglipModel", "AltCLIPModel", "OwlViTModel", "BlipModel"), _pair),
        (("ViltModel", "LayoutLMv3Model"), _joint),
        (("PatchTSTModel", "PatchTSMixerModel"), _series),
        (("DecisionTransformerModel",), _decision),
    ]
    return {name: partial(make, name) for names, make in makers for name in names}


BUILDERS: dict[str, Callable[[], Example]] = _builders()
"""Model class -> what builds it."""
