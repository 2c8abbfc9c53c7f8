"""Model specs: what they may name, and one clear paragraph with the user's line for all else."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from convlint.errors import ConvlintError, ModelError, UsageError
from convlint.sandbox import TimeLimitExceeded, UserExit, time_limit, user_code
from convlint.usercode.arguments import parse_expressions, parse_literals
from convlint.usercode.spec import load_model

MODELS = """
import sys
from torch import nn

print("importing")

class Net(nn.Module):
    class Inner(nn.Module):
        pass

    def __init__(self, width=3, sizes=(), cfg=None):
        super().__init__()
        print("building")
        if width == 500:
            raise ValueError("too\\n  wide")
        if width == 501:
            sys.exit("no more")
        if width == 502:
            while True:
                pass
        if width == 503:
            raise KeyboardInterrupt
        self.sizes = sizes
        self.cfg = cfg
        self.layer = nn.Linear(width, 3)

    def forward(self, x, mask=None, *rest):
        return self.layer(x)

class Config:
    def __init__(self, width=7):
        self.width = width

def factory(cfg):
    return Net(cfg.width, cfg=cfg)

def pair():
    return Net(), 3

number = 3
instance = Net()
"""


@pytest.fixture
def models(project: Path) -> Path:
    write(project / "models.py", MODELS)
    return project


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text), encoding="utf-8")


def refused(kind: type[ConvlintError], spec: str, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(kind) as caught:
        load_model(spec, *args, **kwargs).build()
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.usefixtures("models")
class TestWhatASpecMayName:
    def test_a_class_in_a_file(self) -> None:
        loaded = load_model("models.py:Net", {"width": 4})
        assert loaded.build().layer.in_features == 4
        assert loaded.build() is not loaded.build()
        assert not loaded.instance
        assert loaded.path == os.path.abspath("models.py")
        assert loaded.parameters == ("x", "mask")

    def test_a_class_in_a_module_of_the_working_directory(self) -> None:
        assert load_model("models:Net").build().layer.in_features == 3

    def test_a_dotted_attribute(self) -> None:
        assert type(load_model("models.py:Net.Inner").build()).__name__ == "Inner"

    def test_a_factory_with_an_expression(self) -> None:
        for text in ("Config(5)", "models.Config(5)", "[models.Config(w) for w in (5,)][0]"):
            assert load_model("models.py:factory", arg_exprs={"cfg": text}).build().layer.in_features == 5

    def test_an_instance(self) -> None:
        loaded = load_model("models.py:instance")
        assert loaded.instance
        assert loaded.build() is loaded.build()

    def test_an_absolute_path(self, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write(models / "elsewhere" / "x.txt", "")
        monkeypatch.chdir(models / "elsewhere")
        for loaded in (load_model(f"{models}/models.py:Net"), load_model("models.py:Net", root=str(models))):
            assert loaded.path == str(models / "models.py")
            assert loaded.build().layer.in_features == 3

    def test_a_library(self) -> None:
        model = load_model("torchvision.models:mobilenet_v3_small").build()
        assert type(model).__module__ == "torchvision.models.mobilenetv3"

    def test_arguments_are_fresh_for_each_build(self) -> None:
        loaded = load_model("models.py:Net", {"sizes": [1]}, {"cfg": "Config()"})
        first, second = loaded.build(), loaded.build()
        assert first.sizes == [1]
        assert first.sizes is not second.sizes
        assert first.cfg is not second.cfg


class TestFilesLieWherePythonFindsTheirNeighbours:
    def test_beside_a_file(self, project: Path) -> None:
        write(project / "my" / "layers.py", "WIDTH = 9")
        write(
            project / "my" / "net.py",
            "import torch, layers\nclass N(torch.nn.Module):\n  width = layers.WIDTH",
        )
        assert load_model("my/net.py:N").build().width == 9

    def test_in_a_package(self, project: Path) -> None:
        write(project / "pkg" / "__init__.py", "")
        write(project / "pkg" / "sub" / "__init__.py", "")
        write(project / "pkg" / "top.py", "TOP = 1")
        write(project / "pkg" / "sub" / "near.py", "import torch\nclass Near(torch.nn.Module): pass")
        write(
            project / "pkg" / "sub" / "net.py",
            "from ..top import TOP\nfrom .near import Near\nimport near\nclass N(Near):\n  top = TOP",
        )
        model = load_model("pkg/sub/net.py:N").build()
        assert (model.top, type(model).__module__) == (1, "pkg.sub.net")

    def test_two_folders_with_the_same_names(self, project: Path) -> None:
        for folder in ("a", "b"):
            write(project / folder / "layers.py", f"WHO = {folder!r}")
            write(
                project / folder / "net.py",
                "import torch, layers\nclass N(torch.nn.Module):\n  who = layers.WHO",
            )
        assert [load_model(f"{folder}/net.py:N").build().who for folder in "aba"] == ["a", "b", "a"]

    def test_a_file_named_like_a_module_that_is_loaded(self, project: Path) -> None:
        write(project / "types.py", "import torch\nclass N(torch.nn.Module): pass")
        assert type(load_model("types.py:N").build()).__name__ == "N"
        assert "N" not in vars(sys.modules["types"])

    def test_an_odd_file_name(self, project: Path) -> None:
        write(project / "my net-2.0.py", "import torch\nclass N(torch.nn.Module): pass")
        loaded = load_model("my net-2.0.py:N")
        assert (type(loaded.build()).__name__, Path(loaded.path).name) == ("N", "my net-2.0.py")


@pytest.mark.usefixtures("models")
class TestMistakesAreTold:
    @pytest.mark.parametrize("spec", ["", ":", "models", "models:", ":Net", "models:1"])
    def test_malformed(self, spec: str) -> None:
        assert refused(UsageError, spec).startswith(f"malformed model spec {spec!r}: write module:attribute")

    def test_neither_module_nor_file(self) -> None:
        says = "'my models' is neither the name of a module nor the path of a .py file."
        assert refused(UsageError, "my models:Net") == says

    def test_a_file_alone_names_its_classes(self) -> None:
        assert "as in models.py:Net (it defines Net, Config)" in refused(UsageError, "models.py")

    def test_a_dotted_name_alone(self) -> None:
        assert "as in torchvision.models:resnet50" in refused(UsageError, "torchvision.models.resnet50")

    def test_a_path_without_its_ending(self) -> None:
        assert "Did you mean ./models.py:Net?" in refused(UsageError, "./models:Net")

    def test_unknown_file(self) -> None:
        assert refused(ModelError, "model.py:Net") == "there is no file model.py. Did you mean models.py?"

    def test_unknown_module(self) -> None:
        message = refused(ModelError, "torchvison.models:resnet50")
        assert message == "there is no module 'torchvison'. Did you mean torchvision.models?"
        assert "Did you mean torchvision.models?" in refused(ModelError, "torchvision.model:resnet50")

    def test_unknown_attribute(self) -> None:
        assert "Did you mean resnet50?" in refused(ModelError, "torchvision.models:resnet5O")
        assert "It defines Net, Config" in refused(ModelError, "models.py:Segmenter")

    @pytest.mark.parametrize("name", ["number", "Config", "nn"])
    def test_attribute_of_the_wrong_kind(self, name: str) -> None:
        assert "name an nn.Module subclass" in refused(ModelError, f"models.py:{name}")

    def test_factory_that_returns_something_else(self) -> None:
        assert "returned a tuple, not an nn.Module" in refused(ModelError, "models.py:pair")

    def test_constructor_that_raises(self) -> None:
        message = refused(ModelError, "models.py:Net", {"width": 500})
        assert message.startswith(
            "building Net(width=500) raised ValueError: too wide, at models.py:15: raise"
        )

    def test_constructor_that_exits(self) -> None:
        assert "called sys.exit('no more'), at models.py:17" in refused(
            ModelError, "models.py:Net", {"width": 501}
        )

    def test_constructor_that_hangs(self) -> None:
        message = refused(ModelError, "models.py:Net", {"width": 502}, timeout=0.3)
        assert "took too long: not finished after 0.3 s, at models.py:" in message

    def test_constructor_that_raises_keyboard_interrupt(self) -> None:
        assert "it raised KeyboardInterrupt" in refused(ModelError, "models.py:Net", {"width": 503})

    def test_constructor_that_raises_keyboard_interrupt_where_nobody_can(self) -> None:
        """A program in the background of a shell gets no Ctrl-C."""
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            assert "it raised KeyboardInterrupt" in refused(ModelError, "models.py:Net", {"width": 503})
        finally:
            signal.signal(signal.SIGINT, before)

    def test_arguments_that_the_signature_lacks(self) -> None:
        assert "Did you mean width?" in refused(UsageError, "models.py:Net", {"widht": 4})
        assert "needs the argument cfg" in refused(UsageError, "models.py:factory")
        assert "it takes no arguments" in refused(UsageError, "models.py:instance", {"width": 4})
        assert "both as a value" in refused(UsageError, "models.py:Net", {"width": 4}, {"width": "4"})

    def test_expressions_that_fail(self) -> None:
        assert "is not a Python expression" in refused(UsageError, "models.py:Net", None, {"cfg": "1 +"})
        assert "raises NameError" in refused(UsageError, "models.py:Net", None, {"cfg": "nothing_here()"})
        assert "called sys.exit" in refused(ModelError, "models.py:Net", None, {"cfg": "sys.exit(1)"})

    @pytest.mark.parametrize(
        ("source", "says"),
        [
            ("import torch\ndef f(:\n", "raised SyntaxError: invalid syntax, at broken.py:2: def f(:"),
            ("import not_there_at_all\n", "at broken.py:1: import not_there_at_all"),
            (
                "def f():\n  raise OSError('boom')\nf()\n",
                "raised OSError: boom, at broken.py:2: raise OSError",
            ),
            ("import sys\nsys.exit(3)\n", "called sys.exit(3), at broken.py:2: sys.exit(3)"),
            ("class Odd(BaseException): pass\nraise Odd\n", "raised Odd, at broken.py:2: raise Odd"),
        ],
    )
    @pytest.mark.parametrize("spec", ["broken.py:Net", "broken:Net"])
    def test_an_import_that_fails(self, models: Path, source: str, says: str, spec: str) -> None:
        write(models / "broken.py", source)
        assert says in refused(ModelError, spec)


class TestArguments:
    def test_literals(self) -> None:
        texts = ["a=64", "b=batch", "c=(1, 2)", "d=None", "e=True", "f=", "g=a=b", "h='7'", "i=-1e-3"]
        expected = {"a": 64, "b": "batch", "c": (1, 2), "d": None, "e": True, "f": "", "g": "a=b", "h": "7"}
        assert parse_literals(texts) == {**expected, "i": -1e-3}

    @pytest.mark.parametrize("text", ["", "width", "=3", "a b=3", "class=3", "1a=2"])
    def test_malformed(self, text: str) -> None:
        with pytest.raises(UsageError, match="malformed --arg"):
            parse_literals([text])

    def test_twice(self) -> None:
        with pytest.raises(UsageError, match="twice"):
            parse_expressions(["a=1", "a=2"])


class TestSandbox:
    def test_prints_go_to_stderr_from_python_c_and_children(self, capfd: pytest.CaptureFixture[str]) -> None:
        print("before")
        with user_code():
            print("python")
            os.system("echo child")
            ctypes.CDLL(None).puts(b"from c")
        print("after")
        captured = capfd.readouterr()
        assert captured.out == "before\nafter\n"
        assert {"python", "child", "from c"} <= set(captured.err.split("\n"))

    def test_exits_become_exceptions(self) -> None:
        with pytest.raises(UserExit, match=r"sys.exit\(3\)"), user_code():
            sys.exit(3)
        with pytest.raises(UserExit, match="KeyboardInterrupt"), user_code():
            raise KeyboardInterrupt

    def test_a_real_interrupt_passes_even_when_swallowed(self) -> None:
        with pytest.raises(KeyboardInterrupt), user_code():
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt), user_code():
            with contextlib.suppress(BaseException):
                os.kill(os.getpid(), signal.SIGINT)

    def test_a_limit_ends_what_hangs(self) -> None:
        start = time.monotonic()
        with pytest.raises(TimeLimitExceeded, match=r"0\.2 s"), time_limit(0.2):
            time.sleep(30)
        assert time.monotonic() - start < 5

    def test_a_swallowed_limit_is_told_all_the_same(self) -> None:
        with pytest.raises(TimeLimitExceeded, match="caught the interruption"), time_limit(0.1):
            with contextlib.suppress(TimeoutError):
                time.sleep(5)

    def test_limits_nest(self) -> None:
        with pytest.raises(TimeLimitExceeded, match=r"0\.3 s"), time_limit(0.3):
            with pytest.raises(TimeLimitExceeded, match=r"0\.1 s"), time_limit(0.1):
                time.sleep(5)
            time.sleep(5)

    def test_a_limit_leaves_nothing_behind(self) -> None:
        handler, (remaining, _) = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
        with time_limit(5):
            assert signal.getitimer(signal.ITIMER_REAL)[0] <= 5
        assert signal.getsignal(signal.SIGALRM) is handler
        assert signal.getitimer(signal.ITIMER_REAL)[0] == pytest.approx(remaining, abs=2)

    def test_another_thread_runs_without_a_limit(self) -> None:
        done: list[bool] = []

        def work() -> None:
            with time_limit(0.01), user_code():
                time.sleep(0.05)
                done.append(True)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert done == [True]


def test_building_on_meta_makes_no_weights(project: Path) -> None:
    loaded = load_model("torchvision.models:resnet50")
    with torch.device("meta"):
        model = loaded.build()
    assert all(parameter.is_meta for parameter in model.parameters())


LIBRARY = """
    import enum, urllib.request
    from torch import nn

    class Some_Weights(enum.Enum):
        DEFAULT = "https://weights.invalid/some.pt"

    def fetch(weights):
        if weights:
            urllib.request.urlopen("http://127.0.0.1:9/weights.pt", timeout=2)
        return nn.Linear(2, 2)

    def detector(weights=None, weights_backbone=Some_Weights.DEFAULT):
        return fetch(weights or weights_backbone)

    class Unet(nn.Module):
        def __init__(self, encoder_weights="imagenet", pretrained=True):
            super().__init__()
            self.body = fetch(encoder_weights or pretrained)
"""


def test_a_library_s_constructor_fetches_no_weights_unless_told_to(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = project / "site-packages"
    installed.mkdir()
    (installed / "somelibrary.py").write_text(textwrap.dedent(LIBRARY))
    monkeypatch.syspath_prepend(str(installed))
    assert type(load_model("somelibrary:detector").build()) is torch.nn.Linear
    assert type(load_model("somelibrary:Unet").build().body) is torch.nn.Linear
    with pytest.raises(ModelError, match=r"tried to download trained weights.*encoder_weights=None"):
        load_model("somelibrary:Unet", {"encoder_weights": "imagenet"}).build()
    (project / "own.py").write_text("import somelibrary\ndef net(): return somelibrary.Unet()\n")
    with pytest.raises(ModelError, match="tried to download trained weights"):
        load_model("own.py:net").build()
