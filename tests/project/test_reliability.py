"""Whatever a model's code, the terminal or another program does, the answer is one clear paragraph."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from conftest import ROOT, Convlint, Ran

HOSTILE = """\
import ctypes, os, signal, sys, time
import torch
from torch import nn

PLACE, _, KIND = os.environ.get("WHERE", "").partition(":")

class Own(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        raise ValueError("no text")

def misbehave():
    if KIND == "exit":
        os._exit(0)
    if KIND == "segv":
        ctypes.string_at(0)
    if KIND == "abort":
        os.abort()
    if KIND == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    if KIND == "int":
        os.kill(os.getpid(), signal.SIGINT)
    if KIND == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if KIND == "own":
        raise Own("of its own")
    if KIND == "generator":
        raise GeneratorExit
    if KIND == "mute":
        raise Mute
    while KIND == "catches":
        try:
            time.sleep(0.05)
        except Exception:
            pass
    while KIND == "stays":
        try:
            time.sleep(0.05)
        except BaseException:
            pass
    if KIND == "leaves":
        import tempfile
        os.chdir(tempfile.mkdtemp())
        os.rmdir(os.getcwd())

if PLACE == "import":
    misbehave()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        if PLACE == "init":
            misbehave()

    def forward(self, x):
        if PLACE == "forward":
            misbehave()
        return torch.relu(x)
"""
STAGES = {"import": "importing net.py", "init": "building Net()", "forward": "forward"}
SAID = {
    "exit": ("exit code 0, as os._exit does, at net.py:16",),
    "segv": ("SIGSEGV, at net.py:18",),
    "abort": ("SIGABRT, at net.py:20",),
    "term": ("SIGTERM, at net.py:22",),
    "int": ("SIGINT, at net.py:24",),
    "kill": ("SIGKILL",),
    "own": ("Own: of its own", "net.py:28"),
    "generator": ("GeneratorExit", "net.py:30"),
    "mute": ("Mute, whose text cannot be read", "net.py:32"),
    "catches": ("not finished after 2 s", "net.py:35"),
    "stays": ("did not end",),
}
CHECK = ("check", "net.py:Net", "--input", "1x4", "--timeout", "2")


def errors(ran: Ran) -> list[str]:
    return [line for line in ran.err.splitlines() if line.startswith("convlint: error: ")]


@pytest.fixture
def net(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(HOSTILE)
    return tmp_path


@pytest.mark.parametrize("kind", SAID)
@pytest.mark.parametrize("place", STAGES)
@pytest.mark.usefixtures("net")
def test_a_model_never_ends_the_program_without_a_sentence(place: str, kind: str, convlint: Convlint) -> None:
    if (place, kind) in (("forward", "catches"), ("import", "catches"), ("init", "stays")):
        pytest.skip("they take their whole time limits, and the other places show the same")
    ran = convlint(*CHECK, "--format", "json", WHERE=f"{place}:{kind}")
    assert ran.code == 3, ran
    (said,) = errors(ran)
    assert STAGES[place] in said
    assert all(words in said for words in SAID[kind]), said
    assert "Traceback" not in ran.err
    assert json.loads(ran.out)["error"]["exit_code"] == 3


@pytest.mark.parametrize("place", STAGES)
@pytest.mark.usefixtures("net")
def test_a_model_that_leaves_for_a_folder_that_is_gone_is_judged(place: str, convlint: Convlint) -> None:
    ran = convlint(*CHECK, "--no-trial", "--report", "r.json", WHERE=f"{place}:leaves")
    assert ran.code == 0, ran


@pytest.mark.parametrize("leaves", ["os._exit(0)", "os.abort()", "time.sleep(600)"])
def test_what_a_model_does_at_exit_changes_no_answer(leaves: str, tmp_path: Path, convlint: Convlint) -> None:
    at_exit = f"import atexit, time\natexit.register(lambda: {leaves})\n"
    (tmp_path / "net.py").write_text(SLOW.replace("WAIT", "") + at_exit)
    ran = convlint(*CHECK, "--no-trial", "--format", "json", timeout=60)
    assert (ran.code, json.loads(ran.out)["convertible"]) == (1, "no"), ran


@pytest.mark.parametrize("command", [("fix",), ("plan", "--no-trial"), ("compare", "--runtime", "onnx")])
@pytest.mark.usefixtures("net")
def test_the_other_commands_say_so_too(command: Sequence[str], convlint: Convlint) -> None:
    name, *more = command
    ran = convlint(name, "net.py:Net", "--input", "1x4", *more, WHERE="init:exit")
    assert (ran.code, len(errors(ran))) == (3, 1), ran
    assert "building Net() ended the process" in ran.err


def test_a_baseline_is_not_written_where_a_model_ends_the_process(net: Path, convlint: Convlint) -> None:
    (net / "convlint.toml").write_text('[[models]]\nname = "one"\nspec = "net.py:Net"\ninputs = ["1x4"]\n')
    ran = convlint("baseline", "write", WHERE="import:exit")
    assert (ran.code, len(errors(ran))) == (3, 1), ran
    assert not (net / "convlint-baseline.json").exists()


def test_an_example_of_a_rule_that_ends_the_process_is_told(tmp_path: Path, convlint: Convlint) -> None:
    assert convlint("rules", "new", "one", "--path", "mine").code == 0
    (rule,) = (tmp_path / "mine").iterdir()
    rule.write_text(rule.read_text().replace("class Model", "import os\nos._exit(0)\nclass Model"))
    ran = convlint("rules", "test", "MY1", "--rule-path", "mine")
    assert (ran.code, len(errors(ran))) == (3, 1), ran
    assert "ended the process with exit code 0" in ran.err


def test_of_several_models_the_others_are_answered(net: Path, convlint: Convlint) -> None:
    models = ("first.py:Net", "net.py:Net", "second.py:Net", "gone.py:Net", "net.py:Net")
    for name in ("first.py", "second.py"):
        (net / name).write_text(SLOW.replace("WAIT", ""))
    (net / "convlint.toml").write_text(
        "".join(
            f'[[models]]\nname = "m{at}"\nspec = "{spec}"\ninputs = ["1x4"]\n'
            for at, spec in enumerate(models)
        )
    )
    check = (
        "check",
        "--no-trial",
        "--report",
        "r.sarif",
        "--report",
        "r.json",
        "--format",
        "terminal",
    )
    ran = convlint(*check, WHERE="init:exit")
    assert ran.code == 3, ran
    reports = json.loads((net / "r.json").read_text())["reports"]
    answers = [each["error"]["message"] if "error" in each else each["convertible"] for each in reports]
    assert answers[0] == answers[2] == "no"
    assert "ended the process" in answers[1]
    assert "ended the process" in answers[4]
    assert "no file gone.py" in answers[3]
    assert (net / "r.sarif").exists()
    for name in ("m0", "m2"):
        assert ran.out.count(f"{name}  for iOS17") == 1, ran
    assert [line.split(":")[2].strip() for line in errors(ran)] == ["m1", "m3", "m4"], ran
    baseline = convlint("baseline", "write", "--no-trial", WHERE="init:segv")
    assert baseline.code == 3, baseline
    assert set(json.loads((net / "convlint-baseline.json").read_text())["models"]) == {"m0", "m2"}


@pytest.mark.corpus
def test_a_worker_that_never_comes_back_is_ended(net: Path, convlint: Convlint) -> None:
    (net / "good.py").write_text("import torch\nclass Net(torch.nn.Linear):\n    pass\n")
    (net / "convlint.toml").write_text(
        'timeout = 8\n[[models]]\nspec = "net.py:Net"\ninputs = ["1x4"]\n'
        '[[models]]\nspec = "good.py:Net"\nargs = { in_features = 4, out_features = 2 }\ninputs = ["1x4"]\n'
    )
    ran = convlint("check", "-j", "2", "--no-trial", "--format", "json", WHERE="init:stays")
    assert ran.code == 3, ran
    stuck, good = json.loads(ran.out)["reports"]
    assert "did not end in time" in stuck["error"]["message"]
    assert good["convertible"] in ("yes", "unknown"), "and the other one is answered"


def start(folder: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "convlint", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


SLOW = """\
import os, time
import torch
class Net(torch.nn.Module):
    def forward(self, x):
        return torch.hypot(x, x)
class Slow(Net):
    def __init__(self):
        super().__init__()
        open("begun", "w").close()
        WAIT
"""


def wait_for(path: Path) -> None:
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert path.exists()


SWALLOWED = """try:
            time.sleep(60)
        except:  # as the imports of coremltools do
            pass"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_the_model_catches_ends_the_program_all_the_same(
    number: int, code: int, tmp_path: Path
) -> None:
    text = SLOW.replace("WAIT", SWALLOWED)
    (tmp_path / "net.py").write_text(text)
    process = start(tmp_path, "fix", "net.py:Slow", "--input", "1x4", "--write")
    wait_for(tmp_path / "begun")
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, ""), err
    assert err.splitlines()[-1] == f"convlint: {'interrupted' if code == 130 else 'terminated'}"
    assert (tmp_path / "net.py").read_text() == text


