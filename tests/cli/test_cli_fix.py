"""``convlint fix`` through the real command line: what it shows, what it writes, what it leaves alone."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from conftest import ROOT, Convlint

from convlint.model import Replacement, Rule, Site
from convlint.output.fixed import context_lines
from convlint.repair.source.edit import Edit, Refusal, apply_edits, edited, find_edit

NET = """\
import torch
from torch import nn
import torch.nn.functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        y = self.conv(x)
        mask = (y > 0) & (y < 1)  # keep this remark
        step = y.diff(dim=-1)     # and these   spaces
        return torch.where(mask, y, 0.25), step
"""


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(NET)
    return path


def test_it_shows_the_changes_and_a_diff_and_writes_nothing_unasked(net: Path, convlint: Convlint) -> None:
    ran = convlint("fix", "net.py:Net", "--input", "1x3x8x8")
    assert ran.code == 0, ran.err
    assert "-        mask = (y > 0) & (y < 1)  # keep this remark" in ran.out
    assert "+        mask = torch.logical_and(y > 0, y < 1)  # keep this remark" in ran.out
    assert "+        step = y[..., 1:] - y[..., :-1]     # and these   spaces" in ran.out
    assert "net.py:15" in ran.out
    assert "gradients" in ran.out
    assert ran.out.splitlines()[-1].startswith("✓ Converts after 3 changes")
    assert net.read_text() == NET


def test_write_changes_the_matched_expressions_and_calls_alone(net: Path, convlint: Convlint) -> None:
    os.chmod(net, 0o640)
    ran = convlint("fix", "net.py:Net", "--input", "1x3x8x8", "--write", "--format", "json")
    document = json.loads(ran.out)
    assert document["converts"] == "yes"
    assert sorted(place["line"] for place in document["fixed_in_source"]) == [13, 14, 15]
    assert [place["line"] for place in document["handed_to_helpers"]] == [15]
    assert document["fixed_in_memory"] == []
    assert document["left"] == []
    assert document["context"] is None
    # What is on disk is another thing, and the exit code speaks of that.
    assert ran.code == document["checked_after_writing"]["exit_code"] == 0, ran.err
    assert convlint("check", "net.py:Net", "--input", "1x3x8x8").code == 0
    assert sorted(Path(path).name for path in document["written"]) == ["coreml_ops.py", "net.py"]
    after = net.read_text().splitlines()
    assert after.pop(3) == "import coreml_ops"
    assert after[12] == "        mask = torch.logical_and(y > 0, y < 1)  # keep this remark"
    assert after[13] == "        step = y[..., 1:] - y[..., :-1]     # and these   spaces"
    assert after[14] == "        return coreml_ops.where(mask, y, 0.25), step"
    rest = [line for number, line in enumerate(NET.splitlines()) if number not in (12, 13, 14)]
    assert [line for number, line in enumerate(after) if number not in (12, 13, 14)] == rest
    assert net.stat().st_mode & 0o777 == 0o640
    assert list(net.parent.glob(".convlint-*")) == []


def test_a_file_that_converts_as_it_was_written_is_done(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(NET.replace("torch.where(mask, y, 0.25), step", "y * mask, step"))
    ran = convlint("fix", "net.py:Net", "--input", "1x3x8x8", "--write")
    assert ran.code == 0, ran.err
    assert "Fixed in your source  net.py:13, 14" in ran.out
    assert ran.out.splitlines()[-1] == "✓ net.py converts as it is written now."
    assert convlint("check", "net.py:Net", "--input", "1x3x8x8").code == 0


def test_a_file_that_is_fixed_in_part_is_not_done(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(
        NET.replace("torch.where(mask, y, 0.25)", "torch.where(mask, getattr(y, 'hypot')(y), y)")
    )
    ran = convlint("fix", "net.py:Net", "--input", "1x3x8x8", "--write")
    assert ran.code == 1
    assert "Fixed in your source  net.py:13, 14" in ran.out
    assert "Covered by the context of coreml_ops.py  net.py:15" in ran.out
    assert "    import coreml_ops\n    with coreml_ops.convertible():\n" in ran.out
    last = ran.out.splitlines()[-1]
    assert last.startswith(
        "✗ net.py and coreml_ops.py are not done: Does not convert as it is;"
        " after 1 change at 1 line it does. To convert now:"
    )


def test_a_line_that_no_change_helps_stays_as_it_is(tmp_path: Path, convlint: Convlint) -> None:
    """PyTorch takes eigh apart into an op that is refused all the same: nothing is won by writing that."""
    net = tmp_path / "whiten.py"
    net.write_text((ROOT / "examples" / "small" / "whiten.py").read_text())
    ran = convlint("fix", "whiten.py:Whitening", "--input", "1x3x16x16", "--write", "--format", "json")
    document = json.loads(ran.out)
    assert ran.code == 1
    assert [place["line"] for place in document["fixed_in_source"]] == [16, 19]
    assert document["fixed_in_memory"] == []
    assert document["left_to_you"] == [
        {"site": document["remaining"][0]["site"], "reason": "what it would become is refused all the same"}
    ]
    assert "values, vectors = torch.linalg.eigh(covariance)" in net.read_text()


WRONG = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose1d(3, 4, 5, 4, 1, 3)

    def forward(self, x):
        return self.up(x)
"""


