"""What a fix made of a graph, said in the user's project: the lines, the helper file, and the context.

The first form of a change that fits is taken: an expression on the line, then a call of a helper. What has
neither, since it stands in a library or in a layer, is left to the context of the helper file. Each form is
proved before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING

from convlint.model import Rule, Site
from convlint.model.applied import Applied
from convlint.repair.source.edit import IN_LIBRARY, UNASKED, Edit, Refusal, editable, find_edit
from convlint.repair.source.helper_file import Helpers, file_text, has_composition, has_helper, key_of
from convlint.repair.source.helper_line import MODULE, Handed, NoCall, handed_over, import_of
from convlint.repair.source.helper_place import place_of_helpers
from convlint.repair.source.layers import Layer, Made, is_layer, layers_at
from convlint.repair.source.proof import Original, converted, made_at, proved
from convlint.repair.source.written import Context, SourceChanges
from convlint.rewrites.table import rewrites_of
from convlint.rules.match import for_op

if TYPE_CHECKING:
    from convlint.model.fixed import Fixed

IN_VAIN = "what it would become is refused all the same"
_ROUNDS = 3
"""Times that a helper file is extended by what coremltools refuses of the helpers themselves."""

_HELPED = ("rewrite", "correction")
OF_THE_MODEL = ("record", "split", "state", "dense")
"""Changes that are said of the model, not of how a line is written."""
_ASKED_FOR = ("layout", "normalisation")
"""Changes that a model may be converted without."""


def source_changes(
    fixed: Fixed, rules: Sequence[Rule], original: Original, made_with: str, *, unsafe: bool
) -> SourceChanges:
    """Every change of a fix in the first form that fits and proves itself."""
    search = _Search(fixed, rules, original, made_with, unsafe)
    search.find_expressions()
    search.find_calls()
    search.prove_edits()
    search.prove_context()
    return search.changes


def context_changes(
    fixed: Fixed, rules: Sequence[Rule], original: Original, made_with: str, *, unsafe: bool
) -> SourceChanges:
    """Every change of a fix in the context of the helper file: no line of the project is edited."""
    search = _Search(fixed, rules, original, made_with, unsafe)
    search.leave_lines()
    search.prove_context()
    return search.changes


class _Search:
    """One fix on its way into the source. ``edits`` are candidates, with the changes that each one says."""

    def __init__(
        self, fixed: Fixed, rules: Sequence[Rule], original: Original, made_with: str, unsafe: bool
    ) -> None:
        self.rules, self.original, self.made_with, self.unsafe = rules, original, made_with, unsafe
        left = {failure.site for failure in fixed.remaining} - {None}
        said = [change for change in fixed.applied if change.kind not in OF_THE_MODEL]
        self.applied = [change for change in said if change.site not in left]
        self.edits: dict[Edit, list[Applied]] = {}
        self.handed: dict[Edit, Handed] = {}
        self.refused: dict[Applied, Refusal] = {}
        self.changes = SourceChanges()
        self.changes.refusals += [
            Refusal(site, IN_VAIN) for change in said if change.site in left and (site := site_of(change))
        ]
        self.can_write = True

    def leave_lines(self) -> None:
        """No edits: the place of the helper file alone."""
        for change in self.applied:
            site = site_of(change)
            if site is not None:
                self.refused[change] = Refusal(site, UNASKED)
        self.changes.place = place_of_helpers((), self.original.spec, self.original.root)
        self.can_write = not self.changes.place.problem(self.original.root)

    def find_expressions(self) -> None:
        """The first form: a rule's replacement on the line."""
        for change in self.applied:
            site = site_of(change)
            if site is None:
                continue
            mine = rules_about(change.op, self.rules)
            answer = find_edit(site, mine, self.original.root, unsafe=self.unsafe)
            if isinstance(answer, Edit):
                self.edits.setdefault(answer, []).append(change)
            else:
                self.refused[change] = answer

    def find_calls(self) -> None:
        """The second form: the call handed to a helper. One that overlaps an expression takes its place."""
        by_line: dict[tuple[str, int], list[Applied]] = {}
        in_layers: list[Applied] = []
        for change in self.refused:
            site = site_of(change)
            if site is None or not _is_helped(change):
                continue
            if is_layer(change.module, self.original.module):
                in_layers.append(change)
            else:
                by_line.setdefault((site.path, site.line), []).append(change)
        places: list[tuple[Site, list[Applied], list[Handed]]] = []
        for changes in by_line.values():
            answer = self._handed(changes)
            if answer is not None:
                places.append(answer)
        places += self._layers(in_layers)
        self.changes.place = place_of_helpers(
            sorted({site.path for site, _, _ in places} | {edit.path for edit in self.handed}),
            self.original.spec,
            self.original.root,
        )
        problem = self.changes.place.problem(self.original.root)
        self.can_write = not problem
        for site, changes, handed in places:
            if problem:
                for change in changes:
                    self.refused[change] = replace(self.refused[change], reason=problem)
            else:
                self._take(site, changes, handed)

    def _layers(self, changes: list[Applied]) -> list[tuple[Site, list[Applied], list[Handed]]]:
        """Calls inside of layers of PyTorch: the class is handed over where the project makes the layer."""
        found: dict[Layer, list[Applied]] = {}
        for change in changes:
            answer = layers_at(
                change.module, change.calls > 1, self.original.module, self.notes, self.original.root
            )
            if isinstance(answer, str):
                self.refused[change] = replace(self.refused[change], reason=answer)
            else:
                for layer in answer:
                    found.setdefault(layer, []).append(change)
        return [
            (layer.site, mine, [Handed(layer.start, layer.end, f"{MODULE}.{layer.name}", (), layer.full)])
            for layer, mine in found.items()
        ]

    @cached_property
    def notes(self) -> Mapping[str, Made]:
        return made_at(self.original)

    def _handed(self, changes: list[Applied]) -> tuple[Site, list[Applied], list[Handed]] | None:
        """The changes of a line that calls can be handed over for, and the new expressions."""
        first = site_of(changes[0])
        assert first is not None
        module = editable(first, self.original.root)
        if isinstance(module, Refusal):
            return None
        good: list[Applied] = []
        for change in changes:
            answer = handed_over(module, first.line, [change.op])
            if isinstance(answer, NoCall):
                self.refused[change] = replace(self.refused[change], reason=answer.reason)
            else:
                good.append(change)
        if not good:
            return None
        said = [edit for edit in self.edits if (edit.path, edit.line) == (first.path, first.line)]
        handed = handed_over(module, first.line, [change.op for change in good])
        if isinstance(handed, NoCall):
            return None
        for edit in said:
            if any(edit.start < one.end and one.start < edit.end for one in handed):
                good += [one for one in self.edits.pop(edit) if _is_helped(one)]
                self.refused |= {one: Refusal(first, "it stands inside of another call") for one in good}
                handed = handed_over(module, first.line, [change.op for change in good])
                if isinstance(handed, NoCall):
                    return None
        return first, good, handed

    def _take(self, site: Site, changes: list[Applied], handed: list[Handed]) -> None:
        place = self.changes.place
        assert place is not None
        module = editable(site, self.original.root)
        if isinstance(module, Refusal):
            return
        new = import_of(module, place.statement(site.path))
        needs = None
        if new is not None:
            start, line = new
            needs = Edit(site.path, 1, start, start, "", line, "", "", "safe", module.source)
        for one in handed:
            before = module.source.text[one.start : one.end]
            titles = " and ".join(dict.fromkeys(change.title for change in changes))
            edit = Edit(
                site.path, site.line, one.start, one.end, before, one.text, "", titles, "safe", module.source,
                needs, True,
            )  # fmt: skip
            self.edits[edit] = list(changes)
            self.handed[edit] = one

    def prove_edits(self) -> None:
        """Keep the edits after which the model computes the same, the helpers beside them.

        Where an expression gives other values, the call is handed to a helper instead.
        """
        edits, wrong = self._proved()
        if any(edit not in self.handed for edit in wrong):
            self.find_calls()
            edits, _ = self._proved()
        self.changes.edits = edits
        self.changes.said = {
            edit: tuple(site for change in self.edits[edit] if (site := site_of(change)) is not None)
            for edit in edits
        }
        self._fill(edits, ())

    def _proved(self) -> tuple[list[Edit], dict[Edit, str]]:
        self._fill(list(self.edits), ())
        edits, wrong = proved(list(self.edits), self.original, self._files())
        for edit, reason in wrong.items():
            for change in self.edits.pop(edit):
                self.refused[change] = Refusal(Site(edit.path, edit.line), reason)
        for edit in edits:
            for change in self.edits[edit]:
                self.refused.pop(change, None)
        return edits, wrong

    def prove_context(self) -> None:
        """The third form, for all that no edit says; where nothing is left, that the edits are enough."""
        left = [change for change in self.applied if change in self.refused or not site_of(change)]
        if left and self._needs_no_more(left):
            for change in left:
                del self.refused[change]
            left = []
        if not left and self.changes.helper_edits:
            self._extend(context=False)
        if left and self.can_write and any(_is_helped(change) for change in left):
            covered = self.changes.helpers
            self._fill(self.changes.edits, self.applied)
            problem = self._extend(context=True)
            covered_changes = [change for change in left if change.kind not in _ASKED_FOR]
            places = (change.site or change.caller for change in covered_changes)
            sites = tuple(dict.fromkeys(site for site in places if site is not None))
            self.changes.context = Context(sites, problem)
            if problem:
                self.changes.helpers = covered
                self._write_down()
            else:
                for change in covered_changes:  # of a line of the project it is still said why it stays
                    if change in self.refused and self.refused[change].reason in (IN_LIBRARY, UNASKED):
                        del self.refused[change]
        done = {(edit.path, edit.line) for edit in self.changes.edits}
        refusals = {(one.site.path, one.site.line): one for one in self.refused.values()}
        self.changes.refusals += [one for place, one in refusals.items() if place not in done]

    def _needs_no_more(self, left: Sequence[Applied]) -> bool:
        """Whether the edits of the lines that these changes are of are enough, so that nothing is left to do.

        A line that is written otherwise may need fewer changes than the graph of the old line did.
        """
        lines = {(edit.path, edit.line) for edit in self.changes.edits}
        sites = [site_of(change) for change in left]
        if not all(site is not None and (site.path, site.line) in lines for site in sites):
            return False
        result = converted(self.changes.edits, self.original, self._files())
        return result.status == "converted" and not result.problem

    def _extend(self, *, context: bool) -> str:
        """Add what coremltools refuses of the helpers themselves, until it takes them; why it does not."""
        assert self.changes.place is not None
        for number in range(_ROUNDS):
            path = self.changes.place.path if context else ""
            result = converted(self.changes.edits, self.original, self._files(), path)

            if result.problem or result.status == "converted":
                return result.problem
            more = {
                (op, one.name)
                for op in result.refused
                if op.startswith("aten.")
                for one in rewrites_of(op)
                if one.safety == "safe" or self.unsafe
            } - self.changes.helpers.rewrites
            rest = ", ".join(dict.fromkeys(result.refused)) or "it"
            if not more or number == _ROUNDS - 1:
                break
            if not context:
                more = {each for each in more if key_of(each[0]) not in self._called()}
                if not more:
                    break
            self.changes.helpers = replace(
                self.changes.helpers,
                rewrites=self.changes.helpers.rewrites | more,
                nested=self.changes.helpers.nested or not context,
            )
            self._write_down()
        return f"coremltools still refuses {rest}"

    def _called(self) -> set[str]:
        return {key_of(op) for op, _ in self.changes.helpers.rewrites}

    def _fill(self, edits: Sequence[Edit], more: Sequence[Applied]) -> None:
        """Put into the helper file what ``edits`` call, and what ``more`` changes need."""
        mine = [edit for edit in edits if edit in self.handed]
        changes = [*(change for edit in mine for change in self.edits[edit]), *more]
        functions = {one.name: (one.full, one.key) for edit in mine for one in self.handed[edit].functions}
        new = Helpers(
            frozenset(
                (change.op, change.rewrite) for change in changes if has_helper(change.op, change.rewrite)
            ),
            functions,
            frozenset(
                change.op for change in changes if change.kind == "decomposition" and _is_helped(change)
            ),
            layers={
                layer.rpartition(".")[2]: layer
                for edit in mine
                for layer in [self.handed[edit].layer]
                if layer
            },
        )
        self.changes.helpers = new
        self._write_down()

    def _write_down(self) -> None:
        """The text of the helper file: what is needed, and what stands there already."""
        place, mine = self.changes.place, self.changes.helpers
        if place is None or not (mine.rewrites or mine.functions or mine.decomposed):
            self.changes.text = ""
            return
        self.changes.before = place.read()
        known = place.existing()
        self.changes.text = file_text(known.joined(mine) if known is not None else mine, self.made_with)

    def _files(self) -> dict[str, bytes]:
        place = self.changes.place
        return {place.path: self.changes.text.encode()} if place is not None and self.changes.text else {}


def site_of(change: Applied) -> Site | None:
    """The line to edit: that of the project, where a call of it leads to one in a library."""
    return change.caller or change.site


def _is_helped(change: Applied) -> bool:
    """Whether a helper can stand for the call."""
    if change.kind == "decomposition":
        return has_composition(change.op)
    return change.kind in _HELPED and has_helper(change.op, change.rewrite)


def rules_about(op: str, rules: Sequence[Rule]) -> list[Rule]:
    """The rules that name this op, as they speak of it."""
    return [for_op(rule, op) for rule in rules if _about(rule, op)]


def _about(rule: Rule, op: str) -> bool:
    named = (name for match in rule.matches if match.subject == "op" for name in match.names if name != "*")
    return any(fnmatchcase(op, name) for name in named)
