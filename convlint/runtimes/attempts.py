"""One function for each runtime that tries it, in a process of its own, and imports what it needs."""

from __future__ import annotations

from typing import Any

from convlint.model.runtimes import Tried
from convlint.runtimes.subject import RuntimeSubject, size_of
from convlint.text import one_line

_APPLE_ONLY = "runs on Apple devices alone"


def try_mobile(subject: RuntimeSubject) -> Tried:
    """PyTorch Mobile: a TorchScript trace for its lite interpreter, optimised where this torch can."""
    import torch

    from convlint.torch_adapter import mobile_bytes, mobile_module
    from convlint.trial.trace import trace_module

    traced = trace_module(subject.module, subject.args, subject.kwargs)
    remark = ""
    try:
        from torch.utils.mobile_optimizer import optimize_for_mobile

        optimised: Any = optimize_for_mobile(traced)
    except (ImportError, RuntimeError) as error:
        if "XNNPACK" not in str(error) and not isinstance(error, ImportError):
            raise
        optimised, remark = traced, "without optimize_for_mobile: this build of torch has no XNNPACK"
    data = mobile_bytes(optimised)
    with torch.no_grad():
        outputs = mobile_module(data)(*subject.tensors())
    return Tried(len(data), subject.error_of(outputs), remark=remark)


def try_executorch_coreml(subject: RuntimeSubject) -> Tried:
    """ExecuTorch with its Core ML partitioner."""
    import coremltools as ct
    from executorch.backends.apple.coreml.compiler import CoreMLBackend
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner

    specs = CoreMLBackend.generate_compile_specs(minimum_deployment_target=getattr(ct.target, subject.target))
    return _executorch(subject, CoreMLPartitioner(compile_specs=specs), run=False)


def try_executorch_xnnpack(subject: RuntimeSubject) -> Tried:
    """ExecuTorch with its XNNPACK partitioner, run by ExecuTorch's own runtime."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner

    return _executorch(subject, XnnpackPartitioner(), run=True)


def _executorch(subject: RuntimeSubject, partitioner: Any, *, run: bool) -> Tried:
    from executorch.exir import EdgeCompileConfig, to_edge_transform_and_lower

    program = subject.exported()
    try:
        edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    except Exception as error:
        if "Core ATen" not in str(error):
            raise
        # The check stops at its first op; without it, all ops that no backend took can be listed.
        unchecked = EdgeCompileConfig(_check_ir_validity=False)
        edge = to_edge_transform_and_lower(
            subject.exported(), partitioner=[partitioner], compile_config=unchecked
        )
        refused = [str(target) for target in _undelegated(edge) if not _is_core(target)]
        blockers = subject.blockers(refused or subject.refused_in(str(error)))
        return Tried(blockers=blockers, error=one_line(str(error))[:300])
    left = subject.blockers(str(target) for target in _undelegated(edge))
    data = edge.to_executorch().buffer
    if not run:
        return Tried(len(data), not_run=_APPLE_ONLY, left=left)
    from executorch.runtime import Runtime

    method = Runtime.get().load_program(data).load_method("forward")
    return Tried(len(data), subject.error_of(list(method.execute(subject.tensors()))), left=left)


def _undelegated(edge: Any) -> list[Any]:
    """The torch ops that no partitioner took."""
    nodes = edge.exported_program().graph_module.graph.nodes
    targets = (getattr(node.target, "_op", None) for node in nodes if node.op == "call_function")
    return [target for target in targets if target is not None and hasattr(target, "tags")]


def _is_core(target: Any) -> bool:
    import torch

    return torch.Tag.core in target.tags


def try_litert(subject: RuntimeSubject) -> Tried:
    """LiteRT through litert-torch, run by its interpreter."""
    import litert_torch

    subject.exported()
    try:
        converted = litert_torch.convert(subject.module, subject.args, subject.kwargs or None)
    except RuntimeError as error:
        refused = subject.refused_in(str(error).partition("While executing")[0])
        return Tried(
            blockers=subject.blockers(refused), error=one_line(str(error))[:300], first_only=bool(refused)
        )
    path = subject.folder / "model.tflite"
    converted.export(str(path))
    return Tried(size_of(path), subject.error_of(converted(*subject.args, **subject.kwargs)))


def try_coreai(subject: RuntimeSubject) -> Tried:
    """Core AI through coreai-torch."""
    import coreai_torch

    program = subject.exported().run_decompositions(coreai_torch.get_decomp_table())
    try:
        converted = coreai_torch.TorchConverter().add_exported_program(program).to_coreai()
    except ValueError as error:
        refused = subject.refused_in(str(error))
        if not refused:
            raise
        return Tried(blockers=subject.blockers(refused), error=one_line(str(error))[:300])
    path = subject.folder / "model.aimodel"
    converted.save_asset(path)
    return Tried(size_of(path), not_run=_APPLE_ONLY)


def try_onnx(subject: RuntimeSubject) -> Tried:
    """ONNX through ``torch.onnx.export``, run by ONNX Runtime on the CPU."""
    import onnxruntime
    import torch

    subject.exported()
    try:
        onnx_program = torch.onnx.export(
            subject.module, subject.args, kwargs=subject.kwargs or None, dynamo=True, verbose=False
        )
    except Exception as error:
        refused = subject.refused_in(_causes(error))
        if not refused:
            raise
        return Tried(blockers=subject.blockers(refused), error=one_line(str(error))[:300], first_only=True)
    assert onnx_program is not None
    data = onnx_program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    tensors = [tensor.numpy() for tensor in subject.tensors()]
    outputs = session.run(None, dict(zip(names, tensors, strict=True)))
    return Tried(len(data), subject.error_of(outputs))


def _causes(error: BaseException | None) -> str:
    """The messages of an exception and of all that caused it."""
    texts = []
    while error is not None:
        texts.append(str(error))
        error = error.__cause__
    return "\n".join(texts)
