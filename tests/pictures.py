"""Hand-made plans for the tests of the page and the drawing: no torch, any size, hostile names."""

from __future__ import annotations

from convlint.model import Site
from convlint.model.placement import UNITS, Blocker, Crossing, Interval, Island, PlacedOp, Plan, Share, Unit

SOURCE = "https://example.org/measured"
HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "\"quoted\" 'too' & &amp;",
    "right\u202eleft\x1b[31m\x00",
    "<!-- <script>",
)


def plan_of(modules: list[str], ops_each: int = 3, model: str = "nets.py:Net") -> Plan:
    """A chain through ``modules``, each a convolution, a norm on the CPU in every fourth, and activations."""
    ops: list[PlacedOp] = []
    for number, module in enumerate(modules):
        for place in range(ops_each):
            kind = ("conv", "layer_norm", "gelu")[place % 3]
            unit: Unit = "CPU" if kind == "layer_norm" and number % 4 == 1 else "ANE"
            index = len(ops)
            time = 0.02 if kind == "conv" else 0.001
            ops.append(
                PlacedOp(
                    index=index,
                    name=f"{kind}_{index}",
                    kind=kind,
                    unit=unit,
                    cause="runs" if unit == "ANE" else "refused",
                    reason="a norm over this axis" if unit == "CPU" else "",
                    confidence="measured",
                    source=SOURCE,
                    op=f"aten.{kind}.default",
                    site=Site("nets.py", 10 + place, f"x = {kind}(x)", "forward"),
                    module=module,
                    module_type="nets.Block",
                    inputs=(index - 1,) if index else (),
                    latency_ms=Interval(time / 2, time, 2 * time),
                )
            )
    return planned(tuple(ops), model)


def planned(ops: tuple[PlacedOp, ...], model: str) -> Plan:
    """The plan of these ops, with what follows from their units."""
    crossings = tuple(
        Crossing(source, op.index, ops[source].unit, op.unit, 4096, 0.05)
        for op in ops
        for source in op.inputs
        if ops[source].unit != op.unit
    )
    total = sum(op.latency_ms.mid for op in ops)
    off = tuple(op for op in ops if op.unit == "CPU")
    blockers = tuple(
        Blocker(
            "layer_norm",
            off[0].op,
            tuple(op.index for op in off),
            "a norm over this axis",
            "measured",
            SOURCE,
            Interval(0.1, 0.2, 0.4),
            (len(off) + 1, 1),
            (len(crossings), 0),
            site=off[0].site,
            modules=tuple(op.module for op in off),
        )
        for _ in off[:1]
    )
    return Plan(
        model=model,
        chip="A17 Pro",
        os="iOS17",
        compute_units="all",
        level="mil",
        ops=ops,
        islands=(Island("ANE", (0,), Interval(0, 0, 0)),),
        crossings=crossings,
        blockers=blockers,
        latency_ms=Interval(total / 2, total, 2 * total),
        share=Share(
            {unit: sum(op.latency_ms.mid for op in ops if op.unit == unit) / total for unit in UNITS},
            {unit: sum(1 for op in ops if op.unit == unit) / len(ops) for unit in UNITS},
        ),
    )


def blocks(number: int) -> list[str]:
    """Module paths of ``number`` blocks with two parts each, as in a transformer."""
    return [f"encoder.layers.{block}.{part}" for block in range(number) for part in ("attention", "mlp")]


def large_plan(ops: int) -> Plan:
    """A plan of exactly this many ops, in blocks of 60."""
    plan = plan_of(blocks(ops // 60 + 1), 30)
    return planned(plan.ops[:ops], plan.model)
