"""What each option that writes does to what stands at its path: docs/writing.md, cell by cell."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, Convlint, Ran

import convlint as api
from convlint import files
from convlint.errors import UsageError
from convlint.output.formats import FORMATS

NET = """\
import torch
from torch import nn

class Good(nn.Module):
    def forward(self, x):
        return torch.relu(x)

class Bad(nn.Module):
    def forward(self, x):
        return torch.hypot(x, x)

class Other(nn.Module):
    def forward(self, x):
        return torch.hypot(x, x + 1)
"""
CONFIG = """\
[[models]]
name = "one"
spec = "net.py:Bad"
inputs = ["1x4"]
[[models]]
name = "two"
spec = "net.py:Other"
inputs = ["1x4"]
"""
ENDINGS = {
    "terminal": "txt",
    "sarif": "sarif",
    "junit": "xml",
    "markdown": "md",
    "html": "html",
    "svg": "svg",
}


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


def snapshot(folder: Path) -> dict[str, tuple[str, int, bytes]]:
    """Everything below a folder: what it is, its mode, its content."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        status = path.lstat()
        kind = stat.filemode(status.st_mode)[0]
        content = os.readlink(path).encode() if kind == "l" else path.read_bytes() if kind == "-" else b""
        found[str(path.relative_to(folder))] = (kind, status.st_mode, content)
    return found


# What stands at a path, made there; each returns the path that is given to the option.


def a_source(folder: Path, ending: str) -> str:
    (folder / f"mine{ending}").write_text("the work of weeks\n")
    return f"mine{ending}"


def a_python_file(folder: Path, ending: str) -> str:
    return "net.py"


def an_empty_python_file(folder: Path, ending: str) -> str:
    (folder / "__init__.py").write_text("")
    return "__init__.py"