def test_a_program_of_other_numbers_is_no_success(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(WRONG)
    ran = convlint("fix", "net.py:Net", "--input", "1x3x8")
    assert ran.code == 1
    assert "CL343 aten.conv_transpose1d.default at" in ran.out
    last = ran.out.splitlines()[-1]
    assert last.startswith("✗ Converts as it is, but computes something else than PyTorch: 1 error left")


def test_an_expression_that_would_give_other_values_gives_way_to_a_helper(
    tmp_path: Path, convlint: Convlint
) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    text = RULE.replace("AFTER", "x + y")
    (rules / "ACME101-wrong-and.toml").write_text(text)
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x, y):\n"
        "        return torch.xlogy(x, y)\n"
    )
    ran = convlint(
        "fix",
        "net.py:Net",
        "--input",
        "2x3",
        "--input",
        "2x3",
        "--rule-path",
        "rules",
        "--write",
        timeout=400,
    )
    assert ran.code == 0, ran.err
    assert "return coreml_ops.xlogy(x, y)" in (tmp_path / "net.py").read_text()


RULE = """
code = "ACME101"
name = "wrong-and"
severity = "error"
message = "no {op}"
confidence = "measured"
sources = ["a test"]
why = "A rule that proposes nonsense."
[[match]]
op = ["aten.xlogy.Tensor"]
[[bad]]
inputs = [[2, 3], [2, 3]]
code = '''
class Model(nn.Module):
    def forward(self, x, y):
        return torch.xlogy(x, y)  # <- ACME101
'''
[[good]]
inputs = [[2, 3], [2, 3]]
code = '''
class Model(nn.Module):
    def forward(self, x, y):
        return x + y
'''
[[replace]]
title = "nonsense"
safety = "safe"
before = 'torch.xlogy(x, y)'
after = 'AFTER'
"""


def test_sizes_that_may_vary_stay_so(net: Path, convlint: Convlint) -> None:
    ran = convlint("fix", "net.py:Net", "--input", "1x3x[8..32]x8", "--format", "json")
    assert ran.code == 0, ran.err + ran.out
    document = json.loads(ran.out)
    assert document["converts"] == "yes"
    assert "outputs at 2 other sizes" in document["checked"]


