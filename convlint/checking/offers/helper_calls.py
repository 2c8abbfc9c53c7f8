"""The user's line as ``convlint fix --write`` would write it, where no rule has an expression for it.

What the search changes in the graph is a function of the op's arguments, and ``fix`` writes that function
into a file of the project. The help shows the call of it on the user's own line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from convlint.cells import is_cell
from convlint.checking.offers.own_lines import changed_line, own_module
from convlint.model import Finding, LineEdit, Replacement, Site
from convlint.model.applied import Applied
from convlint.model.repair import Repair
from convlint.repair.source.helper_file import has_helper
from convlint.repair.source.helper_line import MODULE, NoCall, handed_over

TITLE = "call a function that `convlint fix --write` writes beside it"


def with_helper_calls(findings: Iterable[Finding], repair: Repair) -> tuple[Finding, ...]:
    """The findings, errors without an edit with the call of a helper on their line, where one can stand."""
    return tuple(_with_call(finding, repair) for finding in findings)


def _with_call(finding: Finding, repair: Repair) -> Finding:
    site = finding.site
    if finding.severity != "error" or site is None or any(each.edit for each in finding.replacements):
        return finding
    for change in _changes_of(finding, repair):
        edit = _call_on(site, change)
        if edit is not None:
            help_ = Replacement(TITLE, "helper", "safe" if change.safety == "safe" else "unsafe", edit=edit)
            return replace(finding, replacements=(help_, *finding.replacements))
    return finding


def _changes_of(finding: Finding, repair: Repair) -> Iterator[Applied]:
    ops = {finding.op, *(call.op for call in finding.calls)}
    for change in repair.applied:
        same = change.op in ops and finding.site in (change.site, change.caller)
        if same and change.kind in ("rewrite", "correction") and has_helper(change.op, change.rewrite):
            yield change


def _call_on(site: Site, change: Applied) -> LineEdit | None:
    module = own_module(site)
    if module is None or is_cell(site.path):  # beside a cell no file is written
        return None
    handed = handed_over(module, site.line, [change.op])
    if isinstance(handed, NoCall):
        return None
    return changed_line(module, site.path, [(one.start, one.end, one.text) for one in handed], f"{MODULE}.py")
