"""transformers' architectures with random weights, cut down to two narrow layers where the configuration allows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import transformers

from . import Example

__all__ = ["BUILDERS"]

Config = dict[str, Any]

TEXT: Config = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "use_cache": False,
}
GROUPED: Config = TEXT | {"num_key_value_heads": 2, "head_dim": 8}
SEQ2SEQ: Config = {
    "vocab_size": 64,
    "d_model": 32,
    "hidden_size": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "num_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "num_heads": 4,
    "d_kv": 8,
    "d_ff": 48,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "use_cache": False,
}
VISION: Config = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "image_size": 64,
    "patch_size": 16,
}
SPEECH: Config = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "conv_dim": (32, 32, 32, 32, 32, 32, 32),
    "num_conv_pos_embedding_groups": 4,
    "num_conv_pos_embeddings": 16,
}

ENCODERS = """
AlbertModel BertForMaskedLM BertForQuestionAnswering BertGenerationEncoder BertModel BigBirdModel CamembertModel
CanineModel ConvBertModel Data2VecTextModel DebertaModel DebertaV2Model DistilBertModel ElectraForPreTraining ErnieModel
EsmModel EuroBertModel FNetModel FlaubertModel FunnelModel IBertModel LayoutLMModel LongformerModel MPNetModel
MegatronBertModel MobileBertModel ModernBertModel MraModel NomicBertModel NystromformerModel RemBertModel
RoFormerModel RobertaForSequenceClassification RobertaPreLayerNormModel SplinterModel SqueezeBertModel
VisualBertModel XLMModel XLMRobertaModel XLMRobertaXLModel XLNetModel YosoModel
""".split()
DECODERS = """
ArceeForCausalLM ApertusForCausalLM BioGptForCausalLM BitNetForCausalLM BloomForCausalLM CTRLLMHeadModel
CodeGenForCausalLM Cohere2ForCausalLM CohereForCausalLM CpmAntModel DeepseekV3ForCausalLM DiffLlamaForCausalLM
DogeForCausalLM Ernie4_5ForCausalLM Exaone4ForCausalLM FalconForCausalLM FalconMambaForCausalLM GPT2LMHeadModel
GPTBigCodeForCausalLM GPTJForCausalLM GPTNeoForCausalLM GPTNeoXForCausalLM GPTNeoXJapaneseForCausalLM Gemma2ForCausalLM
Gemma3ForCausalLM GemmaForCausalLM Glm4ForCausalLM GlmForCausalLM GptOssForCausalLM GraniteForCausalLM
GraniteMoeForCausalLM HeliumForCausalLM HunYuanDenseV1ForCausalLM JambaForCausalLM JetMoeForCausalLM Lfm2ForCausalLM
Llama4ForCausalLM LlamaForCausalLM Mamba2ForCausalLM MambaForCausalLM MiniMaxForCausalLM MinistralForCausalLM
MistralForCausalLM MixtralForCausalLM ModernBertDecoderForCausalLM MptForCausalLM NanoChatForCausalLM
NemotronForCausalLM OPTForCausalLM Olmo2ForCausalLM OlmoForCausalLM OlmoeForCausalLM OpenAIGPTLMHeadModel
PersimmonForCausalLM Phi3ForCausalLM PhiForCausalLM PhimoeForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM
Qwen3ForCausalLM Qwen3MoeForCausalLM RecurrentGemmaForCausalLM RwkvForCausalLM SeedOssForCausalLM SmolLM3ForCausalLM
StableLmForCausalLM Starcoder2ForCausalLM XGLMForCausalLM xLSTMForCausalLM
""".split()
ENCODER_DECODERS = """
BartForConditionalGeneration BigBirdPegasusForConditionalGeneration BlenderbotSmallForConditionalGeneration
BlenderbotForConditionalGeneration FSMTForConditionalGeneration LEDForConditionalGeneration
LongT5ForConditionalGeneration M2M100ForConditionalGeneration MBartForConditionalGeneration MT5ForConditionalGeneration
MarianMTModel MvpForConditionalGeneration PLBartForConditionalGeneration PegasusForConditionalGeneration
PegasusXForConditionalGeneration SwitchTransformersForConditionalGeneration
T5ForConditionalGeneration UMT5ForConditionalGeneration
""".split()
VISION_TRANSFORMERS = """
Aimv2VisionModel BeitModel BlipVisionModel CLIPVisionModel DINOv3ViTModel DPTForDepthEstimation Data2VecVisionModel
DeiTModel DetrForObjectDetection Dinov2Model Dinov2WithRegistersModel IJepaModel InternVLVisionModel SamVisionModel
SiglipVisionModel UperNetForSemanticSegmentation ViTMAEModel ViTMSNModel ViTModel VitDetModel YolosForObjectDetection
""".split()
PYRAMIDS = """
BitModel ConvNextForImageClassification ConvNextV2Model CvtModel DINOv3ConvNextModel FocalNetModel
GLPNForDepthEstimation HGNetV2Backbone HieraModel LevitModel MobileNetV1Model MobileNetV2Model MobileViTModel
MobileViTV2Model PoolFormerModel PvtModel PvtV2Model RTDetrForObjectDetection RegNetModel ResNetForImageClassification
SegformerForSemanticSegmentation SuperPointForKeypointDetection SwiftFormerModel Swin2SRForImageSuperResolution
SwinModel Swinv2Model TextNetModel
""".split()
VIDEO_MODELS = ("TimesformerModel", "VideoMAEModel", "VivitModel")
SPEECH_MODELS = """
Data2VecAudioModel HubertModel SEWModel UniSpeechModel UniSpeechSatModel Wav2Vec2ConformerModel Wav2Vec2ForCTC
Wav2Vec2Model WavLMModel
""".split()

OVERRIDES: dict[str, Config] = {
    "CodeGenForCausalLM": {"rotary_dim": 8},
    "BitModel": {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "embedding_size": 16, "num_groups": 4},
    "ConvNextForImageClassification": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "ConvNextV2Model": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "CvtModel": {"embed_dim": [16, 32, 48], "depth": [1, 2, 3], "num_heads": [1, 2, 3]},
    "DacModel": {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "n_codebooks": 2},
    "DINOv3ConvNextModel": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "DPTForDepthEstimation": {"num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3],
                              "neck_hidden_sizes": [8, 16, 24, 32], "fusion_hidden_size": 16},
    "DeepseekV3ForCausalLM": {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8,
                              "v_head_dim": 8, "num_key_value_heads": 4, "n_routed_experts": 8, "n_group": 2,
                              "topk_group": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "DistilBertModel": {"hidden_dim": 48},
    "FalconForCausalLM": {"head_dim": None, "num_key_value_heads": None},
    "FocalNetModel": {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 2, 1]},
    "FunnelModel": {"num_hidden_layers": None, "block_sizes": [1, 1]},
    "HieraModel": {"image_size": [64, 64], "embed_dim": 16, "depths": [1, 1, 2, 1], "num_heads": [1, 2, 4, 8]},
    "GPTJForCausalLM": {"rotary_dim": 8},
    "GPTNeoForCausalLM": {"attention_types": [[["global", "local"], 1]]},
    "GptOssForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "LayoutLMv3Model": {"coordinate_size": 6, "shape_size": 4, "input_size": 64},
    "LongformerModel": {"attention_window": 4},
    "Mamba2ForCausalLM": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "state_size": 8, "chunk_size": 4},
    "PvtModel": {"image_size": 64},
    "PvtV2Model": {"image_size": 64},
    "Qwen2MoeForCausalLM": {"num_experts": 4, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16},
    "Qwen3MoeForCausalLM": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "ResNetForImageClassification": {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "embedding_size": 16},
    "RTDetrForObjectDetection": {"num_queries": 16, "encoder_layers": 1, "decoder_layers": 2},
    "SEWModel": {"conv_dim": None},
    "SqueezeBertModel": {"embedding_size": 32},
    "Swin2SRForImageSuperResolution": {"image_size": 64, "embed_dim": 24, "depths": [1, 1], "num_heads": [2, 2]},
    "SwinModel": {"image_size": 64, "embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    "Swinv2Model": {"image_size": 64, "embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    "XLNetModel": {"max_position_embeddings": None, "d_head": 8},
    "YolosForObjectDetection": {"image_size": [64, 64]},
}


def _tokens(length: int = 8) -> torch.Tensor:
    return torch.arange(3, 3 + length)[None]


def _mask(length: int = 8) -> torch.Tensor:
    return torch.ones(1, length, dtype=torch.long)


def _model(name: str, common: Config) -> Any:
    model = getattr(transformers, name)
    wanted = common | OVERRIDES.get(name, {})
    return model(model.config_class(**{key: value for key, value in wanted.items() if value is not None})).eval()


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
    config = VISION | {"max_length": 64, "num_mel_bins": 32, "patch_size": 8, "frequency_stride": 8, "time_stride": 8}
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
    config = {"context_length": 32, "num_input_channels": 2, "patch_length": 8, "patch_stride": 8, "d_model": 16}
    return Example(_model(name, config), (), {"past_values": torch.rand(1, 32, 2)})


def _decision(name: str) -> Example:
    model = _model(name, {"hidden_size": 32, "n_layer": 2, "n_head": 4, "state_dim": 5, "act_dim": 3, "max_ep_len": 16})
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
    return {name: (lambda make=make, name=name: make(name)) for names, make in makers for name in names}


BUILDERS: dict[str, Callable[[], Example]] = _builders()
"""Model class -> what builds it."""
