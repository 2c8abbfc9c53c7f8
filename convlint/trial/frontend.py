"""The frontend of coremltools, run over all nodes of a model although some of them fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from convlint import coremltools_adapter as adapter
from convlint.child import Channel
from convlint.trial.job import Failed, Job, call_nodes, failed
from convlint.trial.recorder import CannotStandIn, Recorder


def run_frontend(job: Job, recorder: Recorder, channel: Channel) -> Any:
    """The MIL program, stand-ins for what failed in it; or None after reporting why there is none."""
    if job.frontend == "torchscript":
        kinds = sorted(_torchscript_kinds(job.model.inlined_graph))
    else:
        kinds = [adapter.export_kind(node) for node in call_nodes(job)]
    with recorder.listening(kinds):
        return _Run(job, recorder, channel).run()


def target_option(job: Job) -> dict[str, Any]:
    """What ``ct.convert`` is told of the target."""
    import coremltools as ct

    return {"minimum_deployment_target": getattr(ct.target, job.target)}


def interface_options(job: Job) -> dict[str, Any]:
    """What ``ct.convert`` is told of inputs and outputs that the user declares."""
    options = {"inputs": list(job.inputs), "outputs": list(job.outputs)}
    return {name: types for name, types in options.items() if types}


class _Run:
    """One run of the frontend, and the checks of the interface before and after it."""

    def __init__(self, job: Job, recorder: Recorder, channel: Channel) -> None:
        self.job = job
        self.recorder = recorder
        self.channel = channel

    def run(self) -> Any:
        if not self.takes_inputs():
            return None
        try:
            program = self.convert(interface_options(self.job))
        except CannotStandIn:
            return None
        except Exception as error:
            refusal = self.refusal("input", error)
            self.channel.send(refusal)
            if self.leave_out_interface():
                self.convert_for_the_ops(refusal)
            return None
        return program if self.takes_outputs(program) else None

    def convert(self, interface: dict[str, Any]) -> Any:
        import coremltools as ct

        return ct.convert(
            self.job.model,
            convert_to="milinternal",
            pass_pipeline=ct.PassPipeline.EMPTY,
            **target_option(self.job),
            **interface,
        )

    def takes_inputs(self) -> bool:
        """Whether the declared inputs pass the checks that a conversion to MIL leaves out."""
        if not self.job.inputs:
            return True
        target = target_option(self.job)["minimum_deployment_target"]
        try:
            adapter.check_inputs(list(self.job.inputs), target)
        except (ValueError, TypeError) as error:
            self.channel.send(failed("input", error))
            return False
        return True

    def takes_outputs(self, program: Any) -> bool:
        """Whether the declared outputs do, which is not asked where stand-ins are in the program."""
        if not self.job.outputs or self.recorder.failures:
            return True
        try:
            adapter.check_outputs(program, list(self.job.outputs))
        except (ValueError, TypeError) as error:
            self.channel.send(failed("output", error))
            return False
        return True

    def refusal(self, stage: str, error: Exception) -> Failed:
        """What stopped the frontend: at ``stage``, unless nodes failed before."""
        if not self.recorder.failures:
            # The passes of the frontend run right behind it, and some of them refuse an operation.
            origin = adapter.origin_of_error(error, "torch_")
            return replace(failed("passes", error), node=origin) if origin else failed(stage, error)
        # What goes wrong once a stand-in is in the program may be the stand-in's doing.
        return replace(failed("frontend", error), follows=self.recorder.failures[0].node)

    def leave_out_interface(self) -> bool:
        """Take out what may have been refused of the interface alone; whether there was anything."""
        if self.job.frontend != "export":
            return False
        odd = _drop_odd_outputs(self.job.model)
        declared = bool(self.job.inputs or self.job.outputs)
        return odd or (declared and not self.recorder.failures)

    def convert_for_the_ops(self, refusal: Failed) -> None:
        """Convert once more without the interface that was refused, to see what else fails."""
        try:
            self.convert({})
        except CannotStandIn:
            pass
        except Exception as error:
            again = self.refusal("frontend", error)
            if again.error != refusal.error:
                self.channel.send(again)


def _drop_odd_outputs(program: Any) -> bool:
    """Take outputs that Core ML has no word for out of the signature; whether there were any."""
    from torch.export.graph_signature import OutputKind, TensorArgument

    specs = program.graph_signature.output_specs
    plain = [
        spec
        for spec in specs
        if spec.kind in (OutputKind.USER_OUTPUT, OutputKind.BUFFER_MUTATION)
        and isinstance(spec.arg, TensorArgument)
    ]
    if len(plain) == len(specs) or not plain:
        return False
    specs[:] = plain
    return True


def _torchscript_kinds(block: Any) -> set[str]:
    """The names under which the TorchScript frontend looks for converters, nested blocks included."""
    kinds = set()
    for node in block.nodes():
        kinds.add(adapter.converter_name_of(node.kind()).removesuffix("_"))
        for inner in node.blocks():
            kinds |= _torchscript_kinds(inner)
    return kinds