LIBRARY = """\
import os, signal, time
try:
    os.kill(os.getppid(), signal.SIGINT)  # as a terminal does, which asks the program and not the work
    time.sleep(5)
except:
    pass
"""


def test_an_interrupt_that_a_library_catches_is_not_forgotten(tmp_path: Path) -> None:
    """``import coremltools`` catches whatever its own imports raise."""
    (tmp_path / "net.py").write_text(SLOW.replace("WAIT", ""))
    (tmp_path / "sklearn.py").write_text(LIBRARY)
    process = start(
        tmp_path, "fix", "net.py:Net", "--input", "1x4", "--write", PYTHONPATH=f"{tmp_path}:{ROOT}"
    )
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "hypot" in (tmp_path / "net.py").read_text()


def test_sigterm_during_a_trial_leaves_no_folder(tmp_path: Path) -> None:
    waits = (
        "import time\nfrom coremltools.converters.mil import register_torch_op\n"
        "@register_torch_op(override=True)\ndef hypot(context, node):\n"
        "    open('begun', 'w').close()\n    time.sleep(60)\n"
    )
    (tmp_path / "net.py").write_text(SLOW.replace("WAIT", ""))
    (tmp_path / "mine.py").write_text(waits)
    (tmp_path / "tmp").mkdir()
    process = start(
        tmp_path,
        "check",
        "net.py:Net",
        "--input",
        "1x4",
        "--converters",
        "mine.py",
        TMPDIR=str(tmp_path / "tmp"),
    )
    wait_for(tmp_path / "begun")
    assert [path.name for path in (tmp_path / "tmp").iterdir()] != []
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("convlint")] == []


