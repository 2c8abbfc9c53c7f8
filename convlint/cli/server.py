"""``convlint server``: what an editor starts."""

from __future__ import annotations

from convlint.errors import UsageError


def server() -> int:
    """Speak the language server protocol until the editor ends the conversation."""
    import os

    if not hasattr(os, "fork"):
        raise UsageError("the server needs fork, which this system does not have.")
    try:
        from convlint.editor.server import serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("pygls", "lsprotocol"):
            raise
        raise UsageError("the server needs pygls: pip install 'pygls>=2.0'.") from error
    serve()
    return 0
