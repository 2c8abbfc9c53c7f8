"""``[tool.convlint]``: read strictly, every mistake with its file and key."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from convlint.checking.options import Options
from convlint.errors import SettingsError, UsageError
from convlint.interface.inputs import InputSpec
from convlint.settings import keys
from convlint.settings.jobs import Job
from convlint.settings.project import Project, find_project
from convlint.settings.request import Request, one_job
from convlint.settings.schema import config_schema

WHOLE = """
[tool.convlint]
target = "ios18"
frontend = "export"
trial = "none"
select = ["CL1", "ane"]
ignore = ["hypot"]
rule-paths = ["more/rules"]
fail-on = "warning"
timeout = 30

[[tool.convlint.models]]
name = "segmenter"
spec = "my/models.py:Segmenter"
args = { width = 64 }
arg-exprs = { config = "pkg.Config()" }
inputs = ["image=1x3x512x512:float32"]
target = "macos15"
trial = "full"

[[tool.convlint.models]]
spec = "my/models.py:Other"
"""
MODEL = '[[tool.convlint.models]]\nspec = "a.py:B"\n'


def settings_of(folder: Path, text: str) -> Project:
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return find_project(folder)


def test_the_whole_table(tmp_path: Path) -> None:
    project = settings_of(tmp_path, WHOLE)
    rules = (str(tmp_path / "more/rules"),)
    base = Options("iOS18", "export", None, ("CL1", "ane"), ("hypot",), "warning", 30.0, rule_paths=rules)
    assert project.options == base
    assert project.root == str(tmp_path)
    assert project.rule_paths == rules
    assert project.model("segmenter") == Job(
        "segmenter",
        "my/models.py:Segmenter",
        {"width": 64},
        {"config": "pkg.Config()"},
        (InputSpec("image", (1, 3, 512, 512), "float32"),),
        replace(base, target="macOS15", trial="full"),
        str(tmp_path),
    )
    assert project.models[1] == Job(
        "my/models.py:Other", "my/models.py:Other", options=base, root=str(tmp_path)
    )


def test_an_input_may_be_a_table(tmp_path: Path) -> None:
    tables = [
        "{ name = 'x', shape = '1x3x[8..16]x8', image = true, layout = 'bgr',"
        " mean = [0.5, 0.4, 0.3], std = 1 }",
        "{ shape = '1x4', dtype = 'int64' }",
        "'1x{8,16}'",
    ]
    project = settings_of(tmp_path, MODEL_OF_TABLES.format(", ".join(tables)))
    texts = ["x=1x3x[8..16]x8:image(bgr,mean=0.5/0.4/0.3,std=1.0)", "1x4:int64", "{1x8,1x16}:float32"]
    assert [str(spec) for spec in project.models[0].inputs] == texts
    document = tomllib.loads(MODEL_OF_TABLES.format(", ".join(tables)))["tool"]["convlint"]
    jsonschema.validate(document, config_schema())


MODEL_OF_TABLES = """
[[tool.convlint.models]]
spec = "a.py:B"
inputs = [{}]
"""


def test_the_file_is_found_upward_past_files_without_the_table(tmp_path: Path) -> None:
    settings_of(tmp_path, WHOLE)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    assert find_project(below).root == str(tmp_path)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    project = find_project(tmp_path)
    assert project == Project()
    assert (project.options.target, project.options.trial) == ("iOS17", "passes")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('trget = "iOS17"', "tool.convlint.trget: unknown key. Did you mean target?"),
        ('fail_on = "note"', "fail_on: unknown key. Did you mean fail-on?"),
        ("zzzzzzzz = 1", "unknown key. Allowed: target, frontend"),
        ('target = "iOS71"', "tool.convlint.target: unknown target 'iOS71'. Did you mean iOS17?"),
        ("target = 17", "tool.convlint.target: a string is needed, not an integer"),
        (
            'frontend = "exprot"',
            "frontend: 'exprot' is not known. Did you mean export? Allowed: export, torchscript, auto.",
        ),
        ("trial = false", "tool.convlint.trial: a string is needed, not true or false"),
        ('select = "CL1"', "tool.convlint.select: a list is needed, not a string"),
        ("ignore = [1]", "tool.convlint.ignore[1]: a string that is not empty is needed, not an integer"),
        ("timeout = 0", "must be a number of seconds above 0"),
        ("timeout = true", "timeout: a number is needed, not true or false"),
        ("timeout = inf", "must be a number of seconds above 0"),
        ("models = 3", "tool.convlint.models: a list is needed, not an integer"),
        (
            '[[tool.convlint.models]]\nnme = "x"',
            "tool.convlint.models[1].nme: unknown key. Did you mean name?",
        ),
        ('[[tool.convlint.models]]\nname = "x"', "tool.convlint.models[1].spec: missing; it names the model"),
        (MODEL + MODEL, "tool.convlint.models: two models are named 'a.py:B'"),
        (MODEL + 'inputs = ["0x3"]', "tool.convlint.models[1].inputs[1]: malformed input spec '0x3'"),
        (MODEL + 'inputs = "1x3"', "tool.convlint.models[1].inputs: a list is needed, not a string"),
        (MODEL + "inputs = [3]", "inputs[1]: a string or a table is needed, not an integer"),
        (MODEL + "inputs = [{imge = true}]", "inputs[1].imge: unknown key. Did you mean image?"),
        (MODEL + "inputs = [{image = true}]", "inputs[1].shape: missing, such as"),
        (
            MODEL + "inputs = [{shape = '1x3x8x8', image = 1}]",
            "inputs[1].image: true or false is needed, not an integer",
        ),
        (MODEL + "inputs = [{shape = '1x3x8x8', std = 0.5}]", "are for pictures: add image = true"),
        (
            MODEL + "inputs = [{shape = '1x3x8x8', image = true, std = ['a']}]",
            "std: a number or a list of numbers is needed, not a list",
        ),
        (MODEL + "inputs = [{shape = '1x2x8x8', image = true}]", "axis 1 of the shape has 2"),
        (MODEL + "outputs = [{name = 'y'}]", "outputs[1]: image = true is missing"),
        (MODEL + "outputs = [{image = true, mean = 0.5}]", "outputs[1].mean: unknown key"),
        (MODEL + "outputs = ['y:imag']", "'imag' is not a kind of output"),
        (MODEL + "outputs = 'y:image'", "outputs: a list is needed, not a string"),
        (MODEL + "inputs = [{shape = '1x3x8x8', dtype = 'int32', image = true}]", "both dtype and image"),
        (MODEL + "args = [1]", "tool.convlint.models[1].args: a table is needed, not a list"),
        (MODEL + "args = {'a b' = 1}", "cannot be the name of an argument"),
        (
            MODEL + "arg-exprs = {a = 1}",
            "tool.convlint.models[1].arg-exprs.a: a string is needed, not an integer",
        ),
        (MODEL + "arg-exprs = {a = '1 +'}", "is not a Python expression"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        settings_of(tmp_path, f"[tool.convlint]\n{text}\n")
    assert str(caught.value).startswith("pyproject.toml: tool.convlint")
    assert says in str(caught.value)


def test_all_mistakes_are_reported_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "trget = 1\nfail-on = 'fatal'\n" + MODEL + "inputs = ['0x3', {imge = true}]\ntimeout = -1\n"
    with pytest.raises(SettingsError) as caught:
        settings_of(tmp_path, f"[tool.convlint]\n{text}\n")
    keys = [problem.split(": ")[1].removeprefix("tool.convlint.") for problem in caught.value.problems]
    assert sorted(keys) == [
        "fail-on",
        "models[1].inputs[1]",
        "models[1].inputs[2].imge",
        "models[1].inputs[2].shape",
        "models[1].timeout",
        "trget",
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[tool.convlint]\ntarget = [", "pyproject.toml is not valid TOML"),
        (b"[tool]\nconvlint = 3", "tool.convlint must be a table"),
        (b"[tool.convlint]\ntarget = '\xff'", "pyproject.toml is not valid TOML"),
    ],
)
def test_a_broken_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_bytes(content)
    with pytest.raises(UsageError, match=says):
        find_project()


def test_an_unknown_model_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"Did you mean segmenter\?"):
        settings_of(tmp_path, WHOLE).model("segmentr")
    with pytest.raises(UsageError, match=r"no \[\[tool.convlint.models\]\]"):
        Project().model("x")


OWN = """
target = "iOS18"
cache = false
cache-dir = "kept"
baseline = "known.json"
per-module-ignores = { "encoder.*" = ["CL201"] }
[[models]]
spec = "a.py:B"
depends = ["configs/*.yaml"]
"""


def test_a_file_of_its_own_has_the_same_keys_at_its_top(tmp_path: Path) -> None:
    (tmp_path / "convlint.toml").write_text(OWN, encoding="utf-8")
    project = find_project(tmp_path)
    assert (project.root, project.file) == (str(tmp_path), str(tmp_path / "convlint.toml"))
    assert (project.cache, project.cache_dir) == (False, str(tmp_path / "kept"))
    assert project.baseline == str(tmp_path / "known.json")
    assert project.models[0].depends == ("configs/*.yaml",)
    assert project.models[0].options == Options("iOS18", per_module_ignores={"encoder.*": ("CL201",)})


def test_its_mistakes_are_told_without_the_name_of_a_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "convlint.toml").write_text("[[models]]\nspce = 'a.py:B'\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=r"^convlint\.toml: models\[1\]\.spce: unknown key\. Did you mean spec"
    ):
        find_project()


def test_two_configurations_in_one_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "convlint.toml").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="both hold a configuration: keep one"):
        settings_of(tmp_path, WHOLE)


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "convlint.toml").write_text("\ufefftarget = 'iOS16'\n", encoding="utf-8")
    assert find_project(tmp_path).options.target == "iOS16"


@pytest.mark.parametrize("text", ["cache = 1", "cache = 'no'"])
def test_a_switch_is_true_or_false(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"tool\.convlint\.cache: true or false is needed"):
        settings_of(tmp_path, f"[tool.convlint]\n{text}\n")


class TestEnvironment:
    def test_goes_over_the_file_and_over_the_tables_of_models(self, tmp_path: Path) -> None:
        settings_of(tmp_path, WHOLE)
        variables = {
            "CONVLINT_TARGET": "iOS26",
            "CONVLINT_SELECT": "CL1, ane,",
            "CONVLINT_TIMEOUT": "7.5",
            "CONVLINT_CACHE": "off",
            "CONVLINT_CACHE_DIR": str(tmp_path / "c"),
            "CONVLINT_FRONTEND": "",
        }
        project = find_project(tmp_path, environment=variables)
        for options in (project.options, project.model("segmenter").options):
            assert (options.target, options.select, options.timeout) == ("iOS26", ("CL1", "ane"), 7.5)
            assert options.frontend == "export"
            assert options.origins["target"] == "CONVLINT_TARGET"
        assert project.model("segmenter").options.origins["trial"].endswith("tool.convlint.models[1]")
        assert (project.cache, project.cache_dir) == (False, str(tmp_path / "c"))

    def test_holds_without_a_file(self, tmp_path: Path) -> None:
        assert find_project(tmp_path, environment={"CONVLINT_TRIAL": "none"}).options.trial is None

    def test_names_the_file(self, tmp_path: Path) -> None:
        other = tmp_path / "other.toml"
        other.write_text("target = 'iOS16'\n", encoding="utf-8")
        project = find_project(tmp_path / "nowhere", environment={"CONVLINT_CONFIG": str(other)})
        assert (project.options.target, project.file) == ("iOS16", str(other))

    @pytest.mark.parametrize(
        ("name", "value", "says"),
        [
            ("CONVLINT_TRGET", "iOS17", "environment variable CONVLINT_TRGET. Did you mean CONVLINT_TARGET?"),
            ("CONVLINT_TARGET", "iOS71", "the environment: CONVLINT_TARGET: unknown target 'iOS71'"),
            ("CONVLINT_TIMEOUT", "soon", "CONVLINT_TIMEOUT: a number is needed, not a string"),
            ("CONVLINT_CACHE", "perhaps", "CONVLINT_CACHE: true or false is needed, not a string"),
        ],
    )
    def test_a_mistake_is_told(self, tmp_path: Path, name: str, value: str, says: str) -> None:
        with pytest.raises(UsageError) as caught:
            find_project(tmp_path, environment={name: value})
        assert says in str(caught.value)

    def test_a_variable_of_somebody_else_is_left_alone(self, tmp_path: Path) -> None:
        assert find_project(tmp_path, environment={"CONVLINT_VERSION": "1"}) == Project()


class TestSchema:
    @pytest.mark.parametrize(
        "text", [OWN, WHOLE.replace("tool.convlint.", "").replace("[tool.convlint]", "")]
    )
    def test_takes_what_the_reader_takes(self, text: str) -> None:
        text = text.replace("ios18", "iOS18").replace("macos15", "macOS15")
        jsonschema.validate(tomllib.loads(text), config_schema())

    @pytest.mark.parametrize(
        "text",
        ["trget = 'iOS17'", "target = 'iOS71'", "timeout = 0", "[[models]]\nname = 'x'", "select = 'CL1'"],
    )
    def test_refuses_what_the_reader_refuses(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(tomllib.loads(text), config_schema())
        (tmp_path / "convlint.toml").write_text(text, encoding="utf-8")
        with pytest.raises(UsageError):
            find_project(tmp_path)

    def test_is_a_schema_and_knows_every_key(self) -> None:
        schema = config_schema()
        jsonschema.Draft7Validator.check_schema(schema)
        assert set(schema["properties"]) == {
            *keys.SETTINGS,
            *keys.PROJECT,
            "models",
        }
        of_a_model = schema["properties"]["models"]["items"]["properties"]
        assert set(of_a_model) == {*keys.SETTINGS, *keys.MODEL}
        assert all(part["description"] for part in schema["properties"].values())


def test_the_chip_of_plans_is_that_of_the_command_line_then_of_the_environment_then_of_the_file(
    tmp_path: Path,
) -> None:
    (tmp_path / "convlint.toml").write_text('chip = "M2"\nos = "macOS14"\n', encoding="utf-8")
    project = find_project(tmp_path, environment={})
    elsewhere = find_project(tmp_path, environment={"CONVLINT_CHIP": "M3"})

    def device(configured: Project, chip: str | None = None) -> tuple[str | None, str | None]:
        options = one_job(Request("net.py:Net", chip=chip), configured, "check").options
        return options.chip, options.os

    assert device(project) == ("M2", "macOS14")
    assert device(project, "A16") == ("A16", None), "macOS14 was said of the M2"
    assert device(elsewhere)[0] == "M3"
