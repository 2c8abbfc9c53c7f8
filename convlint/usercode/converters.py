"""The user's own converters: modules that register ops with coremltools, loaded during a check.

A module named by ``converters`` of the configuration decorates functions with coremltools'
``register_torch_op`` (https://apple.github.io/coremltools/docs-guides/source/composite-operators.html).
coremltools has one table for the whole process, so the entries are removed after each model: the next
model may have others under the same names.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from convlint.errors import UsageError
from convlint.sandbox import time_limit, user_code
from convlint.usercode.importing import import_file, import_module
from convlint.usercode.spec import explaining

_registered: dict[tuple[str, str], Mapping[str, Any]] = {}
"""The entries that each module has put into the table; it registers only at its first import."""


@contextmanager
def own_converters(names: Sequence[str], root: str | None, timeout: float | None) -> Iterator[None]:
    """While open, coremltools has the converters of these modules or ``.py`` files."""
    if not names:
        yield
        return
    if importlib.util.find_spec("coremltools") is None:
        raise UsageError(
            f"the converters {', '.join(names)} are for coremltools, which is not installed:"
            " pip install coremltools."
        )
    from convlint import coremltools_adapter as adapter

    before = adapter.converter_table()
    try:
        for name in names:
            adapter.set_converter_table({**adapter.converter_table(), **_of_module(name, root, timeout)})
        yield
    finally:
        adapter.set_converter_table(before)


def _of_module(name: str, root: str | None, timeout: float | None) -> Mapping[str, Any]:
    from convlint import coremltools_adapter as adapter

    folder = os.path.abspath(root or os.getcwd())
    known = _registered.get((folder, name))
    if known is not None:
        return known
    before = adapter.converter_table()
    with explaining(f"importing the converters {name}"), time_limit(timeout), user_code():
        if name.endswith(".py"):
            import_file(os.path.join(folder, os.path.expanduser(name)), name)
        else:
            import_module(name, folder)
    after = adapter.converter_table()
    added = {kind: function for kind, function in after.items() if before.get(kind) is not function}
    if not added and not adapter.foreign_converters():
        raise UsageError(
            f"the converters {name} register nothing with coremltools: decorate a function with"
            ' @register_torch_op(torch_alias=["namespace::op"]), as `convlint rule CL460` shows.'
        )
    _registered[folder, name] = added
    return added
