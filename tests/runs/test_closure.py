"""Which files a model is made of, read from them without running any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from convlint.runs.cache.imports import Closure, import_closure

FILES = {
    "pkg/__init__.py": "",
    "pkg/model.py": "import torch\nfrom . import layers\nfrom .sub.deep import thing\nimport tools\n",
    "pkg/layers.py": "from pkg.norms import Norm as N\nfrom timm import create_model\n",
    "pkg/norms.py": "import os, json\n",
    "pkg/other.py": "import pkg.layers\n",
    "pkg/sub/__init__.py": "",
    "pkg/sub/deep.py": "from ..late import *\n",
    "pkg/late.py": "def f():\n  import inner\n  __import__('lazily')\n  x.import_module('pkg.plug')\n",
    "pkg/plug.py": "",
    "tools.py": "try:\n    import missing_thing\nexcept ImportError:\n    pass\n",
    "inner.py": "",
    "lazily.py": "",
    "spaces/plain.py": "",
    "broken.py": "from pkg import *\ndef (:\n",
    "renamed.py": "from pkg.gone import Thing\n",
    "odd.py": "# -*- coding: latin-1 -*-\nimport inner  # caf\xe9\n",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="latin-1")
    return tmp_path


def names(closure: Closure, root: Path) -> set[str]:
    return {str(Path(path).relative_to(root)) for path in closure.files}


OF_THE_MODEL = {
    "pkg/__init__.py",
    "pkg/model.py",
    "pkg/layers.py",
    "pkg/norms.py",
    "pkg/sub/__init__.py",
    "pkg/sub/deep.py",
    "pkg/late.py",
    "pkg/plug.py",
    "tools.py",
    "inner.py",
    "lazily.py",
}


@pytest.mark.parametrize("spec", ["pkg/model.py:Model", "pkg.model:Model", " pkg.model:Model.part "])
def test_imports_are_followed_wherever_they_stand(root: Path, spec: str) -> None:
    closure = import_closure(spec, str(root))
    assert names(closure, root) == OF_THE_MODEL
    assert not closure.broken


def test_what_nobody_imports_is_left_out(root: Path) -> None:
    assert names(import_closure("pkg.norms:N", str(root)), root) == {"pkg/__init__.py", "pkg/norms.py"}


def test_an_import_that_would_begin_to_work_is_among_the_absent(root: Path) -> None:
    absent = import_closure("tools:x", str(root)).absent
    assert str(root / "missing_thing.py") in absent
    assert str(root / "missing_thing/__init__.py") in absent
    assert str(root / "tools/__init__.py") in absent, "a package goes before a module"


def test_a_neighbour_that_is_gone_breaks_it(root: Path) -> None:
    closure = import_closure("renamed.py:Model", str(root))
    assert closure.broken
    assert str(root / "pkg/gone.py") in closure.absent
    assert import_closure("nowhere.py:Model", str(root)).broken


def test_a_file_that_cannot_be_parsed_is_still_there(root: Path) -> None:
    assert names(import_closure("broken.py:Model", str(root)), root) == {"broken.py"}


def test_the_encoding_of_a_file_is_its_own(root: Path) -> None:
    assert names(import_closure("odd.py:Model", str(root)), root) == {"odd.py", "inner.py"}


def test_a_folder_without_init_is_a_package_too(root: Path) -> None:
    assert names(import_closure("spaces.plain:Model", str(root)), root) == {"spaces/plain.py"}


def test_a_folder_that_only_has_the_name_of_a_library_is_none(root: Path) -> None:
    (root / "timm").mkdir()
    (root / "timm" / "notes.py").write_text("")
    (root / "uses.py").write_text("import timm.models\n")
    closure = import_closure("uses.py:Model", str(root))
    assert names(closure, root) == {"uses.py"}
    assert not closure.broken


def test_modules_in_argument_expressions_belong_to_it(root: Path) -> None:
    closure = import_closure("pkg.norms:N", str(root), {"config": "inner.Config(tools.size, 3)"})
    assert {"inner.py", "tools.py"} <= names(closure, root)


def test_a_changed_file_is_read_again(root: Path) -> None:
    assert "tools.py" not in names(import_closure("pkg.norms:N", str(root)), root)
    (root / "pkg/norms.py").write_text("import tools  # and more\n")
    assert "tools.py" in names(import_closure("pkg.norms:N", str(root)), root)


def test_installed_packages_are_not_followed(root: Path) -> None:
    closure = import_closure("torchvision.models:resnet50", str(root))
    assert closure.files == frozenset()
    assert not closure.broken


def test_an_editable_installation_is_found_by_its_hook(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip writes such finders for projects whose sources lie elsewhere (PEP 660)."""
    import importlib.machinery
    import importlib.util

    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> object:
            if name != "elsewhere":
                return None
            return importlib.util.spec_from_file_location(
                name, root / "pkg/__init__.py", submodule_search_locations=[str(root / "pkg")]
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    closure = import_closure("elsewhere.layers:L", str(root / "spaces"))
    assert {"pkg/__init__.py", "pkg/layers.py"} <= names(closure, root)
