"""Helper files: rewrites as a module that needs PyTorch alone, and the calls that are handed to it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from convlint.repair.source.files import SourceFile
from convlint.repair.source.helper_file import Helpers, file_text, has_helper, read_helpers
from convlint.repair.source.helper_line import Handed, NoCall, handed_over, import_of
from convlint.repair.source.helper_place import HelperPlace, place_of_helpers
from convlint.repair.source.match import Module
from convlint.rewrites.table import all_rewrites, rewrites_of


def helpers_of(*pairs: tuple[str, str], **functions: tuple[str, str]) -> Helpers:
    return Helpers(frozenset(pairs), functions)


MEDIAN = helpers_of(("aten.median.dim", "median"), median=("torch.median", "median"))


def imported(helpers: Helpers, folder: Path) -> ModuleType:
    """The helper file as a project imports it."""
    path = folder / "coreml_ops.py"
    path.write_text(file_text(helpers, "a test"), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("coreml_ops", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    return module


EVERYTHING = Helpers(
    frozenset((one.ops[0], one.name) for one in all_rewrites() if has_helper(one.ops[0], one.name)),
    {"median": ("torch.median", "median"), "pad": ("torch.nn.functional.pad", "")},
)


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """A helper file with every rewrite that there is."""
    return imported(EVERYTHING, tmp_path_factory.mktemp("all"))


def test_a_file_needs_pytorch_and_the_standard_library_alone() -> None:
    text = file_text(EVERYTHING, "a test")
    imports = [line.split()[1] for line in text.splitlines() if line.startswith(("import ", "from "))]
    outside = {name.partition(".")[0] for name in imports} - set(sys.stdlib_module_names)
    assert outside == {"torch"}
    assert text.splitlines()[0].startswith('"""PyTorch functions')
    assert "# SPDX-License-Identifier: MIT" in text.splitlines()


def test_a_file_holds_only_what_is_used() -> None:
    text = file_text(MEDIAN, "a test")
    assert "def median(" in text
    assert "def _median_of_all(" in text, "the overload that a call without dim takes"
    assert "_bilinear" not in text
    assert "_diff" not in text


def test_a_file_is_read_back_and_extended_and_a_changed_one_is_not_ours() -> None:
    text = file_text(MEDIAN, "a test")
    assert read_helpers(text) == MEDIAN
    more = MEDIAN.joined(helpers_of(("aten.diff.default", "diff"), diff=("torch.diff", "diff")))
    longer = file_text(more, "a test")
    assert "def median(" in longer
    assert "def diff(" in longer
    assert read_helpers(longer) == more
    assert read_helpers(text.replace("largest=False", "largest=True")) is None
    assert read_helpers("def median(x):\n    return x\n") is None


def test_a_function_takes_all_spellings_and_trains(tmp_path: Path) -> None:
    ops = imported(MEDIAN, tmp_path)
    x = torch.randn(3, 5, 4, requires_grad=True)
    for args, kwargs in [
        ((x, 1), {}), ((x,), {"dim": 1}), ((), {"input": x, "dim": -2, "keepdim": True}), ((x,), {"axis": 1}),
    ]:  # fmt: skip
        mine, plain = ops.median(*args, **kwargs), torch.median(*args, **kwargs)
        assert torch.equal(mine[0], plain[0])
        assert torch.equal(mine[1], plain[1])
    assert ops.median(x).equal(torch.median(x))
    assert ops.median(x, 1).values.equal(torch.median(x, 1).values)
    (mine,) = torch.autograd.grad(ops.median(x, dim=1)[0].sum(), x)
    (plain,) = torch.autograd.grad(torch.median(x, dim=1)[0].sum(), x)
    assert torch.equal(mine, plain)
    assert ops.median(x.double(), 1)[0].dtype is torch.float64
    assert ops.median(x.to("meta"), 1)[0].device.type == "meta"


