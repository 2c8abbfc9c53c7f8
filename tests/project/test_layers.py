"""Who may import whom: rooms from the top down, and no circle inside of any room."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest
from conftest import ROOT

PACKAGE = ROOT / "convlint"

LAYERS: dict[str, tuple[str, ...]] = {
    "convlint": (
        "__main__",
        "callbacks cli pytest_plugin tools",
        "editor testing",
        "output",
        "rule_tester runtimes",
        "runs",
        "settings",
        "checking",
        "repair",
        "compression placement",
        "numerics",
        "trial",
        "capture",
        "deployment",
        "rules",
        "rewrites",
        "usercode",
        "catalogue coreml interface",
        "mil",
        "model",
        "untouched",
        "sandbox",
        "child destination",
        "supervision files",
        "toml_table renderers wording",
        "coremltools_adapter torch_adapter errors text nearest installed op_functions",
        "cells",
    ),
    "convlint.model": (
        "run",
        "report",
        "as_dict compression fixed reasons since",
        "calibrated measured parity verdict",
        "repair",
        "applied findings placement remarks runtimes",
        "alternative first_launch fitted form",
        "graph plain rule shown",
    ),
    "convlint.rules": (
        "match",
        "error_texts",
        "rulebook scaffold",
        "rule",
        "parts",
        "message proposals",
        "subjects where words",
    ),
    "convlint.repair": (
        "fix",
        "fixing proposal",
        "changes known_sizes ports normalisation sparse_buffers",
        "layout",
        "search",
        "forms",
        "divergence folding functional_states recorded source",
        "applied draft module sizes",
    ),
    "convlint.checking": (
        "check",
        "baseline judgement offers planning repaired upgrade",
        "frontends",
        "alternatives",
        "shipping",
        "doctor options placed reconcile suppress",
    ),
    "convlint.runs": ("many", "affected session", "fixed opening watch workers", "cache progress"),
    "convlint.output": (
        "junit notebook plan_markdown since statistics",
        "fixed github gitlab html markdown plan sarif terminal",
        "calibration concise explained findings json model_explorer",
        "formats page places plan_units proofs rule_page rules runtimes settings upgrade",
        "catalogue compression earlier excerpt fix_report hyperlinks modules order",
    ),
}
"""Each package with rooms, from the top down: a room imports only from the layers below its own.

The other packages are small enough for one demand: their modules form no circle.
"""


def files_of(package: Path) -> Iterator[Path]:
    return (file for file in sorted(package.rglob("*.py")) if file != PACKAGE / "__init__.py")


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in files_of(PACKAGE)}


def imports_of(file: Path) -> Iterator[str]:
    """The modules of convlint that a file imports, wherever the import stands.

    Those for type checkers alone are left out: at run time they are not there.
    """
    nodes: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        nodes += ast.iter_child_nodes(node)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute here"
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                yield name if name in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def arrows() -> Iterator[tuple[str, str, str]]:
    """Every import as (the innermost package that holds both ends, the room of each end in it)."""
    for module, file in MODULES.items():
        for other in imports_of(file):
            if other in MODULES and other != module:
                mine, its = [*module.split("."), "__init__"], [*other.split("."), "__init__"]
                depth = next(
                    place for place, pair in enumerate(zip(mine, its, strict=False)) if len({*pair}) > 1
                )
                yield ".".join(mine[:depth]), mine[depth], its[depth]


ARROWS = frozenset(arrows())


@pytest.mark.parametrize("package", LAYERS)
def test_imports_point_down(package: str) -> None:
    height = {room: -number for number, layer in enumerate(LAYERS[package]) for room in layer.split()}
    folder = ROOT.joinpath(*package.split("."))
    rooms = {
        path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == set(height), "every room has a place in LAYERS, and is there"
    # The face of a package, its __init__, may import from all its rooms, and none from it.
    height["__init__"] = 1
    mine = [(one, other) for where, one, other in ARROWS if where == package]
    assert not [f"{one} imports {other}" for one, other in mine if height[other] >= height[one]]


def test_no_package_has_a_circle() -> None:
    for package in sorted({where for where, _, _ in ARROWS}):
        graph = networkx.DiGraph((one, other) for where, one, other in ARROWS if where == package)
        circles = [sorted(each) for each in networkx.strongly_connected_components(graph) if len(each) > 1]
        assert not circles, package


def test_private_names_stand_in_the_adapters() -> None:
    """Nothing else asks torch or coremltools for a name that begins with an underscore."""
    adapters = {file for name in ("torch", "coremltools") for file in files_of(PACKAGE / f"{name}_adapter")}
    wrong = []
    for file in set(files_of(PACKAGE)) - adapters:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                names = [*str(node.module).split("."), *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Attribute):
                names = ast.unparse(node).split(".")
            if names[:3] == ["torch", "ops", "aten"]:  # names of operators are their schema's
                continue
            foreign = names and names[0] in ("torch", "coremltools", "ct")
            if foreign and any(each.startswith("_") and not each.startswith("__") for each in names):
                wrong.append(f"{file.name}: {'.'.join(names)}")
    assert not wrong