def a_configuration(folder: Path, ending: str) -> str:
    (folder / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    return "pyproject.toml"


def a_document_of_the_same_format(folder: Path, ending: str) -> str:
    texts = {
        ".json": '{"name": "mine", "version": "1.0.0"}',
        ".sarif": '{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "other"}}}]}',
        ".xml": '<?xml version="1.0"?><testsuites><testsuite name="mine"/></testsuites>',
        ".md": "# My notes\n",
        ".html": "<!DOCTYPE html><html><head><title>convlint</title></head></html>",
        ".svg": '<svg xmlns="http://www.w3.org/2000/svg"><title>a drawing</title></svg>',
        ".txt": "error: notes about convlint\n",
    }
    (folder / f"mine{ending}").write_text(texts.get(ending, "mine"))
    return f"mine{ending}"


def a_folder(folder: Path, ending: str) -> str:
    inner = folder / f"kept{ending}"
    inner.mkdir()
    (inner / "results.csv").write_text("1,2,3\n")
    return inner.name


def a_folder_with_a_slash(folder: Path, ending: str) -> str:
    return a_folder(folder, ending) + "/"


def a_roundabout_path(folder: Path, ending: str) -> str:
    name = a_folder(folder, ending)
    (folder / name / "sub").mkdir()
    return f"{name}/sub/../../{name}"


def a_link_to_a_source(folder: Path, ending: str) -> str:
    a_source(folder, ".notes")
    (folder / f"link{ending}").symlink_to("mine.notes")
    return f"link{ending}"


def a_link_to_a_folder(folder: Path, ending: str) -> str:
    a_folder(folder, "")
    (folder / f"link{ending}").symlink_to("kept")
    return f"link{ending}"


def a_dangling_link(folder: Path, ending: str) -> str:
    (folder / f"link{ending}").symlink_to("nowhere")
    return f"link{ending}"


def a_socket(folder: Path, ending: str) -> str:
    import socket

    here = os.getcwd()
    os.chdir(folder)  # the path of a socket may be 100 letters long
    try:
        socket.socket(socket.AF_UNIX).bind(f"socket{ending}")
    finally:
        os.chdir(here)
    return f"socket{ending}"


def a_file_in_a_read_only_folder(folder: Path, ending: str) -> str:
    (folder / "locked").mkdir()
    (folder / "locked").chmod(0o555)
    return f"locked/new{ending}"


def a_file_below_a_file(folder: Path, ending: str) -> str:
    return f"net.py/new{ending}"


def nothing(folder: Path, ending: str) -> str:
    return ""


def a_name_that_is_too_long(folder: Path, ending: str) -> str:
    return "n" * 300 + ending


REFUSED: tuple[Callable[[Path, str], str], ...] = (
    a_source, a_python_file, an_empty_python_file, a_configuration, a_document_of_the_same_format, a_folder,
    a_folder_with_a_slash, a_roundabout_path, a_link_to_a_source, a_link_to_a_folder, a_dangling_link,
    a_socket,
    a_file_in_a_read_only_folder, a_file_below_a_file, nothing, a_name_that_is_too_long,
)  # fmt: skip
OPTIONS = {
    "--save-package": (("check", "net.py:Good", "--input", "1x4", "--trial", "full"), ".mlpackage"),
    "--report": (("check", "net.py:Good", "--input", "1x4", "--trial", "none"), ".json"),
    "--report of a plan": (("plan", "net.py:Good", "--input", "1x4", "--trial", "none"), ".html"),
    "--baseline": (("baseline", "write", "--trial", "none"), ".json"),
}


def assert_refused(ran: Ran, before: object, folder: Path) -> None:
    assert ran.code == 2, ran
    assert [line for line in ran.err.splitlines() if line.startswith("convlint: error: ")], ran
    assert "imported" not in ran.err, "the model is not looked at before the place is"
    assert "internal error" not in ran.err, ran
    assert snapshot(folder) == before


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("stands_there", REFUSED)
def test_what_is_somebodys_is_refused_before_any_work(
    option: str, stands_there: Callable[[Path, str], str], net: Path, convlint: Convlint
) -> None:
    arguments, ending = OPTIONS[option]
    if option == "--baseline":
        (net / "convlint.toml").write_text(CONFIG)
    (net / "net.py").write_text(f"import sys\nprint('imported', file=sys.stderr)\n{NET}")
    path = stands_there(net, ending)
    before = snapshot(net)
    given = f"json:{path}" if option.startswith("--report") else path
    try:
        assert_refused(convlint(*arguments, option.split()[0], given), before, net)
    finally:
        if (net / "locked").exists():
            (net / "locked").chmod(0o755)


@pytest.mark.parametrize("path", [".", "..", "~/", "/"])
def test_a_package_never_takes_the_place_of_a_project(path: str, net: Path, convlint: Convlint) -> None:
    before = snapshot(net)
    ran = convlint("check", "net.py:Good", "--input", "1x4", "--save-package", path, HOME=str(net))
    if path != "~/":  # which is an ordinary name where no shell reads it
        assert_refused(ran, before, net)
    assert (net / "net.py").read_text() == NET


def package(convlint: Convlint, path: str, model: str = "Good") -> Ran:
    return convlint("check", f"net.py:{model}", "--input", "1x4", "--save-package", path)


def test_a_package_is_replaced_when_the_new_one_is_complete(net: Path, convlint: Convlint) -> None:
    assert package(convlint, "p.mlpackage").code == 0
    first = snapshot(net / "p.mlpackage")
    (net / "link.mlpackage").symlink_to("p.mlpackage")
    assert package(convlint, "p.mlpackage", "Bad").code == 1
    assert snapshot(net / "p.mlpackage") == first, "what does not convert takes no place"
    (net / "net.py").write_text(NET.replace("relu", "tanh"))
    assert package(convlint, "link.mlpackage").code == 0
    assert (net / "link.mlpackage").is_symlink()
    assert not (net / "p.mlpackage").is_symlink()
    assert snapshot(net / "p.mlpackage") != first
    assert {path.name for path in net.iterdir()} - {"__pycache__"} == {
        "net.py",
        "p.mlpackage",
        "link.mlpackage",
    }
    # What somebody put into a package is no part of it.
    (net / "p.mlpackage" / "notes.txt").write_text("mine")
    before = snapshot(net)
    assert_refused(package(convlint, "p.mlpackage"), before, net)
    (net / "p.mlpackage" / "notes.txt").unlink()
    (net / "p.mlpackage").chmod(0o555)
    before = snapshot(net)
    assert_refused(package(convlint, "p"), before, net)
    (net / "p.mlpackage").chmod(0o755)
    assert package(convlint, "new/deep/q").code == 0
    assert (net / "new/deep/q.mlpackage/Manifest.json").is_file()


def test_a_package_that_cannot_be_written_is_no_fault_of_the_model(net: Path, convlint: Convlint) -> None:
    (net / "net.py").write_text(
        f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        f"import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n{NET}"
        "class Big(nn.Linear):\n    def __init__(self):\n        super().__init__(64, 64)\n"
    )
    ran = convlint("check", "net.py:Big", "--input", "1x64", "--save-package", "p.mlpackage")
    assert ran.code == 2, ran
    assert "the package was not written" in ran.err
    assert "CL190" not in ran.out
    assert "Converts" in ran.out
    assert {path.name for path in net.iterdir()} - {"__pycache__"} == {"net.py"}


def test_every_report_may_take_the_place_of_an_earlier_one(net: Path, convlint: Convlint) -> None:
    """Of another model, and with findings or without: each format knows its own files again."""
    wanted = [f"{name}:r.{ENDINGS.get(name, name)}" for name in FORMATS if name != "svg"]
    options = [word for each in wanted for word in ("--report", each)]
    broken = ("check", "net.py:Nothing", "--input", "1x4")
    (net / "several.toml").write_text(CONFIG)
    for arguments in (
        ("check", "net.py:Bad", "--input", "1x4", "--trial", "none"),
        ("check", "net.py:Good", "--input", "1x4", "--trial", "none"),
        ("check", "net.py:Bad", "--input", "1x4", "--trial", "none"),
        broken,
        ("check", "--config", "several.toml", "--trial", "none"),
        broken,
        ("check", "net.py:Bad", "--input", "1x4", "--trial", "none"),
    ):
        ran = convlint(*arguments, *options)
        assert ran.code in (0, 1, 3), ran
        assert "is left as it is" not in ran.err
    assert json.loads((net / "r.json").read_text())["convertible"] == "no"
    for command, formats in (
        (("plan", "net.py:Good"), ("svg", "html", "json", "md", "txt")),
        (("plan", "net.py:Good", "--chip", "A15,M4"), ("json", "md", "txt")),
        (("upgrade", "9.0", "9.1.dev1", "net.py:Good"), ("json", "txt")),
        (("fix", "net.py:Good"), ("json", "txt")),
        (("compare", "net.py:Good", "--runtime", "coreml-export"), ("json", "txt")),
    ):
        reports = [word for each in formats for word in ("--report", f"{command[0]}.{each}")]
        for _ in range(2):
            ran = convlint(*command, "--input", "1x4", *reports)
            assert ran.code == 0, ran
    assert "<svg" in (net / "plan.svg").read_text()
    assert (net / "plan.md").read_text().startswith("<!-- convlint -->")
    assert len(json.loads((net / "plan.json").read_text())["plans"]) == 2
    for name in ("fix", "compare", "upgrade"):
        assert json.loads((net / f"{name}.json").read_text())["model"] == "net.py:Good"
        assert (net / f"{name}.txt").read_text().startswith("net.py:Good  for iOS17")


def test_a_report_that_is_replaced_keeps_its_mode_its_link_and_its_other_name(
    net: Path, convlint: Convlint
) -> None:
    check = ("check", "net.py:Good", "--input", "1x4", "--trial", "none", "--report")
    assert convlint(*check, "new/folder/r.json").code == 0
    report = net / "new/folder/r.json"
    os.chmod(report, 0o640)
    os.link(report, net / "other-name.json")
    (net / "link.json").symlink_to("new/folder/r.json")
    report.write_text('{"schema_version": 1, "model": "of yesterday"}')
    assert convlint(*check, "link.json").code == 0
    assert (net / "link.json").is_symlink()
    assert stat.S_IMODE(report.stat().st_mode) == 0o640
    assert json.loads((net / "other-name.json").read_text())["convertible"] == "yes"
    report.chmod(0o440)
    before = snapshot(net)
    assert_refused(convlint(*check, "link.json"), before, net)
    (net / "empty.json").write_text("")  # mktemp makes such
    assert convlint(*check, "empty.json").code == 0
    assert json.loads((net / "empty.json").read_text())["model"] == "net.py:Good"


def test_two_files_of_one_name_are_refused_and_one_that_fails_stops_no_other(
    net: Path, convlint: Convlint
) -> None:
    check = ("check", "net.py:Good", "--input", "1x4", "--trial", "none")
    before = snapshot(net)
    assert_refused(convlint(*check, "--report", "r.json", "--report", "sarif:./r.json"), before, net)
    assert_refused(convlint(*check, "--report", "html:r", "--report", "json:r"), before, net)
    (net / "net.py").write_text(NET + "\nopen('b.json', 'w').write('{}')\n")  # in the way, but not yet
    ran = convlint(*check, *("--report", "a.json", "--report", "b.json", "--report", "c.md"))
    assert ran.code == 2, ran
    assert "b.json" in ran.err
    assert (net / "b.json").read_text() == "{}"
    assert json.loads((net / "a.json").read_text())["convertible"] == "yes"
    assert (net / "c.md").read_text().startswith("<!-- convlint -->")
    assert "net.py:Good" in ran.out, "and the report is there"


def test_devices_and_pipes_are_written_as_they_are(net: Path, convlint: Convlint) -> None:
    check = ("check", "net.py:Good", "--input", "1x4", "--trial", "none", "-q")
    null = os.stat("/dev/null")
    ran = convlint(*check, *("--report", "json:/dev/stdout", "--report", "sarif:/dev/null"))
    assert json.loads(ran.out)["convertible"] == "yes"
    assert ran.code == 0
    assert json.loads(convlint(*check, "--report", "json:/dev/stderr").err)["convertible"] == "yes"
    assert os.stat("/dev/null").st_rdev == null.st_rdev
    os.mkfifo(net / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((net / "pipe").read_text()))
    reader.start()
    assert convlint(*check, "--report", "json:pipe").code == 0
    reader.join(30)
    assert json.loads(read[0])["convertible"] == "yes"
    substituted = f"{sys.executable} -m convlint {' '.join(check)} --report json:>(cat > copied)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0"}
    assert subprocess.run(["bash", "-c", f"{substituted}; wait $!"], cwd=net, env=environment).returncode == 0
    assert json.loads((net / "copied").read_text())["convertible"] == "yes"
    if os.path.exists("/dev/full"):
        ran = convlint(*check, "--report", "json:/dev/full")
        assert (ran.code, "No space left" in ran.err) == (2, True), ran


