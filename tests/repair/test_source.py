"""A rule's change said on a line of source: by what names mean there, with the user's own text."""

from __future__ import annotations

from textwrap import dedent

import pytest

from convlint.model import Replacement
from convlint.repair.source.files import SourceFile
from convlint.repair.source.match import Module, rewritten

HYPOT = Replacement("t", before="torch.hypot(x, y)", after="torch.sqrt(x * x + y * y)")
ADDCMUL = Replacement("t", before="torch.addcmul(x, y, w)", after="x + y * w")
MISH = Replacement("t", before="F.mish(x)", after="F.silu(x)")
PLACE = Replacement("t", before="y[i] = v", after="y[i] = v.expand_as(y[i])")
POWER = Replacement("t", before="torch.square(x)", after="torch.pow(x, 2)")


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("ys[:, 1] = found", "ys[:, 1] = found.expand_as(ys[:, 1])"),
        ("self.ys[:, i + 1] = a.argmax(-1)", "self.ys[:, i + 1] = a.argmax(-1).expand_as(self.ys[:, i + 1])"),
        ("ys[..., 1:n] = a - b", "ys[..., 1:n] = (a - b).expand_as(ys[..., 1:n])"),
        ("ys[0, -1] = a if b else c", "ys[0, -1] = (a if b else c).expand_as(ys[0, -1])"),
        ("ys[f(1)] = found", None),
        ("g()[1] = found", None),
        ("ys = found", None),
        ("ys[0] = zs[0] = found", None),
        ("ys[0] += found", None),
    ],
)
def test_an_assignment_to_a_place(written: str, becomes: str | None) -> None:
    """The place is named twice, so that nothing in it may cost anything."""
    assert on_the_line(f"{written}  #!", PLACE) == becomes


def on_the_line(text: str, replacement: Replacement) -> str | None:
    """The line marked by ``#!`` with the change, None where it is not made."""
    text = dedent(text).lstrip("\n")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "#!" in each)
    change = rewritten(Module(SourceFile(text.encode())), line, replacement)
    if change is None:
        return None
    changed = text[: change.start] + change.text + text[change.end :]
    return changed.splitlines()[line - 1].partition("#!")[0].strip()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("import torch\nz = torch.hypot(a, b)  #!", "z = torch.sqrt(a * a + b * b)"),
        ("import torch as t\nz = t.hypot(a, b)  #!", "z = t.sqrt(a * a + b * b)"),
        ("from torch import hypot\nimport torch\nz = hypot(a, b)  #!", "z = torch.sqrt(a * a + b * b)"),
        ("from torch import hypot\nz = hypot(a, b)  #!", None),
        ("import torch\ndef f(torch, a, b):\n    return torch.hypot(a, b)  #!", None),
        ("import torch\ndef f(a, b):\n    torch = a\n    return torch.hypot(a, b)  #!", None),
        (
            "def f(a, b):\n    import torch\n    return torch.hypot(a, b)  #!",
            "return torch.sqrt(a * a + b * b)",
        ),
        ("def g():\n    import torch\ndef f(a, b):\n    return torch.hypot(a, b)  #!", None),
        (
            "class Net:\n    import torch\n    def forward(self, a, b):\n"
            "        return torch.hypot(a, b)  #!",
            None,
        ),
        ("import torch\nz = [torch.hypot(a, b) for torch in others]  #!", None),
        (
            "import torch\nz = [torch.hypot(a, b) for a in c]  #!",
            "z = [torch.sqrt(a * a + b * b) for a in c]",
        ),
        ("import torch\nf = lambda torch: torch.hypot(a, b)  #!", None),
        (
            "try:\n    import torch\nexcept ImportError:\n    torch = None\nz = torch.hypot(a, b)  #!",
            "z = torch.sqrt(a * a + b * b)",
        ),
        ("import numpy as torch\nz = torch.hypot(a, b)  #!", None),
        ("import torch\nz = a.hypot(b)  #!", "z = torch.sqrt(a * a + b * b)"),
    ],
)
def test_a_name_means_what_it_means_at_its_place(text: str, line: str | None) -> None:
    assert on_the_line(text, HYPOT) == line


def test_a_module_is_named_as_the_file_names_it_there() -> None:
    text = """
    import torch
    def f(x):
        import torch.nn.functional as G
        return G.mish(x)  #!
    """
    assert on_the_line(text, MISH) == "return G.silu(x)"
    assert (
        on_the_line("import torch\nz = torch.nn.functional.mish(x)  #!", MISH)
        == "z = torch.nn.functional.silu(x)"
    )


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("torch.addcmul(a, b, c)", "z = a + b * c"),
        ("torch.addcmul(a - 1, b, c)", "z = a - 1 + b * c"),
        ("torch.addcmul(a, b - 1, c)", "z = a + (b - 1) * c"),
        ("torch.addcmul(a, b ** 2, -c)", "z = a + b ** 2 * -c"),
        ("torch.addcmul(a if k else b, b, c)", "z = (a if k else b) + b * c"),
        ("torch.addcmul(a, b, c).relu()", "z = (a + b * c).relu()"),
        ("-torch.addcmul(a, b, c)", "z = -(a + b * c)"),
    ],
)
def test_parentheses_stand_where_they_are_needed(written: str, line: str) -> None:
    assert on_the_line(f"import torch\nz = {written}  #!", ADDCMUL) == line


def test_the_text_of_the_user_stays_as_it_is_written() -> None:
    text = "import torch\nz = torch.square(table['a'] [ 1_000:, None ])  #!"
    assert on_the_line(text, POWER) == "z = torch.pow(table['a'] [ 1_000:, None ], 2)"


def test_an_argument_over_several_lines_keeps_them() -> None:
    text = "import torch\nz = torch.square(  #!\n    f(a,  # the first\n      b)\n)\n"
    module = Module(SourceFile(text.encode()))
    change = rewritten(module, 2, POWER)
    assert change is not None
    assert change.text == "torch.pow(f(a,  # the first\n      b), 2)"
