"""The format of PyTorch Mobile."""

from __future__ import annotations

from typing import Any


def mobile_bytes(module: Any) -> bytes:
    """A scripted module in the format of PyTorch Mobile."""
    return bytes(module._save_to_buffer_for_lite_interpreter())


def mobile_module(data: bytes) -> Any:
    """The module that :func:`mobile_bytes` wrote, in Mobile's interpreter."""
    import io

    from torch.jit.mobile import _load_for_lite_interpreter

    return _load_for_lite_interpreter(io.BytesIO(data))  # type: ignore[no-untyped-call]
