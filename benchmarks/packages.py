"""Models of other people's packages through the real command line: every one must end with a verdict.

    pip install --no-deps --target PKGS ultralytics segmentation-models-pytorch ...
    python -m benchmarks.packages --packages PKGS [--only NAME ...] [--reports FOLDER]

No weights are fetched: each function of `benchmarks.package_models` builds its model at random. A package
that is not installed is told as absent, and counts for nothing. Ends with 1 where a model gets no verdict.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

MODELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "yolo11n": ("ultralytics", ("1x3x64x64",)),
    "yolo_pose": ("ultralytics", ("1x3x64x64",)),
    "smp_unet": ("segmentation-models-pytorch", ("1x3x64x64",)),
    "smp_segformer": ("segmentation-models-pytorch", ("1x3x64x64",)),
    "open_clip_vit": ("open-clip-torch", ("1x3x224x224",)),
    "whisper_encoder": ("openai-whisper", ("1x80x3000",)),
    "whisper_tiny": ("openai-whisper", ("mel=1x80x3000", "tokens=1x8:int64")),
    "diffusers_unet": (
        "diffusers",
        ("sample=1x4x16x16", "timestep=1:int64=100", "encoder_hidden_states=1x4x32"),
    ),
    "diffusers_vae": ("diffusers", ("1x3x32x32",)),
    "monai_swin_unetr": ("monai", ("1x1x64x64",)),
    "monai_unetr": ("monai", ("1x1x64x64",)),
    "demucs": ("demucs", ("1x2x44100",)),
    "conformer": ("conformer", ("1x32x64",)),
    "speechbrain_ecapa": ("speechbrain", ("1x50x80",)),
    "spandrel_swinir": ("spandrel", ("1x3x16x16",)),
    "kornia_colour": ("kornia", ("1x3x32x32",)),
    "kornia_disk": ("kornia", ("1x3x64x64",)),
    "geometric_gcn": ("torch_geometric", ("x=10x8", "edge_index=2x20:int64<10")),
    "mambapy": ("mambapy", ("1x8x16",)),
    "x_transformer": ("x-transformers", ("1x16:int64<100",)),
    "vit_pytorch": ("vit-pytorch", ("1x3x32x32",)),
    "e3nn_tensor_product": ("e3nn", ("2x10", "2x10")),
    "efficientnet": ("efficientnet_pytorch", ("1x3x64x64",)),
    "facenet": ("facenet-pytorch", ("1x3x160x160",)),
    "doctr_crnn": ("python-doctr", ("1x3x32x128",)),
    "hf_llama": ("transformers", ("input_ids=1x16:int64<100",)),
    "hf_bert": ("transformers", ("input_ids=1x16:int64<100", "attention_mask=1x16:int64=1")),
    "timm_swin": ("timm", ("1x3x224x224",)),
    "torchvision_detector": ("torchvision", ("1x3x320x320",)),
    "sam2_hiera": ("sam2", ("1x3x128x128",)),
    "segment_anything_encoder": ("segment-anything", ("1x3x128x128",)),
    "lightning_module": ("lightning", ("1x3x32x32",)),
}
"""Each model with the package that it is of, and its inputs."""

HERE = Path(__file__).resolve().parent


def check(name: str, inputs: tuple[str, ...], packages: str, folder: Path | None) -> tuple[str, float, str]:
    """What the command line says of one model: a word, its seconds, and its verdict or its error."""
    command = [
        sys.executable,
        "-m",
        "convlint",
        "check",
        f"{HERE / 'package_models.py'}:{name}",
        "--no-cache",
    ]
    for text in inputs:
        command += ["--input", text]
    paths = [str(HERE.parent), packages, os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    seconds = time.perf_counter() - start
    if folder is not None:
        (folder / f"{name}.txt").write_text(ran.stdout + ran.stderr)
    last = (ran.stdout.strip() or ran.stderr.strip()).splitlines()[-1:]
    if "No module named" in ran.stderr:
        return "absent", seconds, ran.stderr.strip()
    word = {0: "clean", 1: "errors"}.get(ran.returncode, f"exit {ran.returncode}")
    return word, seconds, last[0] if last else ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", default="", help="the folder that the packages are installed in")
    parser.add_argument("--only", nargs="*", help="these models alone")
    parser.add_argument("--reports", type=Path, help="keep every report in this folder")
    options = parser.parse_args()
    if options.reports is not None:
        options.reports.mkdir(parents=True, exist_ok=True)
    outcomes = {}
    for name, (package, inputs) in MODELS.items():
        if options.only and name not in options.only:
            continue
        word, seconds, verdict = check(name, inputs, options.packages, options.reports)
        outcomes[name] = word
        print(f"{package:28} {name:26} {word:8} {seconds:6.1f} s  {verdict[:150]}", flush=True)
    counts = {word: list(outcomes.values()).count(word) for word in sorted(set(outcomes.values()))}
    print(json.dumps(counts))
    return int(any(word.startswith("exit") for word in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
