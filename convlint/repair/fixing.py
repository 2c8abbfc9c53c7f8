"""A program made to convert, and the proof that it computes the same, taken back where it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from convlint.capture.build import weight_bytes
from convlint.capture.methods import Inputs, quiet_torch
from convlint.model.fixed import Fixed
from convlint.numerics.comparison import Comparison, compare
from convlint.repair.changes import applied_changes
from convlint.repair.divergence import first_changes
from convlint.repair.functional_states import STEPS, FunctionalReference, steps_problem
from convlint.repair.known_sizes import with_known_sizes
from convlint.repair.layout.proof import prove_layout
from convlint.repair.module import FixedModule
from convlint.repair.normalisation import fold_normalisation
from convlint.repair.ports import with_plain_ports
from convlint.repair.search.search import Search, Searched, TryOut, convert_in_child
from convlint.repair.search.wrong_numbers import ask_rules
from convlint.repair.sizes import other_sizes
from convlint.repair.sparse_buffers import with_dense_buffers

if TYPE_CHECKING:
    from convlint.repair.functional_states import Functional
    from convlint.repair.recorded.replay import Replay

PARITY_BYTES = 1 << 30
"""Weights up to which the converted program is run too: it holds them once more."""

SEEDS = 3
"""Sets of inputs that a fixed module is compared on."""


class Fixing:
    """One program of a model on its way: searched, made a module, compared, and searched again."""

    def __init__(
        self,
        module: Any,
        inputs: Inputs,
        program: Any,
        target: str,
        unsafe: bool,
        timeout: float,
        progress: Callable[[str], None],
        seconds: dict[str, float],
        replay: Replay | None = None,
        functional: Functional | None = None,
    ) -> None:
        self.module = module
        self.replay = replay
        self.functional = functional
        self.inputs = inputs if functional is None else functional.inputs(inputs)
        self.own_inputs = inputs
        program, self.ports = with_plain_ports(program)
        program, self.dense = with_dense_buffers(program)
        self.program, self.known = with_known_sizes(program)
        self.captured = program
        self.target = target
        self.unsafe = unsafe
        self.timeout = timeout
        self.progress = progress
        self.seconds = seconds
        self.notes: list[str] = list(self.ports)
        self.rolled_back: list[str] = []
        self.others: list[Any] = []
        self.left_out: tuple[str, ...] = ()
        self.ask_rules = ask_rules(target)

    def leave_out(self, parameters: Sequence[str]) -> None:
        """Say that what is written to these parameters is no part of the program any more."""
        self.left_out = tuple(parameters)
        if parameters:
            more = f" and {len(parameters) - 1} more" if len(parameters) > 1 else ""
            self.notes.append(
                f"what forward writes to the parameter {parameters[0]}{more} is left out: the weights of a"
                " Core ML model do not change"
            )

    def run(self) -> Fixed:
        """Search and compare, without the changes that were found wrong, until what is left agrees."""
        self.others = other_sizes(self.program, self.inputs)
        banned: frozenset[str] = frozenset()
        reference = self.reference()
        untouched = self.replay is None and self.functional is None and not self.left_out
        untouched = untouched and not self.ports and not self.dense
        while True:
            start = time.perf_counter()
            with quiet_torch():
                searched = self.search(banned)
            self.seconds["search"] = self.seconds.get("search", 0.0) + time.perf_counter() - start
            converts: Literal["yes", "no"] = "yes" if searched.trial.status == "converted" else "no"
            if not searched.changes and not self.known and untouched:
                return self.run_program(self.fixed(self.module, searched, Comparison(), converts))
            fixed_module = FixedModule(self.module, searched.program)
            start = time.perf_counter()
            self.progress("comparing")
            with quiet_torch():
                compared = self.compared(reference, fixed_module)
            self.seconds["compare"] = self.seconds.get("compare", 0.0) + time.perf_counter() - start
            if not compared.problem:
                return self.run_program(self.fixed(fixed_module, searched, compared, converts))
            guilty = (self.guilty(searched) or self.first_guilty(searched, banned, reference)) - banned
            if not guilty:
                self.notes.append(f"all changes were rolled back: {compared.problem}")
                return self.fixed(self.module, self.search(frozenset({"*"})), Comparison(), "no")
            self.rolled_back.append(f"{', '.join(sorted(guilty))}: {compared.problem}")
            banned |= guilty

    def run_program(self, fixed: Fixed) -> Fixed:
        """``fixed`` with what the converted program computes, beside the module."""
        if fixed.converts != "yes":
            return fixed
        if weight_bytes(self.module) > PARITY_BYTES:
            note = "the converted program was not run: its weights are large; convlint.parity(...) runs it"
            return replace(fixed, notes=(*fixed.notes, note))
        from convlint.numerics.parity import compare_exported

        start = time.perf_counter()
        self.progress("running the converted program")
        with quiet_torch():
            parity = compare_exported(fixed.module, fixed.program, self.inputs, self.target)
        self.seconds["parity"] = self.seconds.get("parity", 0.0) + time.perf_counter() - start
        return replace(fixed, parity=parity)

    def reference(self) -> Any:
        """What the fixed module must agree with."""
        if self.functional is not None:
            return FunctionalReference(self.module, self.functional.states)
        return self.module if self.replay is None else self.replay.reference

    def compared(self, reference: Any, fixed_module: FixedModule) -> Comparison:
        """One step, and where states are handed on, several."""
        comparison = compare(reference, fixed_module, self.inputs, SEEDS, gradients=True, others=self.others)
        if self.functional is None or comparison.problem:
            return comparison
        problem = steps_problem(self.module, fixed_module, self.functional, self.own_inputs)
        return replace(
            comparison,
            problem=problem,
            checked=(*comparison.checked, f"{STEPS} steps with the states handed on"),
        )

    def made_ready(self, fixed: Fixed, for_: str) -> Fixed:
        """``fixed`` with what was asked for beside."""
        if for_ == "ane":
            return self.laid_out(fixed)
        return self.folded(fixed) if for_ == "image" else fixed

    def folded(self, fixed: Fixed) -> Fixed:
        """``fixed`` with the normalisation of a picture in its first convolution, if that proves itself."""
        if fixed.converts == "no":
            note = "the normalisation is left where it is until the model converts"
            return replace(fixed, notes=(*fixed.notes, note))
        start = time.perf_counter()
        self.progress("folding")
        with quiet_torch():
            program, changes = fold_normalisation(fixed.program)
            if not changes:
                note = "no input is only scaled and shifted on its way to a convolution"
                return replace(fixed, notes=(*fixed.notes, note))
            trial = self.try_out()(program)
            fixed_module = FixedModule(self.module, program)
            compared = self.compared(self.reference(), fixed_module)
        self.seconds["fold"] = time.perf_counter() - start
        problem = compared.problem or ("" if trial.status == "converted" else "coremltools refuses it then")
        if problem:
            note = f"the normalisation was left where it was: {problem}"
            return replace(fixed, notes=(*fixed.notes, note))
        return replace(
            fixed,
            module=fixed_module,
            program=program,
            applied=fixed.applied + applied_changes(fixed.program, changes),
            max_abs_error=compared.max_abs_error,
            max_rel_error=compared.max_rel_error,
            checked=compared.checked,
            converted_before=False,
            trial=trial,
        )

    def laid_out(self, fixed: Fixed) -> Fixed:
        """``fixed`` with its stream kept channels-first, where that proves itself; else as it was."""
        if fixed.converts == "no":
            note = "the layout for the Neural Engine waits until the model converts"
            return replace(fixed, notes=(*fixed.notes, note))
        start = time.perf_counter()
        self.progress("laying out")
        with quiet_torch():
            layout = prove_layout(
                self.module, self.inputs, fixed.program, self.try_out(), self.others, self.reference()
            )
        self.seconds["layout"] = time.perf_counter() - start
        rolled_back = (*fixed.rolled_back, *layout.rolled_back)
        if layout.module is None:
            return replace(fixed, notes=(*fixed.notes, layout.problem), rolled_back=rolled_back)
        return replace(
            fixed,
            module=layout.module,
            program=layout.program,
            applied=fixed.applied + applied_changes(fixed.program, layout.changes),
            max_abs_error=layout.compared.max_abs_error,
            max_rel_error=layout.compared.max_rel_error,
            checked=layout.compared.checked,
            rolled_back=rolled_back,
            trial=layout.trial,
        )

    def search(self, banned: frozenset[str]) -> Searched:
        """Changes that make the program convert, ``banned`` calls left as they are."""
        self.progress("converting")
        return Search(
            self.program,
            self.try_out(),
            unsafe=self.unsafe,
            banned=banned,
            ask_rules=self.ask_rules,
        ).run()

    def try_out(self) -> TryOut:
        """What asks coremltools about a program."""
        return convert_in_child(self.target, self.timeout)

    def guilty(self, searched: Searched) -> frozenset[str]:
        """The calls whose change makes the first difference, by running both programs side by side."""
        return first_changes(self.module, self.program, searched.program, self.inputs)

    def first_guilty(self, searched: Searched, banned: frozenset[str], reference: Any) -> frozenset[str]:
        """The first change with which the two part, where no single value does: by halving the changes."""
        names = list(dict.fromkeys(change.node for change in searched.changes))

        def parts(count: int) -> bool:
            rest = frozenset(names[count:]) | banned
            tried = self.search(rest)
            with quiet_torch():
                return bool(self.compared(reference, FixedModule(self.module, tried.program)).problem)

        low, high = 0, len(names)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if parts(middle) else (middle, high)
        return frozenset(names[low:high])

    def fixed(
        self, module: Any, searched: Searched, compared: Comparison, converts: Literal["yes", "no"]
    ) -> Fixed:
        """What is handed out: ``module`` is the original where nothing was changed."""
        changed = module is not self.module
        applied = applied_changes(self.captured, self.known) + applied_changes(self.program, searched.changes)
        left_out = None
        applied = self.dense + applied
        if self.functional is not None:
            applied = self.functional.applied + applied
        if self.replay is not None:
            applied = self.replay.steps + applied
            left_out = self.replay.left_out
        return Fixed(
            module=module,
            program=searched.program,
            converts=converts,
            applied=applied if changed else (),
            left_out=left_out.named_in(searched.program) if changed and left_out is not None else None,
            remaining=searched.remaining,
            wrong=searched.wrong,
            max_abs_error=compared.max_abs_error if compared.checked else None,
            max_rel_error=compared.max_rel_error if compared.checked else None,
            checked=compared.checked,
            rolled_back=tuple(self.rolled_back),
            converted_before=not changed and converts == "yes",
            target=self.target,
            trial=searched.trial,
            notes=(*self.notes, *searched.notes),
            seconds=self.seconds,
        )
