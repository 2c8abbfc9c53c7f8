"""What is to be known of a replacement before it is taken, in the words of every report for people."""

from __future__ import annotations

from convlint.model import Replacement

_SAFETY = {
    "safe": "",
    "unsafe": "may differ for some inputs",
    "retrain": "another function: only before training",
}
_KINDS = {
    "decomposition": "PyTorch decomposes it",
    "upgrade": "newer coremltools",
    "converter": "to be filled in",
}


def remark_of(replacement: Replacement) -> str:
    """Its kind, its safety and how equal it is, ``""`` where there is nothing to say."""
    remarks = [_KINDS.get(replacement.kind, ""), _SAFETY[replacement.safety]]
    if replacement.rtol is not None:
        remarks.append(f"equal within {replacement.rtol:g}" if replacement.rtol else "equal bit for bit")
    return "; ".join(filter(None, remarks))
