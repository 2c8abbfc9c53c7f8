"""``convlint compress``: a check that shows what each compression does to size and outputs."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TextIO

from convlint.cli.check import check
from convlint.cli.requests import CheckRequest, check_request
from convlint.compression.settings import FORMS
from convlint.errors import UsageError


def compress_request(namespace: argparse.Namespace) -> CheckRequest:
    """The request of ``compress``, as that of a check."""
    request = check_request(namespace)
    if not request.models.compress and "precision" not in request.models.overrides:
        raise UsageError(f"compress needs to know what to try: give --to SETTINGS. Known: {FORMS}.")
    overrides = {"trial": "passes", **request.models.overrides}
    return replace(request, models=replace(request.models, overrides=overrides), part="compression")


def compress(request: CheckRequest, out: TextIO) -> int:
    """Compress each model in all these ways."""
    return check(request, out)
