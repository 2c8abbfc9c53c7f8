"""The table of precision and compression, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from convlint.model.compression import Compression, Layer, Row
from convlint.model.parity import Errors
from convlint.model.verdict import vanished
from convlint.text import one_line, shown_path

RANDOM = "The weights are random: sizes and targets hold, errors will be others after training."
_HEAD = ("needs", "weights", "of plain", "error", "SNR")
_HURT = 3
"""The number of layers that a row names."""


def heading(compression: Compression) -> str:
    """The heading of the table: target, precision and weights."""
    weights = (
        f"weights of {shown_path(compression.checkpoint)}" if compression.checkpoint else "random weights"
    )
    return f"Precision and compression: {compression.target}, {compression.precision}, {weights}"


def remark(compression: Compression) -> str:
    """The limits of the table's errors; empty where they were measured with trained weights."""
    small = (
        vanished(compression.plain.errors, compression.precision)
        if compression.plain.errors is not None
        else ""
    )
    said = [] if compression.checkpoint else [RANDOM]
    return " ".join([*said, f"{small}."] if small else said)


def compression_rows(compression: Compression) -> list[tuple[str, ...]]:
    """The table as rows for a page: a head, and for each setting its numbers and its layers."""
    rows: list[tuple[str, ...]] = [("setting", *_HEAD, "layers")]
    for row in (compression.plain, *compression.rows):
        if row.detail:
            rows.append((row.setting, row.needs, "", "", "", "", f"not made: {one_line(row.detail)}"))
        else:
            rows.append((*_cells(row, compression.plain), "" if row is compression.plain else _layers(row)))
    return rows


def compression_lines(compression: Compression) -> Iterator[str]:
    """A heading, the table, and for each setting the layers that suffer most."""
    yield heading(compression)
    table: list[tuple[str, ...]] = [("", *_HEAD)]
    table += [
        _cells(row, compression.plain) for row in (compression.plain, *compression.rows) if not row.detail
    ]
    widths = [max(len(line[column]) for line in table) for column in range(6)]
    for line in table:
        cells = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        yield f"  {'  '.join(cells)}".rstrip()
    for row in (compression.plain, *compression.rows):
        if row.detail:
            yield f"  {row.setting}: not made: {one_line(row.detail)}"
        elif row is not compression.plain:
            yield f"  {row.setting}: {_layers(row)}"
    if said := remark(compression):
        yield f"  {said}"


def _cells(row: Row, plain: Row) -> tuple[str, ...]:
    share = f"{row.bytes / plain.bytes:.0%}" if plain.bytes else ""
    return (row.setting, row.needs, size_text(row.bytes), share, *_errors(row.errors))


def _errors(errors: Errors | None) -> tuple[str, str]:
    if errors is None:
        return "", ""
    if errors.nonfinite:
        return "overflows", ""
    return f"{errors.max_rel_error:.1e}", f"{errors.snr_db:.0f} dB"


def _layers(row: Row) -> str:
    if not row.layers:
        return "no weight is large enough to be compressed (coremltools leaves those under 2,048 elements)"
    tried = [layer for layer in row.layers if layer.errors is not None]
    hurt = ", ".join(_layer(layer) for layer in tried[:_HURT])
    more = (
        f"; {len(row.layers) - len(tried)} smaller ones were not tried"
        if len(tried) < len(row.layers)
        else ""
    )
    return f"hurts most in {hurt}{more}"


def _layer(layer: Layer) -> str:
    sizes = f"{size_text(layer.bytes_before)} to {size_text(layer.bytes_after)}"
    return f"{layer.name} ({sizes}, error {_errors(layer.errors)[0]} alone)"


def size_text(size: int) -> str:
    """``"1.2 MB"``: three digits and a unit."""
    for limit, unit in ((10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= limit:
            return f"{size / limit:.3g} {unit}"
    return f"{size} B"