def test_a_folder_of_a_process_that_died_is_removed(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(
        "import os, signal, tempfile\nfrom convlint.supervision import prefix_of\n"
        "tempfile.mkdtemp(prefix=prefix_of(os.getpid()))\nos.kill(os.getpid(), signal.SIGKILL)\n"
    )
    (tmp_path / "tmp").mkdir()
    assert convlint(*CHECK, TMPDIR=str(tmp_path / "tmp"), fresh=True).code == 3
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_work_ends_with_the_process_that_watches_it(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        SLOW.replace("WAIT", "open('pid', 'w').write(str(os.getpid())); time.sleep(60)")
    )
    process = start(tmp_path, "check", "net.py:Slow", "--input", "1x4")
    wait_for(tmp_path / "pid")
    time.sleep(0.2)
    pid = int((tmp_path / "pid").read_text())
    assert pid != process.pid
    process.kill()
    process.communicate()
    end = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < end:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        if stat == "Z":
            break
        time.sleep(0.05)
    else:
        assert not os.path.exists(f"/proc/{pid}")


def shell(folder: Path, command: str) -> Ran:
    done = subprocess.run(
        ["bash", "-c", f'convlint() {{ {sys.executable} -m convlint "$@"; }}; {command}'],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CONVLINT_CACHE": "0"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


CHECKED = "convlint check net.py:Net --input 1x4 --no-trial --report r.json"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (f"{CHECKED} >&-", 0, ""),
        (f"{CHECKED} >&- 2>&- <&-", 0, ""),
        (f"{CHECKED} > /dev/full", 2, "cannot write to standard output: No space left on device."),
        (f"{CHECKED} --format json > /dev/full", 2, "No space left on device."),
        (f"{CHECKED} | true; exit ${{PIPESTATUS[0]}}", 141, ""),
    ],
)
def test_a_broken_standard_output_costs_no_file(command: str, code: int, said: str, net: Path) -> None:
    ran = shell(net, command)
    assert ran.code == code, ran
    assert "internal error" not in ran.err
    assert "Exception ignored" not in ran.err
    assert said in ran.err
    assert json.loads((net / "r.json").read_text())["convertible"] in ("yes", "unknown")