def test_where_a_helper_does_not_fit_pytorch_answers(tmp_path: Path) -> None:
    helpers = helpers_of(("aten.index_add.default", "index_add"), index_add=("torch.index_add", "index_add"))
    ops = imported(helpers, tmp_path)
    whole = torch.zeros(4, dtype=torch.int64)
    places, values = torch.tensor([1, 1]), torch.tensor([2, 3])
    assert torch.equal(ops.index_add(whole, 0, places, values), torch.index_add(whole, 0, places, values))
    with pytest.raises(RuntimeError, match="index"):
        ops.index_add(whole, 0, places, torch.tensor([1]))


PICTURE = torch.randn(1, 3, 8, 8)
CALLS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "F.pad": lambda x: F.pad(x, (1, 1, 1, 1), mode="reflect"),
    "norm, a method": lambda x: x.norm(dim=1),
    "norm, a function": lambda x: torch.norm(x, dim=1),
    "F.normalize": F.normalize,
    "flip(0, 1)": lambda x: x.flip(0, 1),
    "flip(1)": lambda x: x.flip(1),
    "&": lambda x: (x > 0) & (x < 1),
    "//": lambda x: x // 2,
    "a number on the left": lambda x: 5 // (x.abs() + 1),
    "%": lambda x: x % 2,
    "F.mse_loss": lambda x: F.mse_loss(x, x + 1),
    "F.unfold": lambda x: F.unfold(x, 2),
    "Tensor.unfold": lambda x: x.unfold(2, 2, 1),
    "F.max_pool2d": lambda x: F.max_pool2d(x, 2),
    "einsum": lambda x: torch.einsum("abcd,abcd->a", x, x),
    "bool": lambda x: x.bool(),
    "in place": lambda x: x.clone().clamp_(0),
    "new_ones": lambda x: x.new_ones(2, 3),
    "2 ** x": lambda x: 2**x,
    "var": lambda x: x.var(1),
    "mean over axes": lambda x: x.mean((1, 2)),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "index by a tensor": lambda x: x[:, torch.tensor([0, 2])],
    "slices": lambda x: x[:, :3, ::2, 0],
    "max of two": lambda x: torch.max(x, -x),
    "max along": lambda x: torch.max(x, dim=1)[0],
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x),
    "interpolate": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
    "1 - x": lambda x: 1 - x,
}


@pytest.mark.parametrize("name", CALLS)
def test_the_context_computes_what_pytorch_does(name: str, everything: ModuleType) -> None:
    plain = CALLS[name](PICTURE)
    with everything.convertible():
        mine = CALLS[name](PICTURE)
    assert mine.dtype == plain.dtype
    torch.testing.assert_close(mine, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "op"),
    [
        ("F.pad", "pad.default"),
        ("norm, a function", "linalg_vector_norm.default"),
        ("&", "__and__.Tensor"),
        ("flip(0, 1)", "flip.default"),
        ("flip(1)", "flip.default"),
        ("einsum", "einsum.default"),
        ("F.unfold", "im2col.default"),
        ("interpolate", "upsample_bicubic2d.vec"),
        ("attention", "scaled_dot_product_attention.default"),
        ("cdist", "cdist.default"),
        ("in place", "clamp_.default"),
    ],
)
def test_in_the_context_an_op_is_not_exported(name: str, op: str, tmp_path: Path) -> None:
    """The op is in the plain program, and neither mode nor table leaves it there."""
    call = {**CALLS, "cdist": lambda x: torch.cdist(x, x)}[name]
    functional = f"aten.{op.replace('_.', '.') if op.startswith('clamp') else op}"
    mine = imported(helpers_of(*((functional, one.name) for one in rewrites_of(functional))), tmp_path)

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return call(x)

    def ops(program: Any) -> set[str]:
        return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}

    plain = torch.export.export(Net(), (PICTURE,))
    assert f"aten.{op}" in ops(plain)
    with mine.convertible():
        assert f"aten.{op}" not in ops(torch.export.export(Net(), (PICTURE,)))
    assert functional not in ops(plain.run_decompositions(mine.decompositions()))


