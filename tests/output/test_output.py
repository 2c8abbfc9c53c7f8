"""What is on the page: every fact of a report, in every format, on narrow terminals and in pipes."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
from reports import CALLER_SITE, CLEAN, DIFFERS, FINDINGS, HYPOT_CALLS, HYPOT_SITE, REPORT, TRIAL, call, rule
from rich.console import Console

from convlint.errors import RuleError, UsageError
from convlint.model import (
    SCHEMA_VERSION,
    CaptureFailure,
    Finding,
    LineEdit,
    Replacement,
    Report,
    Site,
    Trial,
    TrialFailure,
)
from convlint.model.applied import Applied
from convlint.model.as_dict import report_to_dict
from convlint.model.repair import Repair
from convlint.model.verdict import unnamed_refusals, verdict
from convlint.output.concise import render_concise
from convlint.output.json import dumps, error_to_dict
from convlint.output.modules import fold_modules
from convlint.output.page import Plain
from convlint.output.rules import rule_markdown, rules_text
from convlint.output.terminal import console_of, render, render_text
from convlint.text import one_line, shown_path, single_line, visible

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def on_terminal(report: Report, width: int, **options: Any) -> str:
    buffer = StringIO()
    render(report, Console(file=buffer, width=width, force_terminal=True, **options))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("environment", "follows"),
    [
        ({}, False),
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "xterm-kitty"}, True),
        ({"TERM_PROGRAM": "vscode"}, True),
        ({"TERM_PROGRAM": "vscode", "CI": "true"}, False),
        ({"VTE_VERSION": "6800"}, True),
        ({"VTE_VERSION": "4601"}, False),
        ({"FORCE_HYPERLINK": "1"}, True),
        ({"FORCE_HYPERLINK": "0", "TERM": "xterm-kitty"}, False),
    ],
)
def test_only_terminals_that_follow_links_are_given_some(
    environment: dict[str, str], follows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("TERM", "TERM_PROGRAM", "VTE_VERSION", "FORCE_HYPERLINK", "CI", "STY", "WT_SESSION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    text = on_terminal(REPORT, 100)
    assert (f"{Path('models/unet.py').absolute().as_uri()}#L41" in text) == follows
    assert "\x1b]8;" not in render_text(REPORT)


def test_colours_follow_the_two_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown() -> str:
        buffer = StringIO()
        render(REPORT, console_of(buffer))
        return buffer.getvalue()

    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not ESCAPES.search(shown())
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1;31merror" in shown()
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[1;31m" not in shown()


class TestTerminal:
    def test_a_finding_says_all(self) -> None:
        text = render_text(REPORT)
        for fact in (
            "error CL104 hypot: coremltools has no translation for aten.hypot.default",
            "models/unet.py:41 in forward",
            "41 │ return torch.hypot(x, y)",
            "in encoder.layers.{0-11}.attn (Attention) ×12",
            "trial: NotImplementedError: PyTorch convert function for op 'hypot' not implemented.",
            "help: spell hypot out as a square root  (may differ for some inputs)",
            "for example:",
            "- return torch.hypot(x, y)",
            "+ return torch.sqrt(x * x + y * y)",
            "proved: same outputs on random inputs, and coremltools 9.0 converts it",
            "convlint rule CL104 (measured)",
        ):
            assert fact in text

    def test_findings_that_say_the_same_share_their_help(self) -> None:
        text = render_text(REPORT)
        assert text.count("error CL105 diff") == 1
        assert "(2 places)" in text
        assert text.count("run_decompositions turns diff into sub and slice") == 1
        assert "pool.py:7" in text
        assert f"called from {CALLER_SITE}" in text

    def test_notes_of_a_rule_about_the_engine_are_one(self) -> None:
        note = replace(
            FINDINGS[0], rule=rule("CL204", "lookup", "note", category="ane"), severity="note", message="one",
        )  # fmt: skip
        other = replace(note, message="two", site=Site("models/unet.py", 99, "y = z[i]", "forward"))
        text = on_terminal(replace(CLEAN, findings=(note, other)), 100, color_system=None)
        assert text.count("CL204 lookup") == 1
        assert "note CL204 lookup: one  (2 places)" in text
        assert "    two\n" in text

    def test_errors_come_first(self) -> None:
        text = render_text(REPORT)
        assert text.index("CL104") < text.index("CL105") < text.index("CL201")

    def test_the_summary_says_what_was_seen_and_tried(self) -> None:
        text = render_text(REPORT)
        assert "12 ops of 1 kind, 25.6 M parameters" in text
        assert "3 errors, 1 warning" in text
        assert "failed, 3 ops refused (coremltools 9.0, export frontend) in 0.34 s" in text
        assert "0.80 s (capture 0.41, rules 0.02, trial 0.34)" in text
        assert "numpy 2.4 breaks coremltools 9.0" in text

    def test_what_stopped_the_capture_is_told(self) -> None:
        text = render_text(REPORT)
        assert "torch.export on meta tensors: GuardOnDataDependentSymNode: Could not guard on u0 > 0" in text
        assert "33 │ if x.sum() > 0:" in text

    def test_what_the_rules_did_not_foretell_is_told(self) -> None:
        text = render_text(REPORT)
        assert "aten.narrow.default: IndexError: Dimension out of range second line" in text
        assert "refused after another, perhaps only because of it: aten.add.Tensor" in text
        assert "aten.narrow.default: the rules say converts, the trial says fails" in text

    def test_the_last_line_is_the_verdict(self) -> None:
        assert (
            render_text(REPORT)
            .splitlines()[-1]
            .startswith("✗ Does not convert as it is: 3 errors and 1 more refusal")
        )
        assert render_text(CLEAN).splitlines()[-1].startswith("✓ Converts as it is.")

    def test_quiet_shows_findings_alone(self) -> None:
        buffer = StringIO()
        render(REPORT, Console(file=buffer), quiet=True)
        assert "CL104" in buffer.getvalue()
        assert "Does not convert" not in buffer.getvalue()
        buffer = StringIO()
        render(CLEAN, Console(file=buffer), quiet=True)
        assert buffer.getvalue() == ""

    def test_a_pipe_gets_whole_lines_without_colour(self) -> None:
        long = replace(FINDINGS[0], message="word " * 60)
        text = render_text(replace(REPORT, findings=(long,)))
        assert ("word " * 60).strip() in text
        assert "\x1b" not in text

    def test_a_replacement_that_is_a_whole_model_is_only_named(self) -> None:
        old, new = ("\n".join(f"{name}{n} = x" for n in range(9)) for name in "ab")
        whole = Replacement("write it anew", "rewrite", before=old, after=new)
        text = render_text(replace(REPORT, findings=(replace(FINDINGS[0], replacements=(whole,)),)))
        assert "help: write it anew" in text
        assert f"convlint rule {FINDINGS[0].rule.code} shows the code, 18 lines" in text
        assert "a0 = x" not in text

    @pytest.mark.parametrize("width", [30, 40, 80, 200])
    def test_a_narrow_terminal_loses_nothing(self, width: int) -> None:
        shown = ESCAPES.sub("", on_terminal(REPORT, width))
        wrapped = [line for line in shown.splitlines() if not line.startswith(("      - ", "      + "))]
        assert max(map(len, wrapped)) <= width, "code alone stays as it is, to be copied"
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", render_text(REPORT))

    def test_no_color_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert re.search(r"\x1b\[[0-9;]*31m", on_terminal(REPORT, 80))
        monkeypatch.setenv("NO_COLOR", "1")
        assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", on_terminal(REPORT, 80))

    def test_foreign_text_is_text(self) -> None:
        source = "x[bold] = '\x1b[31m:smile:\x07' # \u202e\ud800"
        finding = replace(FINDINGS[0], site=Site("a[red].py", 3, source, "f"), message="[link]m[/link]")
        text = on_terminal(replace(REPORT, findings=(finding,), model="m[b]\x1b]0;t\x07"), 100)
        plain = ESCAPES.sub("", text)
        assert "x[bold] = '␛[31m:smile:␇' # \\u202e\\ud800" in plain
        assert "a[red].py:3" in plain
        assert "[link]m[/link]" in plain
        assert "\x07" not in text
        text.encode("utf-8")

    def test_a_console_that_has_only_ascii(self) -> None:
        raw = BytesIO()
        stream = TextIOWrapper(raw, encoding="ascii", errors="backslashreplace")
        render(REPORT, Console(file=stream))
        stream.flush()
        assert b"-> models/unet.py:41" in raw.getvalue()
        assert b"\\u" not in raw.getvalue()

    def test_a_report_with_nothing_in_it(self) -> None:
        empty = Report("m", "iOS17", "auto", "unknown")
        assert render_text(empty).splitlines()[-1].startswith("? Unknown")

    def test_a_finding_without_a_line(self) -> None:
        bare = Finding(rule("CL501", "numpy"), "error", "numpy is too new", "", None)
        text = render_text(replace(REPORT, findings=(bare,), trial=None, trials=()))
        assert "error CL501 numpy: numpy is too new" in text

    def test_str_is_the_verdict_with_a_line_for_each_finding(self) -> None:
        first, *lines = str(REPORT).splitlines()
        assert first.endswith(verdict(REPORT).headline)
        assert lines[-1] == verdict(REPORT).next_step
        told = [line for line in lines[:-1] if not line.startswith("  help: ")]
        assert len(told) == len(REPORT.findings)
        assert [line.partition(" ")[0] for line in told] == sorted(
            (finding.severity for finding in REPORT.findings), key=("error", "warning", "note").index
        )


class TestShort:
    """What ``convlint check`` shows without ``--full``."""

    def shown(self, report: Report) -> list[str]:
        buffer = StringIO()
        render(report, Plain(buffer), full=False)
        return buffer.getvalue().splitlines()

    def test_the_verdict_comes_first_and_last(self) -> None:
        lines = self.shown(REPORT)
        assert lines[1] == f"✗ {verdict(REPORT).headline}"
        assert lines[-1] == f"✗ {verdict(REPORT).headline} {verdict(REPORT).next_step}"

    def test_the_warnings_of_a_rule_are_one_line(self) -> None:
        (warning,) = (each for each in REPORT.findings if each.severity == "warning")
        other = replace(warning, site=Site("models/unet.py", 99, "y.softmax(1)", "forward"))
        lines = self.shown(replace(REPORT, findings=(*REPORT.findings, other)))
        told = [line for line in lines if line.startswith("warning ")]
        assert told == [
            "warning CL201 softmax-axis: softmax over axis 1 keeps the Neural Engine waiting"
            "  models/unet.py:70 and 1 more line"
        ]

    def test_what_several_rules_say_of_one_line_is_one_finding(self) -> None:
        error = next(each for each in REPORT.findings if each.severity == "error")
        warning = replace(
            error, rule=rule("CL301", "float16-fill", "warning"), severity="warning", message="too large",
            replacements=(),
        )  # fmt: skip
        lines = self.shown(replace(REPORT, findings=(warning, error)))
        first = next(number for number, line in enumerate(lines) if line.startswith("error CL104"))
        assert lines[first + 1] == "also warning CL301 float16-fill: too large"
        assert sum(str(error.site) in line for line in lines) == 1
        assert any(
            line.startswith("  why: convlint rule CL104 (measured), convlint rule CL301") for line in lines
        )
        other = replace(warning, rule=rule("CL302", "other", "warning"), message="too small")
        lines = self.shown(replace(REPORT, findings=(warning, other)))
        assert [line for line in lines if line.startswith("warning")] == [
            f"warning CL301 float16-fill: too large; CL302 other: too small  {error.site}"
        ]

    def test_notes_are_counted_and_named(self) -> None:
        note = replace(REPORT.findings[0], rule=rule("CL430", "undeclared-image", "note"), severity="note")
        lines = self.shown(replace(CLEAN, findings=(note, note)))
        assert "2 notes: CL430 undeclared-image  --full shows them" in lines

    def test_an_error_has_its_two_best_helps(self) -> None:
        error = next(each for each in REPORT.findings if each.severity == "error")
        own = LineEdit("m.py", 1, 1, 1, 4, "b", "a", "b")
        helps = (
            Replacement("a newer release", kind="upgrade"),
            Replacement("words", kind="advice"),
            Replacement("an example", before="f(x)", after="g(x)"),
            Replacement("the line itself", before="f(x)", after="g(x)", edit=own),
        )
        lines = self.shown(replace(REPORT, findings=(replace(error, replacements=helps),)))
        shown = [line.strip() for line in lines if line.startswith("  help: ")]
        assert shown == ["help: the line itself", "help: an example"]
        assert "  2 more helps: --full" in lines

    def test_a_clean_model_takes_a_dozen_lines(self) -> None:
        assert len(self.shown(CLEAN)) <= 12


class TestVerdict:
    def kind(self, **changes: Any) -> str:
        return verdict(replace(REPORT, **changes)).kind

    def test_the_five_kinds(self) -> None:
        assert verdict(CLEAN).kind == "converts"
        assert verdict(DIFFERS).kind == "converts-differently"
        assert self.kind() == "does-not-convert"
        assert self.kind(repair=Repair(True)) == "converts-after-fixes"
        assert self.kind(convertible="unknown", graph=None) == "unknown"

    def test_a_program_that_computes_something_else_is_no_success(self) -> None:
        result = verdict(DIFFERS)
        assert result.headline == (
            "Converts, but the program computes other numbers than PyTorch at float32, "
            f"first in aten.add.Tensor at {HYPOT_SITE}."
        )
        assert "another way" in result.next_step
        assert DIFFERS.parity is not None
        found = Finding(
            rule("CL320", "alpha-ignored", category="numeric"),
            "error",
            "alpha is left out",
            "aten.add.Tensor",
            HYPOT_SITE,
            replacements=(Replacement("multiply first", "advice"),),
        )
        assert "under CL320" in verdict(replace(DIFFERS, findings=(found,))).next_step
        loud = replace(DIFFERS.parity, status="overflows", precision="float16", first_divergence=None)
        result = verdict(replace(DIFFERS, parity=loud))
        assert result.headline == "Converts, but the program overflows float16 where PyTorch has numbers."
        for status in ("equal", "unsupported"):
            same = replace(DIFFERS, parity=replace(DIFFERS.parity, status=status))  # type: ignore[arg-type]
            assert verdict(same).kind == "converts"

    def test_changes_count_only_when_coremltools_takes_the_model_with_them(self) -> None:
        changes = (Applied("aten.hypot.default", "rewrite", "a square root", site=HYPOT_SITE),)
        converts = verdict(replace(REPORT, repair=Repair(True, changes)))
        assert converts.headline == "Does not convert as it is; after 1 change at 1 line it does."
        assert "in your source with --write" in converts.next_step
        library = replace(changes[0], site=Site("/usr/lib/site-packages/timm/pool.py", 7))
        assert "--emit" in verdict(replace(REPORT, repair=Repair(True, (library,)))).next_step
        own = replace(library, caller=HYPOT_SITE)
        assert "--write" in verdict(replace(REPORT, repair=Repair(True, (library, own)))).next_step
        left = Repair(False, changes, (TrialFailure("aten.foo.default", "no converter", site=HYPOT_SITE),))
        stopped = verdict(replace(REPORT, repair=left))
        assert stopped.kind == "does-not-convert"
        assert stopped.headline.endswith(f"; no change is known for aten.hypot.default at {HYPOT_SITE}.")
        assert "`convlint fix`" not in stopped.next_step, "a change of a line that is refused all the same"
        elsewhere = replace(left, applied=(*changes, replace(changes[0], site=CALLER_SITE)))
        step = verdict(replace(REPORT, repair=elsewhere)).next_step
        assert step == "Rewrite that, then check again; `convlint fix` makes the other 1 change at 1 line."
        assert "`convlint fix`" not in verdict(REPORT).next_step

    def test_without_a_trial_it_says_so(self) -> None:
        result = verdict(replace(CLEAN, trial=None, trials=()))
        assert "by the rules alone" in result.headline
        assert "--trial passes" in result.next_step

    @pytest.mark.parametrize(("status", "word"), [("timeout", "too long"), ("crashed", "crashed")])
    def test_a_trial_that_did_not_end_is_named(self, status: Any, word: str) -> None:
        trial = Trial(status)
        assert word in verdict(replace(CLEAN, convertible="unknown", trial=trial, trials=(trial,))).headline

    def test_a_capture_that_failed_is_named(self) -> None:
        assert "could not be captured" in verdict(replace(REPORT, convertible="unknown", graph=None)).headline

    def test_consequences_are_not_counted(self) -> None:
        missed = {failure.op: failure.follows for failure in unnamed_refusals(REPORT)}
        assert missed == {"aten.narrow.default": "", "aten.add.Tensor": "hypot"}
        assert "1 more refusal" in verdict(REPORT).headline

    def test_the_other_frontend_saying_the_same_is_not_news(self) -> None:
        words = TRIAL.failures[0].error
        other = replace(TRIAL, frontend="torchscript", failures=(TrialFailure("", words, stage="input"),))
        assert unnamed_refusals(replace(REPORT, trials=(TRIAL, other))) == unnamed_refusals(REPORT)

    def test_the_frontend_that_converts_is_named_where_another_does_not(self) -> None:
        other = replace(TRIAL, status="converted", frontend="torchscript", failures=())
        report = replace(CLEAN, trial=other, trials=(TRIAL, other))
        assert verdict(report).headline == "Converts as it is through the torchscript frontend."
        auto = replace(report, frontend="auto", trials=(other,))
        told = "Converts as it is through the torchscript frontend, and not through export."
        assert verdict(auto).headline == told

    def test_the_same_refusal_in_many_blocks_counts_once(self) -> None:
        failures = tuple(TrialFailure("aten.x", "no", site=HYPOT_SITE, module=f"l.{i}") for i in range(5))
        trial = replace(TRIAL, failures=failures)
        assert len(unnamed_refusals(replace(REPORT, trial=trial, trials=(trial,)))) == 1


class TestConcise:
    def test_one_line_a_finding(self) -> None:
        lines = render_concise(REPORT).splitlines()
        assert lines[1] == (
            "models/unet.py:41: CL104 error coremltools has no translation for aten.hypot.default"
            " (help: spell hypot out as a square root (may differ for some inputs)) [hypot]"
        )
        assert len(lines) == len(FINDINGS) + 1
        assert lines[-1].startswith(
            "models/unet.py:80: trial error aten.narrow.default: IndexError: Dimension"
        )

    def test_a_clean_model_is_silent(self) -> None:
        assert render_concise(CLEAN) == ""

    def test_a_capture_that_failed_is_not_silent(self) -> None:
        stopped = CaptureFailure("export", "unknown", "RuntimeError", "no")
        report = Report("m.py:M", "iOS17", "auto", "unknown", capture_failures=(stopped,))
        assert render_concise(report) == "<m.py:M>: capture error export: RuntimeError: no\n"

    def test_line_breaks_stay_inside_their_line(self) -> None:
        finding = replace(FINDINGS[0], message="a\nb\x1b[0m")
        assert render_concise(replace(REPORT, findings=(finding,), trial=None, trials=())).count("\n") == 1


class TestJson:
    def test_it_is_plain_json(self) -> None:
        document = report_to_dict(REPORT)
        assert json.loads(dumps(document)) == document
        assert document["schema_version"] == SCHEMA_VERSION

    def test_it_has_what_the_terminal_has(self) -> None:
        document = report_to_dict(REPORT)
        finding = document["findings"][1]
        assert finding["code"] == "CL104"
        assert finding["site"] == {
            "path": "models/unet.py",
            "line": 41,
            "source": "return torch.hypot(x, y)",
            "function": "forward",
        }
        assert len(finding["calls"]) == len(HYPOT_CALLS)
        assert finding["calls"][3]["module"] == "encoder.layers.3.attn"
        assert finding["calls"][3]["args"] == {
            "self": {"tensor": "x_3"},
            "dims": [1, -1],
            "p": "inf",
            "dtype": None,
        }
        assert finding["replacements"][0]["proof"].startswith("same outputs")
        assert document["verdict"]["headline"] == verdict(REPORT).headline
        assert document["trial"]["failures"][1]["op"] == "aten.narrow.default"
        assert document["graph"]["ops"] == {"aten.hypot.default": 12}
        assert document["disagreements"][0]["op"] == "aten.narrow.default"
        assert document["capture_failures"][0]["site"]["line"] == 33
        assert document["seconds"]["capture"] == 0.41
        assert REPORT.to_dict() == document

    def test_the_keys_stay(self) -> None:
        assert list(report_to_dict(CLEAN)) == [
            "schema_version", "model", "target", "frontend", "convertible", "verdict", "exit_code",
            "findings", "suppressed", "ignores", "trial", "trials", "unforeseen_failures", "disagreements",
            "form", "capture_method", "capture_failures", "graph", "fix_proof", "repair", "forecast",
            "parity", "compression", "alternatives", "notes", "seconds", "versions",
        ]  # fmt: skip
        assert list(report_to_dict(REPORT)["findings"][0]) == [
            "code", "name", "category", "severity", "confidence", "message", "op", "site", "caller", "module",
            "trial", "replacements", "calls", "rule",
        ]  # fmt: skip

    def test_odd_values_have_words(self) -> None:
        odd = call(
            "aten.x.y",
            None,
            args={"a": float("nan"), "b": {1}, "c": object, "d": complex(1, 2), "e": "\ud800"},
        )
        finding = replace(FINDINGS[0], calls=(odd,))
        args = json.loads(dumps(report_to_dict(replace(REPORT, findings=(finding,)))))["findings"][0][
            "calls"
        ][0]["args"]
        assert args == {"a": "nan", "b": [1], "c": "<class 'object'>", "d": "(1+2j)", "e": "\ud800"}

    def test_an_error_is_a_document_too(self) -> None:
        assert error_to_dict(UsageError("no")) == {
            "schema_version": SCHEMA_VERSION,
            "error": {"type": "UsageError", "message": "no", "exit_code": 2},
        }
        assert error_to_dict(RuleError(["a: b", "c: d"]))["error"]["problems"] == ["a: b", "c: d"]


class TestPieces:
    def test_modules_fold_by_their_indices(self) -> None:
        paths = [f"layers.{i}.mlp" for i in (0, 1, 2, 5)] + ["head", "conv1", "layers.0.norm"]
        numbered = [f"encoder.encoder_layer_{i}.norm" for i in range(12)]
        assert fold_modules(numbered) == [("encoder.encoder_layer_{0-11}.norm", 12)]
        assert fold_modules(paths) == [
            ("layers.{0-2,5}.mlp", 4),
            ("head", 1),
            ("conv1", 1),
            ("layers.0.norm", 1),
        ]

    def test_paths_are_relative_inside_the_working_directory_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "in").mkdir()
        monkeypatch.chdir(tmp_path / "in")
        assert shown_path(str(tmp_path / "in" / "a.py")) == "a.py"
        assert shown_path(str(tmp_path / "a.py")) == str(tmp_path / "a.py")
        assert shown_path(str(tmp_path / "in" / "..a.py")) == "..a.py"

    def test_an_error_in_one_line_is_shown_or_stored(self) -> None:
        error = ValueError("no  such\n  op: \x1b[1m hypot")
        assert single_line(error) == "no such op: \x1b[1m hypot", "as the library wrote it"
        assert single_line(error, 7) == "no such"
        assert one_line(str(error)) == "no such op: \u241b[1m hypot"

    def test_visible_keeps_what_is_harmless(self) -> None:
        assert visible("naïve 漢字\t→\n") == "naïve 漢字\t→\n"
        assert visible("\x00\x7f\x85\u200b") == "␀␡\\u0085\\u200b"

    def test_a_rule_is_a_page(self) -> None:
        page = rule_markdown(replace(FINDINGS[1].rule, replacements=FINDINGS[1].replacements))
        assert page.startswith("# CL104 hypot: hypot has no converter\n")
        assert "```python\nreturn torch.sqrt(x * x + y * y)\n```" in page
        assert "- https://example.org/issue/1" in page

    def test_the_list_of_rules_is_a_table(self) -> None:
        text = rules_text([FINDINGS[0].rule, FINDINGS[1].rule])
        assert text.splitlines()[1] == "CL104  error    hypot         hypot has no converter"