@pytest.mark.parametrize(
    "command", ["rules", "rule CL104", "--help", "--version", "doctor", "catalogue", "completion bash"]
)
def test_a_full_standard_output_is_told(command: str, tmp_path: Path) -> None:
    ran = shell(tmp_path, f"convlint {command} > /dev/full")
    assert ran.code == 2, ran
    assert "No space left on device" in ran.err
    assert "Exception ignored" not in ran.err


def test_a_working_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    ran = shell(tmp_path, "mkdir gone; cd gone; rmdir ../gone; convlint check m.py:Net --input 1")
    assert (ran.code, len(errors(ran))) == (2, 1), ran
    assert "working folder" in ran.err


WORDS: dict[str, tuple[tuple[str, ...], str]] = {
    "no precision": (("check", "--parity", "flaot16", "net.py:Net", "--input", "1x4"), "--parity"),
    "format without a path": (
        ("check", "net.py:Net", "--input", "1x4", "--report", "sarif:"), "names no file"),
    "size of 5,000 digits": (("check", "net.py:Net", "--input", "1x" + "9" * 5000), "size"),
    "range of 5,000 digits": (("check", "net.py:Net", "--input", f"1x[1..{'9' * 5000}]"), "size"),
    "minus signs": (
        ("check", "net.py:Net", "--input", "1", "--arg-expr", "w=" + "-" * 20000 + "1"), "--arg-expr"),
    "literal nested deep": (
        ("check", "net.py:Net", "--input", "1", "--arg", "w=" + "[" * 3000), "no argument"),
    "complex too large": (("check", "net.py:Net", "--input", "1", "--arg", "w=1e999999j"), "w"),
    "literal of 5,000 digits": (("check", "net.py:Net", "--input", "1", "--arg", "w=" + "9" * 5000), "w"),
    "palettes of 5,000 digits": (
        ("check", "net.py:Net", "--input", "1x4", "--compress", "palettize:" + "9" * 5000), "palettize"),
    "pruning of 5,000 digits": (
        ("check", "net.py:Net", "--input", "1x4", "--compress", "prune:" + "9" * 5000), "prune"),
    "a spec longer than a name may be": (("check", "n" * 5000 + ".py:Net", "--input", "1"), "nnn"),
    "a module longer than a name may be": (("check", "n" * 5000 + ":Net", "--input", "1"), "nnn"),
    "a checkpoint's name": (
        ("check", "net.py:Net", "--input", "1", "--checkpoint", "n" * 5000), "checkpoint"),
    "a configuration's name": (("check", "--config", "n" * 5000), "nnn"),
    "a release of 5,000 digits": (
        ("check", "net.py:Net", "--input", "1x4", "--coremltools", "9" * 5000), "not a version"),
}  # fmt: skip


@pytest.mark.parametrize("case", WORDS)
@pytest.mark.usefixtures("net")
def test_absurd_words_are_told(case: str, convlint: Convlint) -> None:
    arguments, said = WORDS[case]
    ran = convlint(*arguments)
    assert ran.code in (2, 3), ran
    (error,) = errors(ran)
    assert said in error
    assert len(error) < 4000


def test_absurd_configurations_are_told(net: Path, convlint: Convlint) -> None:
    for text in ("x = " + "[" * 1500 + "]" * 1500, "timeout = " + "9" * 5000, "a" + ".a" * 3000 + " = 1"):
        (net / "convlint.toml").write_text(text)
        ran = convlint(*CHECK, "--no-trial")
        assert (ran.code, len(errors(ran))) == (2, 1), ran
        assert "convlint.toml" in ran.err
    (net / "convlint.toml").unlink()
    for text in ("[" * 100000, '{"version": 1, "models": ' + "[" * 100000, '{"version": 1, "models": []}'):
        (net / "known.json").write_text(text)
        ran = convlint(*CHECK, "--no-trial", "--baseline", "known.json")
        assert (ran.code, len(errors(ran))) == (2, 1), ran
        assert "known.json" in ran.err