def test_a_library_is_never_edited(tmp_path: Path, convlint: Convlint) -> None:
    ran = convlint(
        "fix", "timm.layers:GlobalResponseNormMlp", "--arg", "in_features=4", "--input", "1x8x8x4", "--write"
    )
    assert ran.code == 0, ran.err
    assert "Covered by the context of coreml_ops.py" in ran.out
    assert "run_decompositions(coreml_ops.decompositions())" in ran.out
    assert [path.name for path in tmp_path.iterdir()] == ["coreml_ops.py"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "no model is named: give one"),
        (("net.py:Net",), 2, "no input is given for net.py:Net"),
        (("net.py:Nett", "--input", "1x3x8x8"), 3, "Nett"),
        (("net.py:Net", "--input", "1x5x8x8"), 3, "running the model's forward raised"),
        (("net.py:Net", "--input", "1x3x8x8", "--target", "iOS99"), 2, "iOS99"),
    ],
)
def test_bad_input_is_told_in_one_paragraph(
    arguments: tuple[str, ...], code: int, words: str, net: Path, convlint: Convlint
) -> None:
    ran = convlint("fix", *arguments)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err


# The edits themselves, without a command line.


def rule(before: str, after: str) -> Rule:
    return Rule(
        "ACME102", "one", "support", "error", "m", "w", "measured", ("s",), {}, (),
        replacements=(Replacement("t", before=before, after=after),),
    )  # fmt: skip


def edit_of(text: str, line: int, before: str, after: str, folder: Path) -> Edit | Refusal:
    path = folder / "m.py"
    path.write_text(text)
    return find_edit(Site(str(path), line), [rule(before, after)], str(folder), unsafe=False)


@pytest.mark.parametrize(
    ("line", "before", "after", "wanted"),
    [
        ("z = a.b & c[0]", "x & y", "torch.logical_and(x, y)", "z = torch.logical_and(a.b, c[0])"),
        ("z = f(a).diff(dim=-1)", "torch.diff(x, dim=-1)", "D(x)", None),  # D is not imported there
        ("z = a.square() * 2", "torch.square(x)", "x * x", "z = (a * a) * 2"),
        ("z = f(a).square()", "torch.square(x)", "x * x", None),  # f would be called twice
        ("z = T.nn.functional.mish(a)", "F.mish(x)", "F.silu(x)", "z = T.nn.functional.silu(a)"),
        ("z = torch.mish(a)", "F.mish(x)", "F.silu(x)", None),
        ("z = 'ü' + g(a & b)", "x & y", "torch.logical_and(x, y)", "z = 'ü' + g(torch.logical_and(a, b))"),
    ],
)
def test_an_expression_is_found_by_what_it_is(
    line: str, before: str, after: str, wanted: str | None, tmp_path: Path
) -> None:
    name = "T" if "T." in line else "torch"
    text = f"import torch as {name}\n{line}\n" if name == "T" else f"import torch\n{line}\n"
    edit = edit_of(text, 2, before, after, tmp_path)
    if wanted is None:
        assert isinstance(edit, Refusal)
    else:
        assert isinstance(edit, Edit)
        assert edited(text, [edit]).splitlines()[1] == wanted


def test_a_file_that_changed_since_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("import torch\nz = a & b\n")
    site = Site(str(path), 2, source="z = something else")
    edit = find_edit(site, [rule("x & y", "torch.logical_and(x, y)")], str(tmp_path), unsafe=False)
    assert isinstance(edit, Refusal)
    assert "changed since" in edit.reason


def test_a_file_that_is_read_only_or_generated_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("# @generated by a tool\nimport torch\nz = a & b\n")
    rules = [rule("x & y", "torch.logical_and(x, y)")]
    generated = find_edit(Site(str(path), 3), rules, str(tmp_path), unsafe=False)
    assert isinstance(generated, Refusal)
    assert "generated" in generated.reason
    path.write_text("import torch\nz = a & b\n")
    assert isinstance(find_edit(Site(str(path), 2), rules, str(tmp_path), unsafe=False), Edit)
    path.chmod(0o444)
    locked = find_edit(Site(str(path), 2), rules, str(tmp_path), unsafe=False)
    assert isinstance(locked, Refusal)
    assert "read-only" in locked.reason
    nowhere = find_edit(Site("<string>", 2), rules, str(tmp_path), unsafe=False)
    assert isinstance(nowhere, Refusal)
    assert "no file" in nowhere.reason


