"""Models of timm: the smallest of each family first, then other members of the families."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.catalogue.candidate import Candidate

LARGE = "base large huge giant gigantic enormous xlarge xxlarge so400m so150m ultra".split()
COMMON = """
resnet18 mobilenetv4_conv_small fastvit_t8 vit_tiny_patch16_224 efficientvit_b0 mobileone_s0 repvit_m0_9
starnet_s050 mobilevit_xxs tf_efficientnet_b0 convnext_atto ghostnet_050 edgenext_xx_small
efficientformer_l1 efficientformerv2_s0 levit_128s regnety_002 swin_tiny_patch4_window7_224 fasternet_t0
repvgg_a0 hgnetv2_b0 poolformer_s12 pvt_v2_b0 mobilevitv2_050 lcnet_035 inception_next_atto swiftformer_xs
tiny_vit_5m_224 shvit_s1 convnextv2_atto mobilenetv3_small_050 hrnet_w18_small rexnet_100 mobilenetv1_100
deit_tiny_patch16_224 hiera_tiny_224 mixer_s16_224 resmlp_12_224 gmlp_ti16_224 convit_tiny pit_ti_224
""".split()
"""Families that people ask for, in front."""


def candidates() -> Iterator[Candidate]:
    """The members of the benchmark's list, small before large, then others up to two more of a family."""
    import timm
    from timm.models import _registry

    from benchmarks.corpora.timm_models import MODELS

    known = {name for name in timm.list_models() if not name.startswith("test_")}
    listed = [name for name in dict.fromkeys([*COMMON, *MODELS]) if name in known]
    families = {name: _registry._model_to_module[name] for name in known}
    without = [
        next(name for name in sorted(known) if families[name] == family)
        for family in sorted(set(families.values()) - {families[name] for name in listed})
    ]
    chosen = [*listed, *without]
    more = [name for name in sorted(known) if name not in chosen and not _is_large(name)]
    counts = dict.fromkeys(families.values(), 0)
    further = []
    for name in more:
        counts[families[name]] += 1
        if counts[families[name]] <= 2:
            further.append(name)
    for name in sorted([*chosen, *further], key=lambda name: (_is_large(name), name in further)):
        words = (f"timm:{name}",)
        yield Candidate(f"timm/{name}", "timm", families[name], "classification", (words,), "timm", name)


def _is_large(name: str) -> bool:
    return any(word in LARGE for word in name.split("_"))
