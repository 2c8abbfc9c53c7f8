"""What all entries come to."""

from __future__ import annotations


def summary(found, state, chosen):
    return f"{len(found)} entries"


def write_pages(found, state, chosen):
    pass