def test_the_table_of_all_helpers_ends(everything: ModuleType) -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cdist(x, x) * ((x > 0) & (x < 1)).sum()

    plain = torch.export.export(Net(), (PICTURE,))
    table = plain.run_decompositions(everything.decompositions())
    torch.testing.assert_close(table.module()(PICTURE), Net()(PICTURE))


def test_the_context_leaves_gradients_and_the_rest_of_pytorch_alone(everything: ModuleType) -> None:
    layer = torch.nn.LSTM(8, 4)
    x = PICTURE[0].clone().requires_grad_()
    with everything.convertible():
        mine = layer(x)[0]
        mine.sum().backward()
    gradient, x.grad = x.grad, None
    layer(x)[0].sum().backward()
    torch.testing.assert_close(gradient, x.grad)
    assert torch.median(x, 0)[0].grad_fn is not None


def handed(text: str, *ops: str) -> str | NoCall:
    """The line marked by ``#!`` with its calls handed over, or why they are not."""
    text = dedent(text).lstrip("\n")
    line = next(number for number, each in enumerate(text.splitlines(), 1) if "#!" in each)
    answer = handed_over(Module(SourceFile(text.encode())), line, ops)
    if isinstance(answer, NoCall):
        return answer
    for one in sorted(answer, key=lambda one: -one.start):
        text = text[: one.start] + one.text + text[one.end :]
    return text.split("#!")[0].strip().partition("\n")[2].strip()


@pytest.mark.parametrize(
    ("text", "op", "line"),
    [
        (
            "import torch\nb, i = torch.median(x, dim=1)  #!",
            "median.dim",
            "b, i = coreml_ops.median(x, dim=1)",
        ),
        ("import torch as t\nb = t.median( x,1 )  #!", "median.dim", "b = coreml_ops.median( x,1 )"),
        ("import torch\nb = x.median(dim=1)[0]  #!", "median.dim", "b = coreml_ops.median(x, dim=1)[0]"),
        ("import torch\nb = x.abs().median()  #!", "median.default", "b = coreml_ops.median(x.abs())"),
        ("from torch import diff\nb = diff(x, n=2)  #!", "diff.default", "b = coreml_ops.diff(x, n=2)"),
        (
            "import torch\nm = (x > 0) & (x < 1)  #!",
            "__and__.Tensor",
            "m = coreml_ops.bitwise_and(x > 0, x < 1)",
        ),
        ("import torch\nm = x // y  #!", "floor_divide.default", "m = coreml_ops.floor_divide(x, y)"),
        ("import torch\nm = ~x  #!", "bitwise_not.default", "m = coreml_ops.bitwise_not(x)"),
        (
            "import torch.nn.functional as F\ny = F.interpolate(x, scale_factor=2, mode='bicubic')  #!",
            "upsample_bicubic2d.vec",
            "y = coreml_ops.interpolate(x, scale_factor=2, mode='bicubic')",
        ),
        (
            "import torch.nn.functional as F\ny = F.pad(x, (1, 1), 'reflect')  #!",
            "reflection_pad1d.default",
            "y = coreml_ops.pad(x, (1, 1), 'reflect')",
        ),
        (
            "import torch\ny = torch.diff(x.diff(dim=1).diff())  #!",
            "diff.default",
            "y = coreml_ops.diff(coreml_ops.diff(coreml_ops.diff(x, dim=1)))",
        ),
        (
            "import torch\ny = [torch.diff(x), torch.relu(x), x.diff(1)]  #!",
            "diff.default",
            "y = [coreml_ops.diff(x), torch.relu(x), coreml_ops.diff(x, 1)]",
        ),
        ("import torch\nx = x.xlogy_(y)  #!", "xlogy.Tensor", "x = coreml_ops.xlogy(x, y)"),
        ("import torch\nx.xlogy_(y)  #!", "xlogy.Tensor", "coreml_ops.xlogy_(x, y)"),
        ("import torch\nz = x[0].xlogy_(y)  #!", "xlogy.Tensor", "z = coreml_ops.xlogy_(x[0], y)"),
        ("import torch\nx &= y > 0  #!", "__and__.Tensor", "x = coreml_ops.bitwise_and_(x, y > 0)"),
        (
            "import torch\nself.a[0, :k] **= y  #!",
            "pow.Tensor_Tensor",
            "self.a[0, :k] = coreml_ops.pow_(self.a[0, :k], y)",
        ),
        ("import torch\nx |= a ^ b  #!", "__or__.Tensor", "x = coreml_ops.bitwise_or_(x, a ^ b)"),
        ("import torch\nx @= y  #!", "matmul.default", "x = coreml_ops.matmul(x, y)"),
        ("import torch\ny = x[:, :h][0]  #!", "alias.default", "y = coreml_ops.items(x)[:, :h][0]"),
        (
            "import torch\ny = x[:, i] + z[0]  #!",
            "index.Tensor",
            "y = coreml_ops.items(x)[:, i] + coreml_ops.items(z)[0]",
        ),
        ("import torch\ny = x.flip(1)  #!", "flip.default", "y = coreml_ops.flip(x, 1)"),
        ("import torch\ny = torch.linalg.det(x)  #!", "linalg_det.default", "y = coreml_ops.det(x)"),
    ],
)
def test_a_call_is_handed_over_and_the_rest_stays(text: str, op: str, line: str) -> None:
    assert handed(text, f"aten.{op}") == line