DAMAGED = (
    b"", b"\x80", b"Q", b"J\x02.", b"\x80\x02\x87", b"PK\x03\x04", b"\x80\x02}q\x00.", b"\x00" * 100, b"c.",
    b"\x80\x05\x95\xff\xff\xff\xff\xff\xff\xff\x7f.", b"(" * 5000,
)  # fmt: skip


def test_damaged_checkpoints_are_told(net: Path, convlint: Convlint) -> None:
    from convlint.errors import UsageError
    from convlint.usercode.checkpoint import read_checkpoint

    for number, data in enumerate(DAMAGED):
        for ending in ("pt", "safetensors"):
            path = net / f"{number}.{ending}"
            path.write_bytes(data)
            with pytest.raises(UsageError, match="checkpoint"):
                read_checkpoint(str(path))
    os.mkfifo(net / "pipe.pt")
    for name in ("0.pt", "pipe.pt", "/dev/zero"):
        ran = convlint(*CHECK, "--checkpoint", name)
        assert (ran.code, len(errors(ran))) == (2, 1), ran


def test_a_file_saved_during_a_check_leaves_no_stale_result(tmp_path: Path, convlint: Convlint) -> None:
    good = (
        "import torch\nclass Net(torch.nn.Module):\n    def forward(self, x):\n        return torch.relu(x)\n"
    )
    bad = good.replace("relu(x)", "hypot(x, x)")
    saves = f"import pathlib\npathlib.Path('net.py').write_text({good!r})\n"
    (tmp_path / "net.py").write_text(bad + saves)
    check = (*CHECK, "--no-trial", "--cache-dir", "kept", "--format", "json")
    first = json.loads(convlint(*check, CONVLINT_CACHE="1").out)
    assert first["convertible"] == "no"
    second = json.loads(convlint(*check, CONVLINT_CACHE="1").out)
    assert (second["convertible"], second["kept"]) == ("yes", False)
    assert json.loads(convlint(*check, CONVLINT_CACHE="1").out)["kept"] is True


def test_a_rule_saved_during_a_check_leaves_no_stale_result(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "rules").mkdir()
    rule = ROOT / "rules" / "support"
    text = next(rule.glob("CL104-*.toml")).read_text().replace('"CL104"', '"MY104"').replace("CL104", "MY104")
    text = text.replace('name = "hypot"', 'name = "my-hypot"')
    (tmp_path / "rules" / "MY104-my-hypot.toml").write_text(text)
    saves = (
        "import pathlib\npath = pathlib.Path('rules/MY104-my-hypot.toml')\n"
        "path.write_text(path.read_text().replace('severity = \"error\"', 'severity = \"note\"'))\n"
    )
    (tmp_path / "net.py").write_text(SLOW.replace("WAIT", "") + saves)
    check = (*CHECK, "--no-trial", "--select", "MY104", "--rule-path", "rules", "--cache-dir", "kept")
    first = convlint(*check, "--format", "json", CONVLINT_CACHE="1")
    second = json.loads(convlint(*check, "--format", "json", CONVLINT_CACHE="1").out)
    assert json.loads(first.out)["kept"] is second["kept"] is False
    assert second["findings"][0]["severity"] == "note"


