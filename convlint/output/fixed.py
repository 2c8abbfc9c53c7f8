"""The report of ``convlint fix``, for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlint.model.as_dict import finding_to_dict
from convlint.model.form import form_to_dict
from convlint.model.plain import SCHEMA_VERSION, plain
from convlint.model.verdict import what_differs
from convlint.output.fix_report import FixReport
from convlint.output.page import Page, Plain
from convlint.output.places import shown_place
from convlint.text import count, one_line, shown_path

if TYPE_CHECKING:
    from rich.console import Console

    from convlint.model import Site
    from convlint.model.applied import Applied, LeftOut
    from convlint.model.fixed import Fixed
    from convlint.model.parity import Parity

SHOWN_CALLS = 8
SHOWN_HELPERS = 40
_DIM = "bright_black"
_SAFETY = {"safe": "", "unsafe": "  (may differ for some inputs)"}


def render_fixed(report: FixReport, console: Console | Plain) -> None:
    """Write the changes, what is left, the source changes as a diff, and the verdict as the last line."""
    fixed = report.fixed
    page = Page(console)
    page.put((report.name, "bold"), (f"  for {fixed.target}, export frontend", _DIM))
    page.gap()
    for change in fixed.applied:
        _change(page, change)
    for change in fixed.proposed:
        page.put(("not done without --unsafe", "bold yellow"))
        _change(page, change)
    if fixed.left_out is not None:
        _left_out(page, fixed.left_out, done=fixed.converts == "yes")
    for text in fixed.rolled_back:
        page.put(("rolled back", "bold yellow"), f": {text}", hang=2)
    for note in fixed.notes:
        page.put(("note", "bold cyan"), f": {note}", hang=2)
    if report.diff:
        page.gap()
        for line in _shown_diff(report):
            colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
            page.put((line, colour))
    page.gap()
    if fixed.checked:
        error = "" if fixed.max_abs_error is None else f"; largest difference {fixed.max_abs_error:.3g}"
        page.put(("compared", "bold"), f"  {', '.join(fixed.checked)}{error}", hang=2)
    if fixed.parity is not None:
        page.put(("program", "bold"), f"  {_parity(fixed.parity)}", hang=2)
    page.put(("time", "bold"), f"  {', '.join(f'{k} {v:.1f} s' for k, v in fixed.seconds.items())}", hang=2)
    _to_do(page, report)
    _balance(page, report)
    _refusals(page, report)
    page.gap()
    sign, colour, text = last_line(report)
    page.put((f"{sign} {text}", colour), hang=2)


def _parity(parity: Parity) -> str:
    """How the converted program compares with the fixed module."""
    if parity.status == "equal":
        return f"equal when run: largest error {parity.max_rel_error:.2g} of an output's largest value"
    if parity.status in ("refused", "unsupported"):
        return f"not run: {one_line(parity.detail)}"
    return f"{what_differs(parity)} ({parity.max_rel_error:.2g} of an output's largest value)"


def _shown_diff(report: FixReport) -> Iterator[str]:
    """The lines of the diff, of the helper file only the beginning: the rest of it is no news."""
    shown = 0
    lines = report.diff.splitlines()
    for number, line in enumerate(lines):
        in_helpers = shown or (line.startswith("+++ b/") and line[6:] == shown_path(report.helper_file))
        shown += bool(in_helpers)
        if shown > SHOWN_HELPERS and len(lines) - number > 1:
            yield f"  and {count(len(lines) - number, 'line')} more of {shown_path(report.helper_file)}"
            return
        yield line


def _to_do(page: Page, report: FixReport) -> None:
    """What to do now, in one line, and the lines to paste where the context is needed."""
    if report.emitted is not None:
        page.gap()
        if report.emitted.problem:
            page.put(("No script", "bold red"), f"  {report.emitted.path}: {report.emitted.problem}", hang=2)
        else:
            page.put(("To do now", "bold"), f"  python {report.emitted.path}", hang=2)
        return
    unwritten = bool(report.diff) and not report.written
    if unwritten or report.covered:
        page.gap()
    if unwritten:
        page.put(("To do now", "bold"), "  the same command with --write makes what the diff shows")
    if report.covered:
        before = "then paste" if unwritten else "paste"
        page.put(
            ("To do now" if not unwritten else "and", "bold"), f"  {before} this where you convert:", hang=2
        )
        for line in context_lines(report.helper_file):
            page.put(line, indent=4)


def context_lines(helper_file: str) -> tuple[str, ...]:
    """What to write to convert a model whose refused lines stand in libraries."""
    file = Path(helper_file).absolute()
    name, folder, package = file.stem, file.parent, ""
    while (folder / "__init__.py").exists():
        package, folder = f"{folder.name}.{package}".rstrip("."), folder.parent
    return (
        f"from {package} import {name}" if package else f"import {name}",
        f"with {name}.convertible():",
        "    program = torch.export.export(model, inputs)",
        f"program = program.run_decompositions({name}.decompositions())",
    )


def _refusals(page: Page, report: FixReport) -> None:
    """The lines that no edit says and no context covers, and why."""
    if report.emitted is not None and report.emitted.written_out and not report.emitted.problem:
        return
    if not report.refusals and not (report.context and report.context.problem):
        return
    page.gap()
    page.put(("Lines without an edit", "bold"))
    for refusal in report.refusals:
        page.put(f"{shown_path(refusal.site.path)}:{refusal.site.line}: {refusal.reason}", indent=2, hang=2)
    if report.context is not None and report.context.problem:
        page.put(
            f"The context of a helper file does not do either: {report.context.problem}", indent=2, hang=2
        )


def _balance(page: Page, report: FixReport) -> None:
    """Write which places are fixed in the source, which in memory only, and which are not."""
    fixed = report.fixed
    handed = {(site.path, site.line) for site in report.handed}
    helper = shown_path(report.helper_file)
    mine = tuple(site for site in report.in_source if (site.path, site.line) not in handed)
    calls = tuple(site for site in report.in_source if (site.path, site.line) in handed)
    writable = () if report.written else report.edits
    known = {(site.path, site.line) for site in (*writable, *report.covered)}
    memory = tuple(site for site in report.in_memory if (site.path, site.line) not in known)
    rows = [
        ("Fixed in your source", "bold green", _places(mine)),
        (f"Handed to {helper}", "bold green", _places(calls)),
        ("An edit is proved, --write makes it", "bold green", _places(writable)),
        (f"Covered by the context of {helper}", "bold green", _places(report.covered)),
        (f"Written out in {report.emitted.path}", "bold green", _places(memory))
        if report.emitted is not None and report.emitted.written_out and not report.emitted.problem
        else ("Fixed in memory only", "bold yellow", _places(memory)),
    ]
    left = [*_left(fixed)]
    if any(text for _, _, text in rows) or left:
        page.gap()
    for label, colour, text in rows:
        if text:
            page.put((label, colour), f"  {text}", hang=2)
    if left:
        page.put(("Not fixed", "bold red"))
    for text in left:
        page.put(text, indent=2, hang=2)


def _places(sites: Sequence[Site]) -> str:
    """``net.py:14, 17 and lib.py:3``"""
    lines: dict[str, list[str]] = {}
    for site in sites:
        path, _, line = shown_place(site).rpartition(":")
        lines.setdefault(path, []).append(line)
    return " and ".join(f"{path}:{', '.join(numbers)}" for path, numbers in lines.items())


def _left(fixed: Fixed) -> Iterator[str]:
    """What still prevents a program that computes the same, each with its line."""
    for failure in fixed.remaining:
        yield f"{failure.op or failure.stage}{_at(failure.site)}: {one_line(failure.error)}"
    for finding in fixed.wrong:
        place = _at(finding.site or finding.caller)
        yield f"{finding.rule.code} {finding.op}{place}: {one_line(finding.message)}"
    wrong = wrong_program(fixed)
    if wrong and not fixed.wrong:
        yield f"the converted program {wrong}"


def _at(site: Site | None) -> str:
    return f" at {shown_path(site.path)}:{site.line}" if site is not None else ""


def wrong_program(fixed: Fixed) -> str:
    """How the converted program differs from PyTorch, as the end of a sentence; empty where it does not."""
    parity = fixed.parity
    if parity is None or parity.severity != "error" or parity.status not in ("differs", "overflows"):
        return ""
    return what_differs(parity)


def last_line(report: FixReport) -> tuple[str, str, str]:
    """The verdict: sign, colour and words."""
    fixed = report.fixed
    if report.emitted is not None and not report.emitted.problem:
        return "✓", "bold green", f"{report.emitted.path} converts the model: it was run."
    changes = count(sum(change.calls for change in fixed.applied), "change")
    before = fixed.converted_before and not fixed.applied
    if fixed.converts == "yes" and not fixed.ships:
        how = "as it is" if before else f"after {changes}"
        errors = len(fixed.wrong)
        what = f"{count(errors, 'error')} left, named above" if errors else wrong_program(fixed)
        text = f"Converts {how}, but computes something else than PyTorch: {what}."
        return "✗", "bold red", text
    if before:
        return "✓", "bold green", "Converts as it is: there is nothing to change."
    if fixed.converts == "yes" and fixed.left_out is not None:
        left = count(sum(call.calls for call in fixed.left_out.calls), "call")
        outputs = count(len(fixed.left_out.outputs), "tensor")
        text = f"Converts in part: the module gives {outputs} and leaves {left} to you, as named above."
        return "✓", "bold yellow", text
    if fixed.proposed:
        text = "Does not convert as a whole: --unsafe does what is proposed above."
        return "✗", "bold red", text
    if fixed.converts != "yes":
        left = count(len(fixed.remaining), "refusal")
        text = f"Does not convert: {left} left, named above. `convlint check` shows their rules."
        return "✗", "bold red", text
    if report.checked is not None:
        files = " and ".join(map(shown_path, report.written))
        many = len(report.written) > 1
        if report.checked.exit_code == 0:
            how = "convert as they are" if many else "converts as it is"
            return "✓", "bold green", f"{files} {how} written now."
        how = "are" if many else "is"
        text = f"{files} {how} not done: {report.checked.headline} To convert now: {IN_MEMORY}."
        return "✗", "bold red", text
    if report.written:
        helper = shown_path(report.helper_file)
        return "✓", "bold green", f"Converts after {changes}, with the lines above and {helper}."
    text = f"Converts after {changes}, made in memory: {IN_MEMORY}; --emit PATH writes a script that does."
    if report.diff:
        lines = count(len({(site.path, site.line) for site in report.edits}), "line")
        helper = shown_path(report.helper_file)
        text += (
            f" --write makes those of {lines} in your source."
            if report.edits
            else f" --write makes {helper}."
        )
    return "✓", "bold green", text


IN_MEMORY = "convlint.convert(model, inputs) makes all changes and converts"


def _change(page: Page, change: Applied) -> None:
    times = f" ×{change.calls}" if change.calls > 1 else ""
    page.put(
        (change.op, "bold"), (times, _DIM), ": ", change.title, (_SAFETY.get(change.safety, ""), _DIM), hang=2
    )
    for site, before in ((change.site, ""), (change.caller, "called from ")):
        if site is not None and (before == "" or site != change.site):
            page.put(
                (f"→ {before}", _DIM), (f"{shown_path(site.path)}:{site.line}", "cyan"), indent=2, hang=2
            )
            if site.source.strip():
                page.put((f"{site.line} │ ", _DIM), site.source.strip(), indent=4, hang=4)


def _left_out(page: Page, left: LeftOut, *, done: bool) -> None:
    """Write the outputs of a split model, and the calls that are left to its caller, in order."""
    page.gap()
    page.put(("The model gives instead" if done else "The model would give instead", "bold"))
    for one in left.outputs:
        name = ", ".join(word for word in (one.name, one.variable) if word)
        page.put(
            (name or "a tensor", "bold"), f" {one.meta}", _place(one.site or one.caller), indent=2, hang=2
        )
    total = count(sum(call.calls for call in left.calls), "call")
    modules = f", with {', '.join(left.modules)}" if left.modules else ""
    page.put((f"Left to you: {total}{modules}", "bold"))
    for call in left.calls[:SHOWN_CALLS]:
        times = f" ×{call.calls}" if call.calls > 1 else ""
        page.put(call.op, (times, _DIM), _place(call.site or call.caller), indent=2, hang=2)
    if len(left.calls) > SHOWN_CALLS:
        page.put((f"and {len(left.calls) - SHOWN_CALLS} lines more, in --format json", _DIM), indent=2)


def _place(site: Site | None) -> tuple[str, str]:
    return (f"  {shown_path(site.path)}:{site.line}" if site is not None else "", "cyan")


def fixed_to_dict(report: FixReport) -> dict[str, Any]:
    """Everything that the terminal shows, as plain JSON types."""
    fixed = report.fixed
    return {
        "schema_version": SCHEMA_VERSION,
        "model": report.name,
        "target": fixed.target,
        "converts": fixed.converts,
        "ships": fixed.ships,
        "verdict": last_line(report)[2],
        "exit_code": report.exit_code,
        "converted_before": fixed.converted_before,
        "applied": plain(fixed.applied),
        "proposed": plain(fixed.proposed),
        "left_out": plain(fixed.left_out),
        "remaining": plain(fixed.remaining),
        "wrong": [finding_to_dict(finding) for finding in fixed.wrong],
        "parity": plain(fixed.parity),
        "rolled_back": list(fixed.rolled_back),
        "max_abs_error": fixed.max_abs_error,
        "max_rel_error": fixed.max_rel_error,
        "checked": list(fixed.checked),
        "diff": report.diff,
        "fixed_in_source": plain(report.in_source),
        "fixed_in_memory": plain(report.in_memory),
        "left": list(_left(fixed)),
        "left_to_you": plain(report.refusals),
        "written": list(report.written),
        "handed_to_helpers": plain(report.handed),
        "helper_file": report.helper_file,
        "context": plain(report.context),
        "to_paste": list(context_lines(report.helper_file)) if report.covered else [],
        "checked_after_writing": plain(report.checked),
        "emitted": plain(report.emitted),
        "form": form_to_dict(fixed.form),
        "notes": list(fixed.notes),
        "seconds": dict(fixed.seconds),
    }
