"""Each place where people meet a report has a picture in the docs, which is what its program says now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.sample_faces import FACES, kept_digest, take
from benchmarks.sample_notebook import ROOT, digest_of

MOST = 150_000


@pytest.mark.parametrize("name", FACES)
def test_a_picture_is_shown_and_small(name: str) -> None:
    face = FACES[name]
    assert f"]({face.picture})" in (ROOT / "docs" / face.page).read_text(encoding="utf-8")
    assert (ROOT / "docs" / face.picture).stat().st_size < MOST


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FACES)
def test_a_picture_is_of_today(name: str, tmp_path: Path) -> None:
    """``python -m benchmarks.sample_faces`` takes them anew."""
    if shutil.which("chromium") is None and FACES[name].picture.endswith(".png"):
        pytest.skip("there is no Chromium here: apt-get install chromium")
    picture, text = take(FACES[name], tmp_path)
    assert len(picture) < MOST
    assert "hypot" in text or "CL104" in text
    assert kept_digest(FACES[name]) == digest_of(text)
