"""Models that other packages build, one function each, without weights, for `benchmarks.packages`."""

from __future__ import annotations

from typing import Any

from torch import nn


def _only(part: Any) -> nn.Module:
    assert isinstance(part, nn.Module)
    return part


def yolo11n() -> nn.Module:
    from ultralytics.nn.tasks import DetectionModel

    return _only(DetectionModel("yolo11n.yaml", verbose=False))


def yolo_pose() -> nn.Module:
    from ultralytics.nn.tasks import PoseModel

    return _only(PoseModel("yolov8n-pose.yaml", verbose=False))


def smp_unet() -> nn.Module:
    from segmentation_models_pytorch import Unet

    return _only(Unet("resnet18", encoder_weights=None))


def smp_segformer() -> nn.Module:
    from segmentation_models_pytorch import Segformer

    return _only(Segformer("mit_b0", encoder_weights=None))


def open_clip_vit() -> nn.Module:
    import open_clip

    return _only(open_clip.create_model("ViT-B-32", pretrained=None).visual)


def whisper_encoder() -> nn.Module:
    from whisper.model import AudioEncoder

    return _only(AudioEncoder(80, 1500, 384, 6, 4))


def whisper_tiny() -> nn.Module:
    from whisper.model import ModelDimensions, Whisper

    return _only(Whisper(ModelDimensions(80, 1500, 384, 6, 4, 51865, 448, 384, 6, 4)))


def diffusers_unet() -> nn.Module:
    from diffusers import UNet2DConditionModel

    return _only(
        UNet2DConditionModel(
            sample_size=16, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32,
            attention_head_dim=8, norm_num_groups=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )
    )  # fmt: skip


def diffusers_vae() -> nn.Module:
    from diffusers import AutoencoderKL

    return _only(AutoencoderKL(block_out_channels=(32,), norm_num_groups=8))


def monai_swin_unetr() -> nn.Module:
    from monai.networks.nets import SwinUNETR

    return _only(SwinUNETR(1, 2, feature_size=12, spatial_dims=2))


def monai_unetr() -> nn.Module:
    from monai.networks.nets import UNETR

    return _only(UNETR(1, 2, (64, 64), hidden_size=96, mlp_dim=192, num_heads=4, spatial_dims=2))


def demucs() -> nn.Module:
    from demucs.htdemucs import HTDemucs

    return _only(HTDemucs(["a", "b"], channels=16, depth=3, t_layers=1, segment=1))


def conformer() -> nn.Module:
    from conformer import Conformer

    return _only(Conformer(64, depth=2, dim_head=16, heads=4))


def speechbrain_ecapa() -> nn.Module:
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    return _only(ECAPA_TDNN(80, channels=[64, 64, 64, 64, 192], lin_neurons=64))


def spandrel_swinir() -> nn.Module:
    from spandrel.architectures.SwinIR import SwinIR

    return _only(SwinIR(img_size=16, embed_dim=24, depths=[2, 2], num_heads=[4, 4], window_size=4, upscale=2))


class _Kornia(nn.Module):
    def forward(self, x: Any) -> Any:
        import kornia

        return kornia.filters.gaussian_blur2d(kornia.color.rgb_to_lab(x), (3, 3), (1.0, 1.0))


def kornia_colour() -> nn.Module:
    return _Kornia()


def kornia_disk() -> nn.Module:
    from kornia.feature import DISK

    return _only(DISK().unet)


def geometric_gcn() -> nn.Module:
    from torch_geometric.nn import GCN

    return _only(GCN(8, 16, 2, 4))


def mambapy() -> nn.Module:
    from mambapy.mamba import Mamba, MambaConfig

    return _only(Mamba(MambaConfig(d_model=16, n_layers=1, pscan=False)))


def x_transformer() -> nn.Module:
    from x_transformers import Decoder, TransformerWrapper

    return _only(
        TransformerWrapper(
            num_tokens=100, max_seq_len=32, attn_layers=Decoder(dim=32, depth=2, heads=4, rotary_pos_emb=True)
        )
    )


def vit_pytorch() -> nn.Module:
    from vit_pytorch import ViT

    return _only(ViT(image_size=32, patch_size=8, num_classes=10, dim=32, depth=2, heads=4, mlp_dim=64))


def e3nn_tensor_product() -> nn.Module:
    from e3nn.o3 import FullyConnectedTensorProduct

    return _only(FullyConnectedTensorProduct("4x0e + 2x1o", "4x0e + 2x1o", "4x0e + 2x1o"))


def efficientnet() -> nn.Module:
    from efficientnet_pytorch import EfficientNet

    return _only(EfficientNet.from_name("efficientnet-b0"))


def facenet() -> nn.Module:
    from facenet_pytorch import InceptionResnetV1

    return _only(InceptionResnetV1(pretrained=None))


def doctr_crnn() -> nn.Module:
    from doctr.models.recognition import crnn_mobilenet_v3_small

    return _only(crnn_mobilenet_v3_small(pretrained=False, pretrained_backbone=False, exportable=True))


def hf_llama() -> nn.Module:
    from transformers import LlamaConfig, LlamaForCausalLM

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return _only(LlamaForCausalLM(LlamaConfig(vocab_size=100, use_cache=False, **size)))


def hf_bert() -> nn.Module:
    from transformers import BertConfig, BertModel

    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return _only(BertModel(BertConfig(vocab_size=100, **size)))


def timm_swin() -> nn.Module:
    import timm

    return _only(timm.create_model("swin_tiny_patch4_window7_224", pretrained=False))


def torchvision_detector() -> nn.Module:
    from torchvision.models.detection import ssdlite320_mobilenet_v3_large

    return _only(ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None))


def sam2_hiera() -> nn.Module:
    from sam2.modeling.backbones.hieradet import Hiera

    return _only(Hiera(embed_dim=16, num_heads=1, stages=(1, 1, 2, 1), global_att_blocks=(3,)))


def segment_anything_encoder() -> nn.Module:
    from segment_anything.modeling import ImageEncoderViT

    return _only(ImageEncoderViT(img_size=128, embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,)))


def lightning_module() -> nn.Module:
    from lightning import LightningModule

    class Small(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())

        def forward(self, x: Any) -> Any:
            return self.body(x)

    return _only(Small())
