"""A picture of each place where people meet a report; ``python -m benchmarks.sample_faces [NAME ...]``.

Each runs the real program on one small project, and draws what it said: a terminal as rich draws it, the
rest in Chromium. A picture keeps the digest of its text, so that a test can say when it is stale.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sample_editor import said_by_the_server, seen_in_the_editor
from benchmarks.sample_notebook import MARK, ROOT, digest_of

NET = '''\
import torch
from torch import nn


class Net(nn.Module):  # convlint: input 1x3x64x64
    """Two convolutions, and the length of a vector."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 64, 3, padding=1)
        self.head = nn.Conv2d(64, 64, 3, padding=1)

    def forward(self, x):
        x = self.stem(x)
        y = self.head(x)
        return torch.hypot(x, y)
'''
CONFIG = """\
[[models]]
name = "net"
spec = "net.py:Net"
inputs = ["1x3x64x64"]
"""
TEST = """\
from net import Net


def test_it_converts(convlint):
    convlint.assert_convertible(Net(), ["1x3x64x64"])
"""
HOOK = """\
repos:
  - repo: local
    hooks:
      - id: convlint
        name: convlint
        entry: convlint check --format concise --changed
        language: system
        types: [python]
        require_serial: true
"""
_COMMENT = """body { margin: 0; padding: 18px 26px; background: #fff; color: #1f2328;
font: 14px/1.5 system-ui, sans-serif }
h1, h2, h3 { margin: 14px 0 8px; font-size: 18px; line-height: 1.25 }
pre { padding: 10px 14px; background: #f6f8fa; border-radius: 6px }
code { font: 12px/1.45 ui-monospace, Menlo, Consolas, monospace; background: #f6f8fa }
table { margin-bottom: 10px; border-collapse: collapse }
td, th { padding: 4px 11px; border: 1px solid #d1d9e0; text-align: left }"""

_SIGNS = {"\u274c": "\u2717", "\u2705": "\u2713", "\u26a0\ufe0f": "\u26a0"}
"""What stands for an emoji where no font has it."""
_DURATION = re.compile(r" \(\d+:\d\d:\d\d\)")


@dataclass(frozen=True, slots=True)
class Face:
    """A picture under docs/, the page that shows it, and what says the text and the page behind it."""

    picture: str
    page: str
    text: Callable[[Path], str]
    height: int = 0


def project(folder: Path) -> Path:
    """The small project, as its author would have it."""
    files = {"net.py": NET, "convlint.toml": CONFIG, "test_net.py": TEST, ".pre-commit-config.yaml": HOOK}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def said(folder: Path, *command: str) -> str:
    """What a command prints in the project."""
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stdout + done.stderr)
    return done.stdout


def _environment(folder: Path) -> Mapping[str, str]:
    programs = folder / ".programs"
    programs.mkdir(exist_ok=True)
    program = programs / "convlint"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m convlint "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GIT_", "CONVLINT_", "PYTEST_")) and name != "CI"
    }
    return kept | {
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "CONVLINT_CACHE": "0",
        "COLUMNS": "100",
        "PRE_COMMIT_HOME": str(folder / ".pre-commit"),
        "GIT_CONFIG_GLOBAL": os.devnull,
    }


def _pytest(folder: Path) -> str:
    words = ("-m", "pytest", "-q", "--no-header", "--color=yes", "-p", "no:cacheprovider")
    return "$ pytest -q\n" + _DURATION.sub("", said(folder, sys.executable, *words))


def _pre_commit(folder: Path) -> str:
    said(folder, "git", "init", "--quiet")
    said(folder, "git", "add", "net.py", ".pre-commit-config.yaml")
    words = ("-m", "pre_commit", "run", "--color=always")
    return "$ pre-commit run\n" + said(folder, sys.executable, *words)


def _comment(folder: Path) -> str:
    import markdown

    text = said(folder, sys.executable, "-m", "convlint", "check", "--format", "markdown")
    for sign, plain in _SIGNS.items():
        text = text.replace(sign, plain)
    text = text.replace("<details", '<details markdown="1"')
    body = markdown.markdown(text, extensions=["tables", "md_in_html", "pymdownx.superfences"])
    return f"<!DOCTYPE html><meta charset='utf-8'><style>{_COMMENT}</style><body>{body}"


def _page(folder: Path) -> str:
    said(folder, sys.executable, "-m", "convlint", "check", "--quiet", "--html", "page.html")
    return (folder / "page.html").read_text(encoding="utf-8")


def _editor(folder: Path) -> str:
    return seen_in_the_editor(NET, said_by_the_server(folder, "net.py", _environment(folder)))


FACES = {
    "pytest": Face("pytest.svg", "ci.md", _pytest),
    "pre-commit": Face("pre-commit.svg", "ci.md", _pre_commit),
    "comment": Face("comment.png", "ci.md", _comment),
    "page": Face("page.png", "html-report.md", _page, 860),
    "editor": Face("editor.png", "editor.md", _editor),
}


def take(face: Face, folder: Path) -> tuple[bytes, str]:
    """The picture of a face as it is now, and the text that it shows."""
    shown = face.text(project(folder))
    if face.picture.endswith(".svg"):
        return _drawn(shown)
    return _photographed(shown, face.height)


def kept_digest(face: Face) -> str:
    """The digest of the text that the picture under docs/ shows."""
    file = ROOT / "docs" / face.picture
    if face.picture.endswith(".svg"):
        return file.read_text(encoding="utf-8").rpartition(f"<!-- {MARK} ")[2].partition(" ")[0]
    from PIL import Image

    return str(Image.open(file).info[MARK])


def _drawn(said: str) -> tuple[bytes, str]:
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True, highlight=False)
    text = Text.from_ansi(said.rstrip())
    console.print(text)
    first = text.plain.partition("\n")[0].removeprefix("$ ")
    drawing = console.export_svg(title=first, unique_id=first.replace(" ", "-"))
    return f"{drawing}<!-- {MARK} {digest_of(text.plain)} -->\n".encode(), text.plain


def _photographed(page: str, height: int) -> tuple[bytes, str]:
    from PIL import Image, PngImagePlugin
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        size = {"width": 1280 if height else 860, "height": height or 400}
        shown = browser.new_page(viewport=size, device_scale_factor=1.25)
        file = Path(folder) / "shown.html"
        file.write_text(page, encoding="utf-8")
        shown.goto(file.as_uri())
        if height:
            shown.wait_for_selector("html[data-painted]", state="attached")
        text = shown.locator("body").inner_text()
        data = shown.screenshot(full_page=not height)
        browser.close()
    about = PngImagePlugin.PngInfo()
    about.add_text(MARK, digest_of(text))
    picture = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").quantize(200).save(
        picture, "PNG", optimize=True, pnginfo=about
    )
    return picture.getvalue(), text


def main(names: list[str]) -> int:
    """Take the pictures of these names, or all."""
    for name in names or FACES:
        face = FACES[name]
        with tempfile.TemporaryDirectory() as folder:
            picture, text = take(face, Path(folder))
        (ROOT / "docs" / face.picture).write_bytes(picture)
        print(f"docs/{face.picture}  {len(picture) / 1000:.0f} kB, {len(text.splitlines())} lines")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
