"""Small configurations for transformers' architectures: one for each kind, and what single ones need."""

from __future__ import annotations

from typing import Any

__all__ = ["GROUPED", "OVERRIDES", "SEQ2SEQ", "SPEECH", "TEXT", "VISION", "Config"]

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

OVERRIDES: dict[str, Config] = {
    "CodeGenForCausalLM": {"rotary_dim": 8},
    "BitModel": {
        "hidden_sizes": [16, 32, 48, 64],
        "depths": [1, 1, 1, 1],
        "embedding_size": 16,
        "num_groups": 4,
    },
    "ConvNextForImageClassification": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "ConvNextV2Model": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "CvtModel": {"embed_dim": [16, 32, 48], "depth": [1, 2, 3], "num_heads": [1, 2, 3]},
    "DacModel": {"encoder_hidden_size": 8, "decoder_hidden_size": 64, "n_codebooks": 2},
    "DINOv3ConvNextModel": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]},
    "DPTForDepthEstimation": {
        "num_hidden_layers": 4,
        "backbone_out_indices": [0, 1, 2, 3],
        "neck_hidden_sizes": [8, 16, 24, 32],
        "fusion_hidden_size": 16,
    },
    "DeepseekV3ForCausalLM": {
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 8,
        "num_key_value_heads": 4,
        "n_routed_experts": 8,
        "n_group": 2,
        "topk_group": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 16,
    },
    "DistilBertModel": {"hidden_dim": 48},
    "FalconForCausalLM": {"head_dim": None, "num_key_value_heads": None},
    "FocalNetModel": {"image_size": 64, "embed_dim": 16, "depths": [1, 1, 2, 1]},
    "FunnelModel": {"num_hidden_layers": None, "block_sizes": [1, 1]},
    "HieraModel": {
        "image_size": [64, 64],
        "embed_dim": 16,
        "depths": [1, 1, 2, 1],
        "num_heads": [1, 2, 4, 8],
    },
    "GPTJForCausalLM": {"rotary_dim": 8},
    "GPTNeoForCausalLM": {"attention_types": [[["global", "local"], 1]]},
    "GptOssForCausalLM": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "LayoutLMv3Model": {"coordinate_size": 6, "shape_size": 4, "input_size": 64},
    "LongformerModel": {"attention_window": 4},
    "Mamba2ForCausalLM": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "state_size": 8, "chunk_size": 4},
    "PvtModel": {"image_size": 64},
    "PvtV2Model": {"image_size": 64},
    "Qwen2MoeForCausalLM": {
        "num_experts": 4,
        "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 16,
    },
    "Qwen3MoeForCausalLM": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    "ResNetForImageClassification": {
        "hidden_sizes": [16, 32, 48, 64],
        "depths": [1, 1, 1, 1],
        "embedding_size": 16,
    },
    "RTDetrForObjectDetection": {"num_queries": 16, "encoder_layers": 1, "decoder_layers": 2},
    "SEWModel": {"conv_dim": None},
    "SqueezeBertModel": {"embedding_size": 32},
    "Swin2SRForImageSuperResolution": {
        "image_size": 64,
        "embed_dim": 24,
        "depths": [1, 1],
        "num_heads": [2, 2],
    },
    "SwinModel": {"image_size": 64, "embed_dim": 24, "depths": [1, 2], "num_heads": [2, 4], "window_size": 4},
    "Swinv2Model": {
        "image_size": 64,
        "embed_dim": 24,
        "depths": [1, 2],
        "num_heads": [2, 4],
        "window_size": 4,
    },
    "XLNetModel": {"max_position_embeddings": None, "d_head": 8},
    "YolosForObjectDetection": {"image_size": [64, 64]},
}
