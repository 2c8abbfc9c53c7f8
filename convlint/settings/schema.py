"""The JSON schema of the configuration, which editors use to complete and check it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from convlint.settings.keys import MODEL, PROJECT, SETTINGS, Key


def config_schema() -> dict[str, Any]:
    """The schema of a ``convlint.toml``, and so of ``[tool.convlint]``."""
    model = _object({**MODEL, **SETTINGS}, "one model")
    model["required"] = ["spec"]
    whole = _object({**SETTINGS, **PROJECT}, "What convlint checks, and how.")
    whole["properties"]["models"] = {
        "type": "array",
        "items": model,
        "description": "the models that `convlint check` checks",
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "convlint",
        **whole,
    }


def _object(keys: Mapping[str, Key], text: str) -> dict[str, Any]:
    properties = {name: {**key.schema, "description": key.help} for name, key in keys.items()}
    return {
        "type": "object",
        "description": text,
        "properties": properties,
        "additionalProperties": False,
    }
