"""The edited cell that a fix shows: what is proved, what is taken back, and that nothing stays swapped."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

import convlint
from convlint.cells import is_cell
from convlint.model import Rule
from convlint.model.fixed import Fixed
from convlint.output.excerpt import excerpt_of
from convlint.repair.source.cells import edited_cells, running
from convlint.rules.rulebook import load_rulebook

CELL = """import torch

def decorated(function):
    return function

class Net(torch.nn.Module):
    @decorated
    def forward(self, x):
        def inner(y):
            return torch.diff(y, dim=-1) + x[..., 1:]
        return torch.lerp(inner(x), self.steps(x), 0.25)

    @staticmethod
    def steps(x):
        return torch.diff(
            x,
            dim=-1,
        )
"""
X = torch.linspace(-1, 1, 24).reshape(2, 3, 4)


@pytest.fixture
def typed(request: pytest.FixtureRequest) -> Iterator[Any]:
    """What IPython does with a cell: compile it under a name that is no file, and keep its lines."""
    names: list[str] = []

    def run(text: str) -> dict[str, Any]:
        name = f"/tmp/ipykernel_0/{request.node.name}_{len(names)}.py"
        names.append(name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        space: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(text, name, "exec"), space)
        return space

    yield run
    for name in names:
        linecache.cache.pop(name, None)


def rules() -> tuple[Rule, ...]:
    return tuple(load_rulebook([]))


def test_changes_are_made_in_the_cell_and_proved(typed: Any) -> None:
    space = typed(CELL)
    net = space["Net"]()
    codes = [net.forward.__func__.__code__, net.steps.__code__]
    fixed = convlint.fix(net, X)
    (cell,) = fixed.cells
    assert is_cell(cell.path)
    assert cell.before == CELL
    assert "            return (y[..., 1:] - y[..., :-1]) + x[..., 1:]\n" in cell.after
    assert cell.after.endswith("    def steps(x):\n        return x[..., 1:] - x[..., :-1]\n")
    assert [change.op for change in cell.changes] == ["aten.diff.default"] * 2
    assert cell.refused == ("aten.lerp.Scalar",)
    assert any(":11 is not edited: the line is not written" in note for note in fixed.notes)
    again = typed(cell.after)["Net"]()
    torch.testing.assert_close(again(X), net(X), rtol=0, atol=0)
    assert codes == [net.forward.__func__.__code__, net.steps.__code__]


def test_an_edit_that_computes_something_else_is_taken_back(typed: Any) -> None:
    space = typed(CELL)
    net = space["Net"]()
    fixed = convlint.fix(net, X)
    wrong = [
        replace(
            rule,
            replacements=tuple(replace(each, after="x[..., 1:] + x[..., :-1]") for each in rule.replacements),
        )
        for rule in rules()
        if any("aten.diff.default" in match.names for match in rule.matches)
    ]
    assert wrong
    cells, notes = edited_cells(fixed, wrong, net, ((X,), {}), 60, unsafe=False)
    assert cells == ()
    assert any("with the edit it gives other values" in note for note in notes)


def test_a_model_in_a_file_has_no_cells(typed: Any) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.diff(x, dim=-1)

    fixed = convlint.fix(Net(), X)
    assert fixed.converts == "yes"
    assert fixed.applied
    assert fixed.cells == ()


def test_what_a_cell_lends_comes_back_after_an_error(typed: Any) -> None:
    net = typed(CELL)["Net"]()
    code = net.forward.__func__.__code__
    texts = {code.co_filename: CELL.replace("torch.diff", "torch.nothing")}
    with pytest.raises(AttributeError, match="nothing"), running(texts, net):
        net(X)
    assert net.forward.__func__.__code__ is code
    with pytest.raises(ValueError, match="another function"):
        with running({code.co_filename: "x = 1"}, net):
            pass
    with pytest.raises(SyntaxError):
        with running({code.co_filename: "def"}, net):
            pass
    assert net.forward.__func__.__code__ is code


def test_a_finding_in_a_cell_shows_its_lines(typed: Any) -> None:
    report = convlint.check(typed(CELL)["Net"](), X)
    found = next(finding for finding in report.findings if finding.op == "aten.diff.default")
    assert found.site is not None
    shown = excerpt_of(found.site)
    assert shown is not None
    assert (shown.line, len(shown.lines)) == (10, 4)
    assert any(each.edit and "y[..., 1:] - y[..., :-1]" in each.edit.new for each in found.replacements)


def test_a_comment_in_a_cell_silences(typed: Any) -> None:
    text = CELL.replace("+ x[..., 1:]", "+ x[..., 1:]  # convlint: ignore[CL102] later")
    report = convlint.check(typed(text)["Net"](), X)
    assert [each.reason for each in report.suppressed] == ["later"]
    assert isinstance(convlint.fix(typed(text)["Net"](), X), Fixed)
