"""Every private API of torch that convlint leans on still does what it is used for."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

from convlint import torch_adapter


class Helped(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return helper(x)


def helper(x: torch.Tensor) -> torch.Tensor:
    return x + 1


def test_fake_mode_is_taken_by_export() -> None:
    mode = torch_adapter.fake_mode()
    with mode:
        x = torch.empty(2, 3)
    assert torch_adapter.is_fake(x)
    program = torch.export.export(nn.ReLU(), (x,), strict=False)
    assert program.dialect == "TRAINING"


def test_stack_frames_brings_helper_functions_back() -> None:
    def everything(summary: object) -> list[object]:
        return list(summary)  # type: ignore[call-overload]

    with torch_adapter.stack_frames(everything):  # type: ignore[arg-type]
        program = torch.export.export(Helped(), (torch.rand(2),), strict=False)
    (call,) = [node for node in program.graph.nodes if node.op == "call_function"]
    assert "in helper" in call.meta["stack_trace"]
    plain = torch.export.export(Helped(), (torch.rand(2),), strict=False)
    (call,) = [node for node in plain.graph.nodes if node.op == "call_function"]
    assert "in helper" not in call.meta["stack_trace"], "torch keeps helper frames itself now: drop the hook"


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        print("the model's own words", file=sys.stderr)
        return x if x.sum() > 0 else -x


def test_the_graph_of_a_stopped_export_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def told() -> str:
        with pytest.raises(Exception, match="data-dependent"):
            torch.export.export(Branch(), (torch.rand(2),), strict=False)
        return capsys.readouterr().err

    with torch_adapter.unprinted_graph():
        quiet = told()
    assert "the model's own words" in quiet
    assert "def forward" not in quiet
    assert "def forward" in told(), "torch prints it no more: drop the hook"


def test_has_sizes_from_data_tells_ops_whose_sizes_only_the_values_tell() -> None:
    torchvision = pytest.importorskip("torchvision")

    aten, x = torch.ops.aten, torch.rand(3, 4)
    assert torch_adapter.has_sizes_from_data(aten.nonzero.default, (x,), {})
    assert torch_adapter.has_sizes_from_data(aten.where.default, (x > 0,), {})
    assert torch_adapter.has_sizes_from_data(aten.masked_select.default, (x, x > 0), {})
    assert torch_adapter.has_sizes_from_data(aten.index.Tensor, (x, [x > 0]), {})
    assert not torch_adapter.has_sizes_from_data(aten.index.Tensor, (x, [torch.tensor([0, 2])]), {})
    assert not torch_adapter.has_sizes_from_data(aten.topk.default, (x, 2), {})
    assert torchvision.__version__
    boxes = (torch.rand(5, 4), torch.rand(5), 0.5)
    assert torch_adapter.has_sizes_from_data(torch.ops.torchvision.nms.default, boxes, {})


def test_is_about_data_tells_errors_for_want_of_values() -> None:
    with torch_adapter.fake_mode(), pytest.raises(RuntimeError) as refused:
        bool(torch.zeros(1).item() > 0)
    assert torch_adapter.is_about_data(refused.value)
    assert not torch_adapter.is_about_data(RuntimeError("The size of tensor a (2) must match"))


def test_survives_decomposition_agrees_with_torch() -> None:
    aten = torch.ops.aten
    assert torch_adapter.survives_decomposition(aten.linear.default)
    assert torch_adapter.survives_decomposition(aten.view.default)
    assert not torch_adapter.survives_decomposition(aten.relu_.default)
    assert not torch_adapter.survives_decomposition(aten.reshape.default)


class Shrinks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.softshrink(x)


def test_an_op_that_has_a_decomposition_for_its_gradient_does_not_survive() -> None:
    program = torch.export.export(Shrinks(), (torch.rand(2),), strict=False).run_decompositions({})
    assert "aten.softshrink.default" not in {str(node.target) for node in program.graph.nodes}
    assert not torch_adapter.survives_decomposition(torch.ops.aten.softshrink.default)


def test_aten_program_has_the_dialect_that_coremltools_asks_for() -> None:
    program = torch.export.export(nn.ReLU(), (torch.rand(2),), strict=False)
    lowered = torch_adapter.aten_program(program, program.graph_module, program.graph_signature)
    assert lowered.dialect == "ATEN"


def test_decomposition_table_is_keyed_by_overload() -> None:
    assert torch.ops.aten.addcmul.default in torch_adapter.decomposition_table()


class Halved(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] % 2:
            return x
        return x + 1


def test_size_guards_are_noted_with_the_line_that_asked() -> None:
    auto = torch.export.Dim.AUTO
    shapes = ({1: auto(min=2, max=64) if callable(auto) else auto},)  # torch 2.7 has no bounds there
    with torch_adapter.size_guards() as guards:
        program = torch.export.export(Halved(), (torch.rand(2, 8),), dynamic_shapes=shapes, strict=False)
    guard = next(g for g in guards if any(function == "forward" for _, _, function in g.stack))
    ((fixed, symbol),) = torch_adapter.traced_symbols(guard.environment)
    assert fixed == 2
    assert torch_adapter.condition_holds(guard, {symbol: 10})
    assert not torch_adapter.condition_holds(guard, {symbol: 9})
    place = next(node for node in program.graph.nodes if node.op == "placeholder")
    sizes = place.meta["val"].shape
    assert torch_adapter.size_expression(sizes[0]) == 2
    assert torch_adapter.size_expression(sizes[1]).is_symbol
    assert [torch_adapter.size_hint(size) for size in sizes] == [2, 8]


class Traced(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.split(1)
        return torch.add(first, second, alpha=3).clamp_(min=1)


def test_the_nodes_of_a_traced_graph_can_be_called_one_by_one() -> None:
    x = torch.arange(4.0).reshape(2, 2)
    graph = torch.jit.trace(Traced(), x).inlined_graph  # type: ignore[no-untyped-call]
    values = {list(graph.inputs())[1].debugName(): x}
    targets = []
    for node in graph.nodes():
        given = [values[each.debugName()] for each in node.inputs()]
        target, args, kwargs = torch_adapter.torchscript_call(node, given)
        names = [each.debugName() for each in node.outputs()]
        result = target(*args, **kwargs)
        values |= dict(zip(names, [result] if len(names) == 1 else result, strict=True))
        targets.append(target)
    (output,) = graph.outputs()
    assert torch.equal(values[output.debugName()], Traced()(x))
    assert [torch_adapter.is_mutable(target) for target in targets][-1]
    assert not torch_adapter.is_mutable(targets[0])


@torch.jit.script
def branching(x: torch.Tensor) -> torch.Tensor:
    return x if x.sum() > 0 else -x


def test_what_only_scripts_have_is_no_call() -> None:
    (branch,) = [node for node in branching.graph.nodes() if node.kind() == "prim::If"]
    with pytest.raises(LookupError):
        torch_adapter.torchscript_call(branch, [True])


def test_a_size_that_must_stay_dynamic_raises_where_a_number_is_asked_for() -> None:
    shapes = {"input": {0: torch.export.Dim("batch", min=2, max=9)}}
    program = torch.export.export(nn.ReLU(), (torch.rand(4, 3),), dynamic_shapes=shapes, strict=False)
    value = next(node for node in program.graph.nodes if node.op == "placeholder").meta["val"]
    size = value.shape[0]
    (symbol,) = torch_adapter.symbols_of(size * 2)
    assert torch_adapter.size_at(size * 2, {symbol: 7}) == 14
    with torch_adapter.kept_sizes(torch_adapter.mode_of(value)):
        assert size < 10  # follows from the bounds
        try:
            int(size)
        except RuntimeError as error:
            assert torch_adapter.fixes_a_size(error)
        else:
            raise AssertionError("a number was given for a dynamic size")
    assert not torch_adapter.fixes_a_size(RuntimeError("another"))


def test_a_trace_has_one_name_for_a_tensor_that_is_returned_twice() -> None:
    class Twice(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
            y = x + 1
            return y, (x * 2, y)

    first, second, third = torch_adapter.traced_outputs(torch.jit.trace(Twice(), torch.rand(2)))
    assert first == third != second