def test_entries_of_a_cache_that_are_none_are_as_if_not_there(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text(SLOW.replace("WAIT", ""))
    check = (*CHECK, "--no-trial", "--cache-dir", "kept", "--format", "concise")
    assert convlint(*check, CONVLINT_CACHE="1").code == 1
    (entry,) = (tmp_path / "kept").glob("*/*.json")
    head, report = entry.read_text().splitlines()

    def again(expected: str) -> None:
        ran = convlint(*check, CONVLINT_CACHE="1", timeout=30)
        assert ran.code == 1, (expected, ran)
        assert "hypot" in ran.out
        assert "internal error" not in ran.err
        assert "\x1b" not in ran.out

    document = json.loads(report)
    for number in range(len(document["rows"])):
        for place in range(1, len(document["rows"][number])):
            if (number * 7 + place) % 23:
                continue
            changed = json.loads(report)
            before = changed["rows"][number][place]
            changed["rows"][number][place] = 7 if isinstance(before, str) else "wrong"
            entry.write_text(f"{head}\n{json.dumps(changed)}\n")
            again(f"row {number}, value {place}")
    for odd in (
        json.dumps({**json.loads(head), "files": {str(tmp_path / "net.py"): 3}}),
        "[" * 10000,
        "3",
        "{}",
    ):
        entry.write_text(f"{odd}\n{report}\n")
        again(odd)
    entry.unlink()
    os.mkfifo(entry)
    again("a pipe")
    entry.unlink()
    entry.symlink_to("/dev/zero")
    again("a device")


STRANGE = "a`b\n# heading\n<img src=x onerror=alert(1)>\x1b[31m\u202e\ufffe::error::no"


def test_a_strange_name_is_only_a_name(tmp_path: Path, convlint: Convlint) -> None:
    from xml.etree import ElementTree

    folder = tmp_path / STRANGE
    folder.mkdir()
    (folder / "net.py").write_text(SLOW.replace("WAIT", ""))
    name, spec = json.dumps(STRANGE), json.dumps(f"{folder.name}/net.py:Net")
    (tmp_path / "convlint.toml").write_text(f"[[models]]\nname = {name}\nspec = {spec}\ninputs = ['1x4']\n")
    files = [
        f"{kind}:r.{kind}" for kind in ("terminal", "concise", "markdown", "github", "svg", "html", "junit")
    ]
    options = [word for each in files for word in ("--report", each)]
    ran = convlint("check", "--no-trial", *options)
    assert ran.code == 1, ran
    for text in (ran.out, ran.err, *(path.read_text(encoding="utf-8") for path in tmp_path.glob("r.*"))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\ufffe" not in text
    for kind in ("terminal", "concise"):
        lines = (tmp_path / f"r.{kind}").read_text().splitlines()
        assert not any(line.startswith(("::error", "# heading")) for line in lines)
    markdown = (tmp_path / "r.markdown").read_text()
    assert not any(line.startswith(("# ", "::", "<img")) for line in markdown.splitlines())
    assert only_in_code(markdown.replace("\\<img", ""), "<img")
    for kind in ("svg", "junit"):
        ElementTree.fromstring((tmp_path / f"r.{kind}").read_text(encoding="utf-8"))
    assert "<img" not in (tmp_path / "r.html").read_text()


def only_in_code(markdown: str, words: str) -> bool:
    """Whether words stand between the marks of code alone, as CommonMark pairs them in a line."""
    import re

    for line in markdown.splitlines():
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        if words in outside:
            return False
    return True


def test_a_file_name_that_is_no_utf8_is_told(tmp_path: Path, convlint: Convlint) -> None:
    name = os.fsdecode(b"n\xff.py")
    try:
        (tmp_path / name).write_text(SLOW.replace("WAIT", ""))
    except OSError:
        pytest.skip("this file system has no such names")
    ran = convlint("check", f"{name}:Net", "--input", "1x4")
    assert (ran.code, len(errors(ran))) == (3, 1), ran
    assert "is not UTF-8" in ran.err
    assert "pybind" not in ran.err


def test_the_model_may_stand_behind_parity(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text("import torch\nclass Net(torch.nn.ReLU):\n    pass\n")
    ran = convlint("check", "--parity", "net.py:Net", "--input", "1x4", "--format", "json")
    assert json.loads(ran.out)["parity"]["precision"] == "float32", ran


def test_quiet_is_quiet_with_parity(tmp_path: Path, convlint: Convlint) -> None:
    (tmp_path / "net.py").write_text("import torch\nclass Net(torch.nn.Linear):\n    pass\n")
    ran = convlint(
        "check", "net.py:Net", "--input", "1x4", "--parity", "-q",
        "--arg", "in_features=4", "--arg", "out_features=2", fresh=True,
    )  # fmt: skip
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_temporary_folders_are_named_after_their_process() -> None:
    """So that whoever watches a process can remove what it left."""
    from convlint.child import run_in_child
    from convlint.supervision import prefix_of

    run_in_child(lambda channel: None, 10.0)
    left = [name for name in os.listdir(tempfile.gettempdir()) if name.startswith(prefix_of(os.getpid()))]
    assert left == []
