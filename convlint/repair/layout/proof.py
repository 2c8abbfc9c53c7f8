"""The channels-first layout put to the proof: converted, compared, and taken back call by call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convlint.capture.methods import Inputs
from convlint.capture.names import located
from convlint.numerics.comparison import Comparison, compare
from convlint.repair.draft import CHANGED, Change
from convlint.repair.layout.channels_first import channels_first
from convlint.repair.layout.views import CARRIED
from convlint.repair.module import FixedModule
from convlint.repair.search.search import TryOut
from convlint.repair.sizes import is_dynamic

if TYPE_CHECKING:
    from convlint.model import Trial

ROUNDS = 6
SEEDS = 3


@dataclass(frozen=True, slots=True)
class LaidOut:
    """What proved itself. ``module`` is None where nothing did, for the reason ``problem``."""

    module: Any = None
    program: Any = None
    changes: tuple[Change, ...] = ()
    trial: Trial | None = None
    compared: Comparison = field(default_factory=Comparison)
    rolled_back: tuple[str, ...] = ()
    problem: str = ""


def prove_layout(
    module: Any,
    inputs: Inputs,
    program: Any,
    try_out: TryOut,
    others: Sequence[Inputs] = (),
    reference: Any = None,
) -> LaidOut:
    """``program``, which converts, in the other layout, less the calls that do not prove themselves there.

    Compared with ``reference`` where that is not the ``module`` whose weights it has.
    """
    reference = module if reference is None else reference
    banned: frozenset[str] = frozenset()
    rolled_back: list[str] = []
    problem = "it still did not agree after several rounds"
    for _ in range(ROUNDS):
        laid, changes = channels_first(program, banned)
        if all(change.title == CARRIED for change in changes):
            return LaidOut(rolled_back=tuple(rolled_back), problem=_nothing(program))
        trial = try_out(laid)
        if trial.status != "converted":
            guilty = _refused(laid, trial)
            problem = "coremltools refused " + ", ".join(f.op or f.stage for f in trial.failures[:3])
        else:
            fixed = FixedModule(module, laid)
            compared = compare(reference, fixed, inputs, SEEDS, gradients=True, others=others)
            if not compared.problem:
                return LaidOut(fixed, laid, changes, trial, compared, tuple(rolled_back))
            guilty = _first_wrong(module, reference, inputs, program, banned, changes, compared.problem)
            problem = compared.problem
        guilty -= banned
        if not guilty:
            break
        rolled_back.append(f"{', '.join(sorted(guilty))}: {problem}")
        banned |= guilty
    return LaidOut(rolled_back=tuple(rolled_back), problem=f"the layout was left as it was: {problem}")


def _first_wrong(
    module: Any,
    reference: Any,
    inputs: Inputs,
    program: Any,
    banned: frozenset[str],
    changes: Sequence[Change],
    problem: str,
) -> frozenset[str]:
    """The first call, in the order of the program, with which the layout does not agree any more.

    The data of a carried tensor has another shape than the tensor, so values cannot be laid beside each
    other; but the layout may end after any call, and the search halves the calls that it covers.
    """
    changed = {change.node for change in changes}
    names = [node.name for node in program.graph.nodes if node.name in changed]
    good, bad = 0, len(names)
    while bad - good > 1:
        middle = (good + bad) // 2
        laid, _ = channels_first(program, banned | frozenset(names[middle:]))
        fixed = FixedModule(module, laid)
        if compare(reference, fixed, inputs, 1, gradients="gradient" in problem).problem:
            bad = middle
        else:
            good = middle
    return frozenset(names[bad - 1 : bad])


def _nothing(program: Any) -> str:
    if is_dynamic(program):
        return "no layer was laid out channels-first: that is done for fixed sizes, and some here are dynamic"
    return "the model has no linear layer, norm or attention to lay out channels-first"


def _refused(program: Any, trial: Trial) -> frozenset[str]:
    """The calls whose counterpart was refused."""
    by_name = {node.name: node for node in program.graph.nodes}
    nodes = (located(by_name, failure.node) for failure in trial.failures)
    return frozenset(node.meta[CHANGED].node for node in nodes if node is not None and CHANGED in node.meta)