def test_a_call_over_several_lines_keeps_them() -> None:
    text = "import torch\ny = torch.kthvalue(  #!\n    x,  # remark\n    k=2,\n)\n"
    answer = handed_over(Module(SourceFile(text.encode())), 2, ["aten.kthvalue.default"])
    assert isinstance(answer, list)
    assert [one.text for one in answer] == ["coreml_ops.kthvalue(  #!\n    x,  # remark\n    k=2,\n)"]


@pytest.mark.parametrize(
    ("text", "op", "words"),
    [
        ("import torch\nf(x)[0] &= y  #!", "__and__.Tensor", "would be computed twice"),
        ("import torch\nx **= y, z  #!", "pow.Tensor_Tensor", "cannot be an argument"),
        ("import torch\ny = self.median(x)  #!", "median.dim", "no call on the line"),
        ("import numpy as torch\ny = torch.median(x)  #!", "median.dim", "no call on the line"),
        ("import numpy as np\ny = np.median(x)  #!", "median.dim", "no call on the line"),
        ("def f(torch, x):\n    return torch.median(x)  #!", "median.dim", "no call on the line"),
        ("import torch\ncoreml_ops = 1\ny = torch.median(x)  #!", "median.dim", "is taken in this file"),
    ],
)
def test_what_is_not_handed_over_has_a_reason(text: str, op: str, words: str) -> None:
    answer = handed(text, f"aten.{op}")
    assert isinstance(answer, NoCall)
    assert words in answer.reason


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("import torch\nx = 1\n", "import torch\nimport coreml_ops\nx = 1\n"),
        ('"""Doc."""\nfrom __future__ import annotations\n\nimport torch\n\n\nx = 1\n',
         '"""Doc."""\nfrom __future__ import annotations\n\nimport torch\nimport coreml_ops\n\n\nx = 1\n'),
        ('"""Doc."""\nx = 1\n', '"""Doc."""\n\nimport coreml_ops\nx = 1\n'),
        ("import torch\r\nx = 1\r\n", "import torch\r\nimport coreml_ops\r\nx = 1\r\n"),
        ("from torch import (\n    diff,\n    hypot,\n)\nx = 1\n",
         "from torch import (\n    diff,\n    hypot,\n)\nimport coreml_ops\nx = 1\n"),
        ("import torch", "import torch\nimport coreml_ops\n"),
        ("import coreml_ops\n", None),
        ("from . import coreml_ops\n", None),
    ],
)  # fmt: skip
def test_the_import_goes_behind_the_imports_and_only_once(text: str, after: str | None) -> None:
    new = import_of(Module(SourceFile(text.encode())), "import coreml_ops")
    assert (None if new is None else text[: new[0]] + new[1] + text[new[0] :]) == after