DECODER = """\
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        found = torch.full((x.size(0), 4), 7, dtype=torch.long)
        found[:, 1] = x.squeeze().argmax(-1)
        found[:, 2] = (x * x).squeeze().argmax(-1)
        return found + x.sum(-1, keepdim=True).long()
"""


def test_a_line_that_is_written_otherwise_needs_no_helper_for_what_the_old_one_needed(
    tmp_path: Path, convlint: Convlint
) -> None:
    """The graph needs three changes at these two lines, and the new lines none: no file is put beside it."""
    file = tmp_path / "net.py"
    file.write_text(DECODER)
    ran = convlint("fix", "net.py:Net", "--input", "1x5", "--write", "--format", "json")
    document = json.loads(ran.out)
    assert ran.code == 0, ran.err
    assert (document["context"], document["left"], document["handed_to_helpers"]) == (None, [], [])
    assert [Path(path).name for path in document["written"]] == ["net.py"]
    assert file.read_text().splitlines()[7:9] == [
        "        found[:, 1] = x.squeeze().argmax(-1).expand_as(found[:, 1])",
        "        found[:, 2] = (x * x).squeeze().argmax(-1).expand_as(found[:, 2])",
    ]
    assert convlint("check", "net.py:Net", "--input", "1x5", "--frontend", "torchscript").code == 0


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import torch\nz = a & b\n"
    edit = edit_of(text, 2, "x & y", "torch.logical_and(x, y)", tmp_path)
    assert isinstance(edit, Edit)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        apply_edits([edit])
    assert (tmp_path / "m.py").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["m.py"]


def test_a_line_outside_the_project_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "m.py"
    path.write_text("import torch\nz = a & b\n")
    inside = tmp_path / "project"
    inside.mkdir()
    edit = find_edit(
        Site(str(path), 2), [rule("x & y", "torch.logical_and(x, y)")], str(inside), unsafe=False
    )
    assert isinstance(edit, Refusal)
    assert "not in the project" in edit.reason


# What --write writes, and when it does not.

HYPOT = """\
import torch
from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return torch.hypot(x, x)  # é
"""
WRITE = ("fix", "net.py:Net", "--input", "1x4", "--write", "--unsafe")


def write_hypot(folder: Path, data: bytes) -> Path:
    path = folder / "net.py"
    path.write_bytes(data)
    return path


FORMS = {
    "CRLF": HYPOT.replace("\n", "\r\n").encode(),
    "latin-1": f"# -*- coding: latin-1 -*-\n{HYPOT}".encode("latin-1"),
    "a byte order mark": b"\xef\xbb\xbf" + HYPOT.encode(),
    "no newline at the end": HYPOT.rstrip("\n").encode(),
    "form feeds and other ends of lines": HYPOT.replace("\n\n\n", "\n\x0c\n# \x1c \u2028 \x85\n").encode(),
    "CR alone": HYPOT.replace("\n", "\r").encode(),
}


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(form, marks=() if form in ("CRLF", "a byte order mark") else pytest.mark.corpus)
        for form in FORMS
    ],
)
def test_write_changes_no_other_byte(form: str, tmp_path: Path, convlint: Convlint) -> None:
    before = FORMS[form]
    path = write_hypot(tmp_path, before)
    real = tmp_path / "real.py"
    path.rename(real)
    path.symlink_to("real.py")
    real.chmod(0o640)
    os.link(real, tmp_path / "other-name.py")
    ran = convlint(*WRITE)
    assert "Traceback" not in ran.err
    after = real.read_bytes()
    assert b"torch.hypot" not in after, ran
    start, end = before.index(b"torch.hypot"), before.index(b"  # ")
    assert (after[:start], after[after.index(b"  # ") :]) == (before[:start], before[end:])
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "other-name.py").read_bytes() == after
    assert {each.name for each in tmp_path.iterdir()} - {"__pycache__"} == {
        "net.py",
        "real.py",
        "other-name.py",
    }