def test_the_python_function_refuses_too(tmp_path: Path) -> None:
    built: list[int] = []
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "weights.pt").write_text("the work of weeks")
    before = snapshot(tmp_path)
    for path in ("kept", "kept/weights.pt", "."):
        with pytest.raises(UsageError):
            api.check(lambda: built.append(1), (), trial="full", output=str(tmp_path / path))
    assert (snapshot(tmp_path), built) == (before, [])


def known(net: Path) -> dict[str, int]:
    document = json.loads((net / "known.json").read_text())
    return {name: sum(each["count"] for each in entries) for name, entries in document["models"].items()}


def test_a_baseline_keeps_what_nobody_looked_at(net: Path, convlint: Convlint) -> None:
    (net / "convlint.toml").write_text(CONFIG)
    write = ("baseline", "write", "--baseline", "known.json", "--trial", "none")
    assert convlint(*write).code == 0
    assert known(net) == {"one": 1, "two": 1}
    assert convlint(*write, "--model", "one").code == 0
    assert known(net) == {"one": 1, "two": 1}
    (net / "net.py").write_text(NET.replace("class Other", "class Another"))
    assert convlint(*write).code == 3
    assert known(net) == {"one": 1, "two": 1}, "what cannot be imported has its findings still"
    os.chmod(net / "known.json", 0o600)
    os.rename(net / "known.json", net / "real.json")
    (net / "known.json").symlink_to("real.json")
    (net / "convlint.toml").write_text(CONFIG.partition('[[models]]\nname = "two"')[0])
    assert convlint(*write).code == 0
    assert known(net) == {"one": 1}, "a model that is configured no more is gone"
    assert (net / "known.json").is_symlink()
    assert stat.S_IMODE((net / "real.json").stat().st_mode) == 0o600
    (net / "real.json").chmod(0o444)
    before = snapshot(net)
    assert_refused(convlint(*write), before, net)


