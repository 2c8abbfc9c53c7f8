"""A plan as JSON."""

from __future__ import annotations

from typing import Any

from convlint.model import SCHEMA_VERSION
from convlint.output.json import plain
from convlint.plan.model import Plan


def plan_to_dict(plan: Plan) -> dict[str, Any]:
    """Everything about the plan as plain JSON types, under the names of the dataclasses."""
    return {"schema_version": SCHEMA_VERSION, **plain(plan), "flops": plan.flops}