@pytest.mark.parametrize("place", ["the file", "its folder"])
def test_what_may_not_be_written_is_said_and_the_report_is_there(
    place: str, tmp_path: Path, convlint: Convlint
) -> None:
    (tmp_path / "inner").mkdir()
    path = write_hypot(tmp_path / "inner", HYPOT.encode())
    locked = path if place == "the file" else path.parent
    locked.chmod(0o444 if place == "the file" else 0o555)
    try:
        ran = convlint("fix", "inner/net.py:Net", "--input", "1x4", "--write", "--unsafe", "--format", "json")
    finally:
        locked.chmod(0o755)
    document = json.loads(ran.out)
    assert document["converts"] == "yes"
    # A file that is locked has its line in the context of a helper file beside it.
    beside = [] if place == "its folder" else ["coreml_ops.py"]
    assert [Path(path).name for path in document["written"]] == beside
    assert "read-only" in document["left_to_you"][0]["reason"]
    assert path.read_text() == HYPOT


SAVED_MEANWHILE = """
import sys
if any("job.pt" in word for word in sys.argv):  # in the proof
    import pathlib
    path = pathlib.Path("net.py")
    path.write_text(SAVED)
"""


@pytest.mark.parametrize(
    "saved",
    [
        "'# a new first line\\n' + path.read_text()",
        pytest.param("'import torch\\n'", marks=pytest.mark.corpus),
        pytest.param("''", marks=pytest.mark.corpus),
    ],
)
def test_a_file_that_was_saved_during_the_proof_is_left_alone(
    saved: str, tmp_path: Path, convlint: Convlint
) -> None:
    text = HYPOT + SAVED_MEANWHILE.replace("SAVED)", f"{saved})")
    path = write_hypot(tmp_path, text.encode())
    ran = convlint(*WRITE, "--format", "json")
    document = json.loads(ran.out)
    assert document["written"] == []
    assert "changed while it was being fixed" in document["left_to_you"][-1]["reason"], ran
    wanted = {"'import torch\\n'": "import torch\n", "''": ""}.get(saved, f"# a new first line\n{text}")
    assert path.read_text() == wanted


def test_two_runs_at_once_leave_a_whole_file(tmp_path: Path, convlint: Convlint) -> None:
    path = write_hypot(tmp_path, HYPOT.encode())
    site = Site(str(path), 7)
    edits = [
        find_edit(site, [rule("torch.hypot(x, y)", after)], str(tmp_path), unsafe=False)
        for after in ("torch.sqrt(x * x + y * y)", "torch.add(x, y)")
    ]
    barrier = threading.Barrier(2)
    written: list[list[str]] = []

    def apply(edit: Edit) -> None:
        barrier.wait()
        written.append(apply_edits([edit])[0])

    assert all(isinstance(edit, Edit) for edit in edits), edits
    threads = [threading.Thread(target=apply, args=(edit,)) for edit in edits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, written)) == [0, 1]
    texts = [HYPOT.replace("torch.hypot(x, x)", each) for each in (edits[0].after, edits[1].after)]
    assert path.read_text() in texts


def test_an_edited_model_that_ends_its_process_is_not_written(tmp_path: Path, convlint: Convlint) -> None:
    ends = "\nimport os, sys\nif any('job.pt' in word for word in sys.argv):\n    os._exit(0)\n"
    path = write_hypot(tmp_path, (HYPOT + ends).encode())
    ran = convlint(*WRITE)
    assert "does not run: its process ended with exit code 0" in ran.out, ran
    assert path.read_text() == HYPOT + ends