def test_init_adds_to_a_file_and_leaves_the_rest_of_it(net: Path, convlint: Convlint) -> None:
    project = b'\xef\xbb\xbf[project]\r\nname = "mine"\r\n'
    (net / "real.toml").write_bytes(project)
    (net / "real.toml").chmod(0o600)
    (net / "pyproject.toml").symlink_to("real.toml")
    (net / ".pre-commit-config.yaml").symlink_to("nowhere")
    ran = convlint("init", "-y")
    assert ran.code == 0, ran
    after = (net / "real.toml").read_bytes()
    assert after.startswith(project)
    assert after.count(b"\n") == after.count(b"\r\n") > 5
    assert stat.S_IMODE((net / "real.toml").stat().st_mode) == 0o600
    assert (net / "pyproject.toml").is_symlink()
    assert os.readlink(net / ".pre-commit-config.yaml") == "nowhere"
    (net / "real.toml").write_bytes(project)
    (net / "real.toml").chmod(0o400)
    before = snapshot(net)
    assert_refused(convlint("init", "-y"), before, net)


def test_a_new_rule_never_replaces_a_file(net: Path, convlint: Convlint) -> None:
    new = ("rules", "new", "one", "--path", "mine")
    assert convlint(*new).code == 0
    (made,) = (net / "mine").iterdir()
    made.write_text("# filled in\n")
    before = snapshot(net)
    assert convlint(*new).code == 2
    assert convlint("rules", "new", "two", "--path", "net.py").code == 2
    assert snapshot(net) == before


