"""The template of a converter for the user's own op, filled with the op's schema."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from convlint.model import Finding, Replacement

if TYPE_CHECKING:
    from convlint.coreml.supported import Snapshot

_TENSOR, _OPTIONAL = "Tensor", "Optional[Tensor]"


def fill_templates(finding: Finding, supported: Snapshot) -> Finding:
    """``finding`` with its converter templates filled in for the op that it names."""
    if not any(replacement.kind == "converter" for replacement in finding.replacements):
        return finding
    schema = _schema(finding.op)
    filled = (
        _filled(each, finding.op, schema, supported.kind(finding.op)) if each.kind == "converter" else each
        for each in finding.replacements
    )
    return replace(finding, replacements=tuple(each for each in filled if each is not None))


def _schema(op: str) -> Any:
    """torch's schema of ``namespace.name.overload``; None where torch has none."""
    import torch

    overload: Any = torch.ops
    for part in op.split("."):
        overload = getattr(overload, part, None)
    return getattr(overload, "_schema", None)


def _filled(template: Replacement, op: str, schema: Any, name: str) -> Replacement | None:
    if schema is None:
        return None
    words = {
        "COREML_NAME": name,
        "FUNCTION": "".join(c if c.isalnum() else "_" for c in name),
        "OP_NAME": op,
        '"SCHEMA"': f"# {schema}",
    }
    text = template.after
    for word, value in words.items():
        text = text.replace(word, value)
    lines = []
    for line in text.splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        lines += [f"{indent}{each}" for each in _arguments(schema)] if line.strip() == "ARGUMENTS" else [line]
    if len(schema.returns) > 1:
        results = ", ".join(f"result{index}" for index in range(len(schema.returns)))
        lines = [line.replace("context.add(result,", f"context.add(({results}),") for line in lines]
    return replace(template, after="\n".join(lines), before="")


def _arguments(schema: Any) -> list[str]:
    """One line for each argument of the schema, in its order, that reads the argument."""
    lines = []
    for index, argument in enumerate(schema.arguments):
        name, kind = _identifier(argument.name), str(argument.type)
        known = kind not in (_TENSOR, _OPTIONAL) and "Tensor" not in kind
        default = repr(argument.default_value) if argument.has_default_value() else None
        if argument.kwarg_only:
            line = f'({name},) = _get_kwinputs(context, node, "{argument.name}", default=[{default}])'
            lines.append(line)
            continue
        value = f"inputs[{index}]" + (".val" if known and "List" not in kind else "")
        if default is not None:
            value += f" if len(inputs) > {index} else {default}"
        lines.append(f"{name} = {value}")
    return lines


def _identifier(name: str) -> str:
    return f"{name}_" if name in ("from", "in", "is", "lambda", "context", "node", "inputs") else name
