"""Models of packages that are installed without their dependencies, each by a command that a user can give.

``pip install --no-deps --target FOLDER NAME ...`` makes the folder for ``--packages``: with the distributions
of ``packages.txt``, spandrel and libreyolo, and with what :data:`NEEDED` lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from benchmarks.catalogue.candidate import Candidate

NEEDED = """
einops ftfy wcwidth opencv-python-headless hyperpyyaml ruamel.yaml julius lightning-utilities polars
kornia_rs loguru tiktoken anyascii xxhash draccus torchaudio defusedxml langdetect pyclipper shapely
rapidfuzz einx frozendict pypdfium2 typing_inspect mypy_extensions numba llvmlite more_itertools h5py
torch_einops_utils validators six iopath portalocker hydra-core omegaconf antlr4-python3-runtime==4.9.3
datasets dill multiprocess pyarrow pandas python-dateutil imageio
""".split()
"""What the packages import of their dependencies, beside what this project has installed."""

MODELS = Path(__file__).parent / "packages.txt"
REDUCED = frozenset(
    "conformer demucs diffusers mambapy monai segment-anything speechbrain vocos x-transformers".split()
)
"""Distributions whose models are made small here."""

SPANDREL = """
ATD AuraSR CRAFT Compact DAT DCTLSA DITN DRCT DRUNet DnCNN ESRGAN FBCNN FDAT FFTformer GFPGAN GRL HAT
HVICIDNet IPT KBNet:KBNet_s LaMa MMRealSR MixDehazeNet MoESR MoSR NAFNet OmniSR PLKSR RCAN RGT
RealCUGAN:UpCunet2x RestoreFormer RetinexFormer SAFMN SAFMNBCIE SCUNet SPAN SeemoRe SwiftSRGAN Swin2SR
SwinIR Uformer
""".split()
"""The families of spandrel, each with its class where that has another name."""
SPANDREL_ARGUMENTS = {
    "CRAFT": "",
    "Compact": "--arg num_in_ch=3 --arg num_out_ch=3 --arg num_feat=64 --arg num_conv=16",
    "SPAN": "--arg num_in_ch=3 --arg num_out_ch=3",
    "MMRealSR": "--arg num_in_ch=3 --arg num_out_ch=3",
    "SAFMN": "--arg dim=36",
    "SAFMNBCIE": "--arg dim=48",
    "HAT": "--arg window_size=16",
    "Swin2SR": "--arg window_size=8",
    "SwinIR": "--arg window_size=8",
    "LaMa": "--arg in_nc=4",
}
"""Arguments without a default."""
SPANDREL_SIDES = {
    "GFPGAN": 512,
    "RestoreFormer": 512,
    "IPT": 48,
    "Uformer": 128,
    "FBCNN": 64,
    "DnCNN": 64,
    "DRUNet": 64,
}
"""The side of the picture, 64 where nothing is said."""
SPANDREL_CHANNELS = {"FBCNN": 3, "DRUNet": 1, "DnCNN": 1}
SPANDREL_MORE = {"LaMa": ("--input", "1x1x64x64")}
"""Inputs after the picture."""

LIBREYOLO = """
picodet:LibrePICODETModel:detection yolox:LibreYOLOXModel:detection rtmdet:LibreRTMDetModel:detection
yolo9:LibreYOLO9Model:detection ppyoloe:LibrePPYOLOEModel:detection dfine:LibreDFINEModel:detection
deim:LibreDEIMModel:detection rtdetr:RTDETRModel:detection yolonas:LibreYOLONASModel:detection
efficientdet:LibreEfficientDetModel:detection ppliteseg:LibrePPLiteSegNet:segmentation
pidnet:LibrePIDNetNet:segmentation zipdepth:LibreZipDepthNet:depth birefnet:LibreBiRefNetModel:matting
nafnet:NAFNet:restoration quicksrnet:QuickSRNet:super-resolution
""".split()

LIBREYOLO_ARGUMENTS = {
    "dfine": "--arg config=n",
    "deim": "--arg config=n",
    "rtdetr": "--arg config=r18",
    "efficientdet": "--arg size=d0",
}


def candidates() -> Iterator[Candidate]:
    """The models of each package in turn, one of each first."""
    lines = MODELS.read_text(encoding="utf-8").splitlines()
    rows = [tuple(line.split(" | ")) for line in lines if line and not line.startswith("#")]
    made = [
        Candidate(
            f"{distribution}/{name}",
            distribution,
            family,
            task,
            (tuple(words.split()),),
            distribution,
            reduced=distribution in REDUCED,
        )
        for distribution, name, family, task, words in rows
    ]
    made += [*_spandrel(), *_libreyolo()]
    groups: dict[str, list[Candidate]] = {}
    for candidate in made:
        groups.setdefault(candidate.source, []).append(candidate)
    for several in zip_longest(*groups.values()):
        yield from (candidate for candidate in several if candidate is not None)


def _spandrel() -> Iterator[Candidate]:
    for text in SPANDREL:
        family, _, name = text.partition(":")
        side, channels = SPANDREL_SIDES.get(family, 64), SPANDREL_CHANNELS.get(family, 3)
        words = f"spandrel.architectures.{family}:{name or family} {SPANDREL_ARGUMENTS.get(family, '')}"
        more = SPANDREL_MORE.get(family, ())
        command = (*words.split(), "--input", f"1x{channels}x{side}x{side}", *more)
        yield Candidate(f"spandrel/{family}", "spandrel", family, "image restoration", (command,), "spandrel")


def _libreyolo() -> Iterator[Candidate]:
    for text in LIBREYOLO:
        family, name, task = text.split(":")
        extra = LIBREYOLO_ARGUMENTS.get(family, "").split()
        side = {"efficientdet": 512}.get(family, 640 if extra else 320)  # these have tables for one size
        command = (f"libreyolo.models.{family}.nn:{name}", *extra, "--input", f"1x3x{side}x{side}")
        yield Candidate(f"libreyolo/{family}", "libreyolo", family, task, (command,), "libreyolo")
