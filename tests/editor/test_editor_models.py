"""Which models a saved file reaches: those of the configuration, else those that a comment names."""

from __future__ import annotations

from pathlib import Path

from small_project import CONFIG, CONFIG_OF_BAD, write_project

from convlint.editor.models import Wanted, Wrong, models_of
from convlint.settings.project import find_project

NETS = """\
from torch import nn

class Named(nn.Module):  # convlint: input x=1x3x8x8 mask=1x8:bool
    pass

# convlint: input 1x4
@decorated
class Above(nn.Module):
    pass

class Plain(nn.Module):
    pass

def built():  # convlint: inputs 1x2
    return Plain()

class Mistaken(nn.Module):  # convlint: input 1xx3
    pass
"""


def test_models_of_the_configuration_come_first(tmp_path: Path) -> None:
    folder = write_project(tmp_path, CONFIG + CONFIG_OF_BAD)
    project = find_project(folder)
    layers = folder / "nets" / "layers.py"
    layers.write_text(layers.read_text() + "\n\nclass Other:  # convlint: input 1x4\n    pass\n")
    (found,) = models_of(str(layers), project, None)
    assert isinstance(found, Wanted)
    line = (folder / "nets" / "good.py").read_text().splitlines().index("class Good(nn.Module):") + 1
    assert (found.job.name, found.path, found.line) == ("good", str(folder / "nets" / "good.py"), line)
    (bad,) = models_of(str(folder / "nets" / "bad.py"), project, None)
    assert isinstance(bad, Wanted)
    assert bad.path == str(folder / "nets" / "bad.py"), "a module's file is found too"
    assert len(list(models_of(str(folder / "convlint.toml"), project, None))) == 2


def test_a_comment_names_the_inputs_of_a_class(tmp_path: Path) -> None:
    path = tmp_path / "nets.py"
    path.write_text(NETS)
    (tmp_path / "convlint.toml").write_text("target = 'iOS18'\n")
    project = find_project(tmp_path)
    named, above, built, mistaken = models_of(str(path), project, None)
    assert isinstance(named, Wanted)
    assert [each.name for each in named.job.inputs] == ["x", "mask"]
    assert (named.job.spec, named.line) == (f"{path}:Named", 3)
    assert named.job.options.target == "iOS18"
    assert isinstance(above, Wanted)
    assert above.job.name == "Above"
    assert isinstance(built, Wanted)
    assert built.job.name == "built"
    assert isinstance(mistaken, Wrong)
    line = next(number for number, text in enumerate(NETS.splitlines(), 1) if "class Mistaken" in text)
    assert (mistaken.name, mistaken.line) == ("Mistaken", line)
    assert "1xx3" in str(mistaken.error)


def test_a_file_that_does_not_parse_has_none(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("class Net(nn.Module  # convlint: input 1x4\n")
    assert list(models_of(str(tmp_path / "half.py"), find_project(tmp_path), None)) == []