# Calls that are handed to a helper file.

MANY = """\
'''A net in the spellings that people use.'''
from __future__ import annotations

import torch
import torch as t
import torch.nn.functional as F
from torch import cummax, diff
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, y):
        x = x * self.scale
        best, place = torch.median(x, dim=1)  # stays
        other = x.median(dim=2).values
        third = torch.kthvalue(
            x,  # stays too
            k=2,
            dim=1,
        )[0]
        top = cummax(x, dim=-1)[0]
        steps = diff(input=x, n=2, dim=-1)
        long = t.hypot(x, other=y)
        sharp = F.interpolate(x, scale_factor=2, mode="bicubic")
        far = torch.cdist(x[0], y[0])
        wave, log = torch.sinc(x), x.xlogy(y.abs() + 1)
        nested = torch.hypot(torch.sinc(y), diff(x, dim=-1, append=x[..., :1]))
        turned = torch.heaviside(x, y)
        x = x.nansum(1)
        return best, place, other, third, top, steps, long, sharp, far, wave, log, nested, turned, x
"""

TWO = ("--input", "1x3x8x8", "--input", "1x3x8x8")


def test_calls_are_handed_to_a_helper_file_and_the_source_converts(
    tmp_path: Path, convlint: Convlint
) -> None:
    net = tmp_path / "net.py"
    net.write_bytes(MANY.replace("\n", "\r\n").encode())
    ran = convlint("fix", "net.py:Net", *TWO, "--write", "--format", "json", timeout=500)
    document = json.loads(ran.out)
    assert ran.code == 0, (document["left_to_you"], document["checked_after_writing"])
    assert document["checked_after_writing"]["exit_code"] == 0
    assert document["fixed_in_memory"] == []
    text = net.read_bytes().decode()
    assert text.count("\n") == text.count("\r\n") == MANY.count("\n") + 1
    lines = text.splitlines()
    assert lines[8] == "import coreml_ops"
    for line in (
        "        best, place = coreml_ops.median(x, dim=1)  # stays",
        "        other = coreml_ops.median(x, dim=2).values",
        "        third = coreml_ops.kthvalue(",
        "            x,  # stays too",
        "        top = coreml_ops.cummax(x, dim=-1)[0]",
        "        steps = coreml_ops.diff(input=x, n=2, dim=-1)",
        '        sharp = coreml_ops.interpolate(x, scale_factor=2, mode="bicubic")',
        "        far = coreml_ops.cdist(x[0], y[0])",
        "        turned = coreml_ops.heaviside(x, y)",
    ):
        assert line in lines
    again = convlint("fix", "net.py:Net", *TWO, "--format", "json", timeout=300)
    assert json.loads(again.out)["converted_before"]


def test_a_helper_file_of_somebody_else_is_never_written(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        "        return torch.median(x, dim=1)[0]\n"
    )
    (tmp_path / "coreml_ops.py").write_text("mine = 1\n")
    ran = convlint("fix", "net.py:Net", "--input", "2x3", "--write", timeout=300)
    assert ran.code == 0, ran.err
    assert "was not written by convlint" in " ".join(ran.out.split())
    assert (tmp_path / "coreml_ops.py").read_text() == "mine = 1\n"
    assert "torch.median(x, dim=1)" in (tmp_path / "net.py").read_text()


def test_the_lines_to_paste_import_the_helper_file_from_its_package(tmp_path: Path) -> None:
    inner = tmp_path / "acme" / "nets"
    inner.mkdir(parents=True)
    assert context_lines(str(inner / "coreml_ops.py"))[0] == "import coreml_ops"
    (inner / "__init__.py").touch()
    assert context_lines(str(inner / "coreml_ops.py"))[0] == "from nets import coreml_ops"
    (tmp_path / "acme" / "__init__.py").touch()
    assert context_lines(str(inner / "coreml_ops.py"))[0] == "from acme.nets import coreml_ops"