def test_a_cache_in_a_folder_of_others_removes_nothing_of_theirs(net: Path, convlint: Convlint) -> None:
    (net / "configs").mkdir()
    for name in ("configs/old.json", "configs/left.tmp"):
        (net / name).write_text("{}")
        os.utime(net / name, (0, 0))
    check = ("check", "net.py:Good", "--input", "1x4", "--trial", "none", "--cache-dir", ".")
    assert convlint(*check, CONVLINT_CACHE="1").code == 0
    assert (net / "configs/old.json").read_text() == (net / "configs/left.tmp").read_text() == "{}"


FOREIGN = {
    "notes.txt": b"first line\nand the second that has no end",
    "one.json": b'{"mine": 1}',
    "bin.pt": bytes(range(256)),
    "m.py": b"import torch\nx = 1",
    "rows.jsonl": b'{"schema_version": 1, "id": "a", "spec": "m.py:A"}\n{"mine": 1}\n{"schema',
    "empty-line": b"\n",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_rows_are_added_to_files_of_rows_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FOREIGN[name])
    with pytest.raises(UsageError):
        list(api.check_many(["m.py:Net"], results=path))
    assert path.read_bytes() == FOREIGN[name]


def test_rows_are_not_added_to_what_is_read_only_or_no_file(tmp_path: Path) -> None:
    (tmp_path / "rows").write_text("")
    (tmp_path / "rows").chmod(0o444)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("rows", "folder", "link"):
        before = snapshot(tmp_path)
        with pytest.raises(UsageError):
            list(api.check_many(["m.py:Net"], results=tmp_path / name))
        assert snapshot(tmp_path) == before


def test_a_file_is_replaced_for_whoever_read_it_last(tmp_path: Path) -> None:
    """Of many who would each replace what they read, one does."""
    path = tmp_path / "m.py"
    path.write_bytes(b"old")
    outcomes: list[bool] = []

    def replace(number: int) -> None:
        try:
            files.replace_file(path, f"new {number}".encode(), b"old")
            outcomes.append(True)
        except files.Changed:
            outcomes.append(False)

    threads = [threading.Thread(target=replace, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [False] * 7 + [True]
    assert [each.name for each in tmp_path.iterdir()] == ["m.py"]
