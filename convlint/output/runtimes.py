"""A comparison of runtimes as text and as JSON types."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from convlint.model.form import form_to_dict
from convlint.model.plain import plain
from convlint.output.compression import size_text
from convlint.text import one_line, shown_path

if TYPE_CHECKING:
    from convlint.model.runtimes import Comparison, RefusedOp, RuntimeResult

_SHOWN = 8


def comparison_to_dict(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain JSON types."""
    return {
        "model": comparison.model,
        "target": comparison.target,
        "form": form_to_dict(comparison.form),
        "doors": [
            {"door" if key == "runtime" else key: value for key, value in plain(each).items()}
            for each in comparison.results
        ],
    }


def comparison_text(comparison: Comparison) -> str:
    """One table, and under it the ops that each runtime refuses or leaves to the CPU."""
    lines = [f"{comparison.model}  for {comparison.target}"]
    lines += [comparison.form.sentence] if comparison.form is not None else []
    lines.append("")
    table = [("", "verdict", "size", "error", "time"), *map(_cells, comparison.results)]
    widths = [max(len(row[column]) for row in table) for column in range(5)]
    for row in table:
        cells = [row[0].ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    details = [line for result in comparison.results for line in _details(result)]
    return "\n".join([*lines, *([""] if details else []), *details]) + "\n"


def _cells(result: RuntimeResult) -> tuple[str, ...]:
    tried = result.tried
    size = size_text(tried.bytes) if tried.bytes else ""
    error = "" if tried.max_rel_error is None else f"{tried.max_rel_error:.1e}"
    if tried.not_run:
        error = "not run"
    seconds = f"{result.seconds:.1f} s" if result.seconds else ""
    return (f"{result.title} {result.release}".rstrip(), result.status, size, error, seconds)


def _details(result: RuntimeResult) -> Iterator[str]:
    tried = result.tried
    if result.status == "not installed":
        yield f"{result.title}: pip install {result.install}"
    if result.detail:
        yield f"{result.title}: {one_line(result.detail)}"
    if tried.blockers:
        first = " (it stops at the first)" if tried.first_only else ""
        yield f"{result.title} refuses{first}: {_ops(tried.blockers)}"
    elif tried.error:
        yield f"{result.title}: {one_line(tried.error)}"
    if tried.left:
        yield f"{result.title} leaves to plain CPU kernels: {_ops(tried.left)}"
    if tried.not_run:
        yield f"{result.title}: what it wrote was not run: {one_line(tried.not_run)}"
    if tried.remark:
        yield f"{result.title}: {one_line(tried.remark)}"


def _ops(blockers: Sequence[RefusedOp]) -> str:
    shown = [
        f"{each.op} at {shown_path(each.site.path)}:{each.site.line}" if each.site else each.op
        for each in blockers[:_SHOWN]
    ]
    more = f" and {len(blockers) - _SHOWN} more" if len(blockers) > _SHOWN else ""
    return ", ".join(shown) + more
