"""timm's architectures, untrained: the smallest member or two of every family, at its own input size.

Families that only come large are cut down to a few blocks; ``OPTIONS`` says how.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import timm
import torch

from . import Example

__all__ = ["BUILDERS", "FURTHER"]

MODELS = """
beit_base_patch16_224 botnet26t_256 halonet_h1 eca_halonext26ts lambda_resnet26t lamhalobotnet50ts_256
sebotnet33ts_256 bat_resnext26ts mobileone_s0 gernet_s repvgg_a0 resnet33ts gcresnext26ts cait_xxs24_224
coat_tiny coat_lite_tiny convit_tiny convmixer_768_32 convnext_zepto_rms convnext_atto convnextv2_atto
cpubone_nano crossvit_tiny_240 csatv2 cs3darknet_focus_s darknet53 cspresnet50 cspnext_tiny davit_tiny
deit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 densenet121 densenetblur121d
dla46x_c dla34 dpn48b edgenext_xx_small edgenext_small_rw efficientformer_l1 efficientformerv2_s0
efficientnet_lite0 efficientnet_es mixnet_s tinynet_e fbnetc_100 spnasnet_100 mobilenetv1_100
mobilenetv4_conv_small mobilenetv4_hybrid_medium tf_efficientnet_b0 efficientvim_m1 efficientvit_b0
efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 fastvit_sa12 focalnet_tiny_srf gcvit_xxtiny
ghostnet_050 ghostnetv2_100 ghostnetv3_050 hardcorenas_a hgnet_tiny hgnetv2_b0 hiera_tiny_224 hieradet_small
hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3 inception_v4 lcnetv2_small
levit_128s levit_conv_128s lowformer_b0 mambaout_femto maxvit_pico_rw_256 maxvit_rmlp_pico_rw_256
coatnet_pico_rw_224 coatnet_rmlp_nano_rw_224 maxxvitv2_nano_rw_256 poolformer_s12 poolformerv2_s12
caformer_s18 convformer_s18 mixer_s16_224 gmlp_ti16_224 gmixer_12_224 resmlp_12_224 mobilenetv3_small_050
lcnet_035 mobilenetv5_base mobilevit_xxs mobilevitv2_050 mvitv2_tiny naflexvit_base_patch16_gap nest_tiny
nest_tiny_jx nextvit_small nf_regnet_b0 dm_nfnet_f0 eca_nfnet_l0 pit_ti_224 pvt_v2_b0 pvt_v2_b2_li
rdnet_tiny regnetx_002 regnety_002 regnetz_b16 regnetv_040 repghostnet_050 repvit_m0_9 res2net50_14w_8s
res2next50 resnest14d resnet10t resnet18d resnet26t resnetaa50 resnetblur18 ecaresnet26t seresnet18
resnetv2_18 resnetv2_50x1_bit rexnet_100 selecsls42 legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18
starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224 swin_s3_tiny_224 swinv2_tiny_window8_256
swinv2_cr_tiny_224 tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m twins_svt_small twins_pcpvt_small
visformer_tiny flexivit_small vit_tiny_patch16_224 vit_base_patch32_224 vit_base_patch16_siglip_gap_224
vit_so150m_patch16_reg4_gap_256 vit_tiny_r_s16_p8_224 vit_srelpos_small_patch16_224
vit_relpos_small_patch16_rpn_224 samvit_base_patch16_224 vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw
legacy_xception xception41p xcit_nano_12_p8_224 xcit_nano_12_p16_224
""".split()

OPTIONS: dict[str, dict[str, Any]] = {
    "beit_base_patch16_224": {"depth": 2},
    "naflexvit_base_patch16_gap": {"depth": 2},
    "samvit_base_patch16_224": {"depth": 3},
    "vit_base_patch16_siglip_gap_224": {"depth": 2},
    "vit_base_patch32_224": {"depth": 2},
    "vit_so150m_patch16_reg4_gap_256": {"depth": 2},
}


def _image(name: str) -> Example:
    model: Any = timm.create_model(name, pretrained=False, **OPTIONS.get(name, {}))
    return Example(model.eval(), (torch.rand(1, *model.pretrained_cfg["input_size"]),))


BUILDERS: dict[str, Callable[[], Example]] = {name: partial(_image, name) for name in MODELS}
"""Model name -> what builds it."""

LARGE = "base large huge giant gigantic enormous xlarge xxlarge so400m so150m ultra".split()
"""Words in the names of models that take long."""


def _further() -> dict[str, Callable[[], Example]]:
    small = (name for name in timm.list_models() if not any(word in LARGE for word in name.split("_")))
    return {name: partial(_image, name) for name in small if name not in BUILDERS}


FURTHER: dict[str, Callable[[], Example]] = _further()
"""The other members of the families, less those that are large by name."""