def test_the_file_lies_where_python_finds_it(tmp_path: Path) -> None:
    for name in ("pkg/__init__.py", "pkg/nets/__init__.py", "pkg/nets/net.py", "pkg/parts/__init__.py",
                 "pkg/parts/attention.py", "loose/net.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    net, attention = str(tmp_path / "pkg/nets/net.py"), str(tmp_path / "pkg/parts/attention.py")
    alone = place_of_helpers([net], "pkg.nets.net:Net", str(tmp_path))
    assert Path(alone.path) == tmp_path / "pkg/nets/coreml_ops.py"
    assert alone.statement(net) == "from . import coreml_ops"
    both = place_of_helpers([net, attention], "pkg.nets.net:Net", str(tmp_path))
    assert Path(both.path) == tmp_path / "pkg/coreml_ops.py"
    assert both.statement(attention) == "from .. import coreml_ops"
    loose = place_of_helpers([str(tmp_path / "loose/net.py")], "loose/net.py:Net", str(tmp_path))
    assert Path(loose.path) == tmp_path / "loose/coreml_ops.py"
    assert loose.statement(str(tmp_path / "loose/net.py")) == "import coreml_ops"
    library = place_of_helpers([], "timm.layers:Mlp", str(tmp_path))
    assert Path(library.path) == tmp_path / "coreml_ops.py"


def test_a_place_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    place = HelperPlace(str(tmp_path / "coreml_ops.py"))
    assert place.problem(str(tmp_path)) == ""
    Path(place.path).write_text("def mine(): ...\n")
    assert "was not written by convlint" in place.problem(str(tmp_path))
    Path(place.path).write_text(file_text(MEDIAN, "a test"))
    assert place.problem(str(tmp_path)) == ""
    assert "outside of the project" in place.problem(str(tmp_path / "elsewhere"))
    os.chmod(tmp_path, 0o555)
    try:
        assert "read-only" in place.problem(str(tmp_path))
    finally:
        os.chmod(tmp_path, 0o755)


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    place = HelperPlace(str(tmp_path / "coreml_ops.py"))
    Path(place.path).write_text("somebody's\n")
    assert "changed meanwhile" in place.write(b"ours\n", None)
    assert "changed meanwhile" in place.write(b"ours\n", b"what it held before\n")
    assert Path(place.path).read_text() == "somebody's\n"
    assert [path.name for path in tmp_path.iterdir()] == ["coreml_ops.py"]


@pytest.mark.corpus
def test_swin_converts_in_the_context(tmp_path: Path) -> None:
    """No line of torchvision is edited: plain torch.export, torch.jit.trace and coremltools take it."""
    torchvision = pytest.importorskip("torchvision")
    ct: Any = pytest.importorskip("coremltools")
    ops = imported(helpers_of(("aten.alias.default", "nothing")), tmp_path)
    torch.manual_seed(0)
    model, x = torchvision.models.swin_t(weights=None).eval(), torch.randn(1, 3, 224, 224)
    options = {"convert_to": "milinternal", "pass_pipeline": ct.PassPipeline.EMPTY}
    with ops.convertible():
        program = torch.export.export(model, (x,))
        traced = torch.jit.trace(model, (x,), check_trace=False)
    assert torch.equal(program.module()(x), model(x))
    ct.convert(program.run_decompositions({}), **options)
    ct.convert(traced, inputs=[ct.TensorType(shape=x.shape)], **options)
    plain = torch.export.export(model, (x,))
    ct.convert(plain.run_decompositions(ops.decompositions()), **options)


def test_handed_knows_what_it_calls() -> None:
    module = Module(SourceFile(b"import torch\ny = torch.median(torch.diff(x), 1)\n"))
    answer = handed_over(module, 2, ["aten.median.dim", "aten.diff.default"])
    assert isinstance(answer, list)
    (one,) = answer
    assert isinstance(one, Handed)
    assert {public.name for public in one.functions} == {"median", "diff"}
