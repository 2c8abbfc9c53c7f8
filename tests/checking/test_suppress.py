"""What is silenced by a comment, by module or by a baseline, and what of that nobody needs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from reports import CLEAN, REPORT, call, rule

from convlint.checking.baseline import BASELINE, Baseline, baseline_of, counted, read_baseline, write_baseline
from convlint.checking.suppress import suppress, unused_ignores
from convlint.destination import checked_place
from convlint.errors import UsageError
from convlint.model import Finding, Graph, Report, Site
from convlint.model.run import Outcome

ASKED = (("CL104", "hypot", "support"), ("CL201", "softmax-axis", "ane"), ("CL202", "other", "ane"))
HYPOT, SOFTMAX = rule("CL104", "hypot"), rule("CL201", "softmax-axis", "warning", category="ane")


def checked(path: Path, source: str, *found: tuple[object, int]) -> Report:
    """A report of a file that traced each of its lines and found these rules at these lines."""
    path.write_text(source, encoding="utf-8")
    lines = range(1, source.count("\n") + 2)
    calls = tuple(
        call("aten.hypot.default", Site(str(path), line), f"blocks.{line}.attn", line) for line in lines
    )
    findings = tuple(
        Finding(
            each, each.severity, each.message, "aten.hypot.default", calls[line - 1].site, (calls[line - 1],)
        )  # type: ignore[attr-defined]
        for each, line in found
    )
    graph = Graph(calls, (), ())
    failed = any(finding.severity == "error" for finding in findings)
    return replace(
        CLEAN,
        model="net",
        findings=findings,
        graph=graph,
        asked=ASKED,
        convertible="no" if failed else "yes",
        exit_code=int(failed),
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "models.py"


class TestComments:
    @pytest.mark.parametrize(
        "comment",
        [
            "# convlint: ignore[CL104] needed for the old head",
            "#convlint:ignore[CL104]",
            "# Convlint: Ignore[ hypot , CL999 ]: because",
            "# convlint: ignore[CL1]",
            "# convlint: ignore[support]",
            "# type: ignore  # convlint: ignore[CL104]",
        ],
    )
    def test_a_comment_silences_the_rules_that_it_names(self, file: Path, comment: str) -> None:
        report = suppress(checked(file, f"x = hypot(x, y)  {comment}\n", (HYPOT, 1), (SOFTMAX, 1)), "error")
        assert [finding.rule.code for finding in report.findings] == ["CL201"]
        (suppression,) = report.suppressed
        assert (suppression.kind, suppression.site and suppression.site.line) == ("comment", 1)

    def test_the_reason_is_kept(self, file: Path) -> None:
        source = "x = hypot(x)  # convlint: ignore[CL104] - the old head\n"
        assert suppress(checked(file, source, (HYPOT, 1)), "error").suppressed[0].reason == "the old head"

    def test_it_speaks_for_its_whole_statement(self, file: Path) -> None:
        source = "y = f(\n    a,\n    b,\n)  # convlint: ignore[CL104]\nz = 1\n"
        report = suppress(checked(file, source, (HYPOT, 2), (HYPOT, 5)), "error")
        assert [finding.site and finding.site.line for finding in report.findings] == [5]

    def test_alone_on_a_line_it_speaks_for_the_next_statement(self, file: Path) -> None:
        source = "# convlint: ignore[CL104]\n\nx = hypot(\n  x)\ny = hypot(y)\n"
        report = suppress(checked(file, source, (HYPOT, 3), (HYPOT, 5)), "error")
        assert [finding.site and finding.site.line for finding in report.findings] == [5]

    def test_a_text_that_looks_like_one_is_none(self, file: Path) -> None:
        report = suppress(checked(file, "x = '# convlint: ignore[CL104]'\n", (HYPOT, 1)), "error")
        assert len(report.findings) == 1

    def test_the_callers_line_counts_where_the_place_is_in_a_library(self, file: Path) -> None:
        report = checked(file, "x = pool(x)  # convlint: ignore[CL104]\n", (HYPOT, 1))
        inside = replace(
            report.findings[0], site=Site("/site-packages/lib.py", 7), caller=report.findings[0].site
        )
        assert suppress(replace(report, findings=(inside,)), "error").findings == ()

    @pytest.mark.parametrize("source", ["x = (\n", "\tx\n  y\n", "'''"])
    def test_a_file_that_python_cannot_read_has_none(self, file: Path, source: str) -> None:
        report = checked(file, f"{source}# convlint: ignore[CL104]\n", (HYPOT, 1))
        assert len(suppress(report, "error").findings) == 1


class TestUnused:
    def test_a_comment_that_silences_nothing_is_told(self, file: Path) -> None:
        source = "x = 1  # convlint: ignore[CL104, CL201]\ny = 2  # convlint: ignore[hypot]\n"
        report = suppress(checked(file, source, (HYPOT, 1)), "error")
        assert [(each.site.line, each.unused) for each in unused_ignores([report])] == [
            (1, ("CL201",)),
            (2, ("hypot",)),
        ]

    def test_only_where_the_line_was_traced(self, file: Path) -> None:
        report = checked(file, "x = 1\ny = 2  # convlint: ignore[CL104]\n")
        assert report.graph is not None
        seen = replace(report, graph=replace(report.graph, calls=report.graph.calls[:1]))
        assert unused_ignores([suppress(seen, "error")]) == []
        assert len(unused_ignores([suppress(report, "error")])) == 1

    def test_only_where_the_rule_was_asked(self, file: Path) -> None:
        report = checked(file, "x = 1  # convlint: ignore[CL104]\n")
        asked = replace(report, asked=(("CL201", "softmax-axis", "ane"),))
        assert unused_ignores([suppress(asked, "error")]) == []

    def test_what_one_of_several_models_needs_is_needed(self, file: Path) -> None:
        source = "x = 1  # convlint: ignore[CL104, CL201]\n"
        one, other = checked(file, source, (HYPOT, 1)), checked(file, source)
        (left,) = unused_ignores([suppress(one, "error"), suppress(other, "error")])
        assert left.unused == ("CL201",)

    def test_a_comment_without_a_rule_silences_nothing_and_is_told(self, file: Path) -> None:
        report = suppress(checked(file, "x = 1  # convlint: ignore\n", (HYPOT, 1)), "error")
        assert len(report.findings) == 1
        assert unused_ignores([report])[0].words == ()


class TestModules:
    @pytest.mark.parametrize(
        ("patterns", "left"),
        [
            ({"blocks.1": ("CL104",)}, [2]),
            ({"blocks.*": ("hypot",)}, []),
            ({"blocks": ("support",)}, []),
            ({"block": ("CL104",), "*.norm": ("CL104",)}, [1, 2]),
            ({"blocks": ("CL201",)}, [1, 2]),
        ],
    )
    def test_a_pattern_names_modules_and_those_inside(
        self, file: Path, patterns: dict[str, tuple[str, ...]], left: list[int]
    ) -> None:
        report = suppress(checked(file, "a\nb\n", (HYPOT, 1), (HYPOT, 2)), "error", patterns)
        assert [finding.site and finding.site.line for finding in report.findings] == left

    def test_a_finding_keeps_its_calls_outside(self, file: Path) -> None:
        report = checked(file, "a\nb\n", (HYPOT, 1))
        assert report.graph is not None
        both = replace(report.findings[0], calls=report.graph.calls[:2])
        shared = suppress(replace(report, findings=(both,)), "error", {"blocks.2": ("CL104",)})
        assert [each.module for each in shared.findings[0].calls] == ["blocks.1.attn"]
        assert [each.module for each in shared.suppressed[0].finding.calls] == ["blocks.2.attn"]


class TestExitCode:
    def test_a_known_error_does_not_fail(self, file: Path) -> None:
        report = checked(file, "x  # convlint: ignore[CL104]\n", (HYPOT, 1))
        assert (report.exit_code, suppress(report, "error").exit_code) == (1, 0)
        assert suppress(report, "error").convertible == "no"

    def test_what_is_left_still_fails(self, file: Path) -> None:
        report = checked(file, "x  # convlint: ignore[CL104]\ny\n", (HYPOT, 1), (SOFTMAX, 2))
        assert suppress(report, "error").exit_code == 0
        assert suppress(report, "warning").exit_code == 1

    def test_a_refusal_that_nobody_silenced_fails(self, file: Path) -> None:
        report = checked(file, "x  # convlint: ignore[CL201]\n", (SOFTMAX, 1))
        assert suppress(replace(report, convertible="no", exit_code=1), "error").exit_code == 1

    def test_nothing_silenced_changes_nothing(self) -> None:
        assert suppress(REPORT, "error").exit_code == REPORT.exit_code == 1


class TestBaseline:
    def known(self, report: Report, folder: Path) -> Baseline:
        return baseline_of([Outcome("net", "models.py:Net", None, report)], str(folder))

    def test_known_findings_are_silent_wherever_their_line_goes(self, file: Path) -> None:
        baseline = self.known(checked(file, "x\n", (HYPOT, 1)), file.parent)
        moved = checked(file, "\n\n\nx\n", (HYPOT, 4))
        report, stale = baseline.apply(moved, str(file.parent), "error")
        assert (report.findings, stale, report.exit_code) == ((), [], 0)
        assert report.suppressed[0].kind == "baseline"

    def test_one_more_of_a_kind_is_told_with_all_of_it(self, file: Path) -> None:
        baseline = self.known(checked(file, "x\n", (HYPOT, 1)), file.parent)
        more = checked(file, "x\ny\n", (HYPOT, 1), (HYPOT, 2))
        report, stale = baseline.apply(more, str(file.parent), "error")
        assert (len(report.findings), stale, report.exit_code) == (2, [], 1)

    def test_another_rule_file_or_model_is_new(self, file: Path) -> None:
        baseline = self.known(checked(file, "x\n", (HYPOT, 1)), file.parent)
        softmax = checked(file, "x\n", (SOFTMAX, 1))
        assert baseline.apply(softmax, str(file.parent), "error")[0].findings == softmax.findings
        other = replace(checked(file, "x\n", (HYPOT, 1)), model="other")
        assert baseline.apply(other, str(file.parent), "error")[0].exit_code == 1
        elsewhere = checked(file.parent / "b.py", "x\n", (HYPOT, 1))
        assert baseline.apply(elsewhere, str(file.parent), "error")[0].exit_code == 1

    def test_what_was_mended_is_stale_and_pruned(self, file: Path) -> None:
        baseline = self.known(checked(file, "x\ny\n", (HYPOT, 1), (HYPOT, 2), (SOFTMAX, 1)), file.parent)
        now = checked(file, "x\ny\n", (HYPOT, 1))
        _, stale = baseline.apply(now, str(file.parent), "error")
        assert stale == [
            "net: CL104 in models.py (blocks.*.attn): 2 known, 1 left",
            "net: CL201 in models.py (blocks.*.attn): 1 known, 0 left",
        ]
        pruned = baseline.pruned([Outcome("net", "m:N", None, now)], str(file.parent), {"net"})
        assert pruned.counts == {"net": {("CL104", "models.py", "blocks.*.attn"): 1}}
        assert pruned.apply(now, str(file.parent), "error")[1] == []

    def test_pruning_adds_nothing_and_forgets_models_that_are_gone(self, file: Path) -> None:
        more = checked(file, "x\ny\n", (HYPOT, 1), (HYPOT, 2))
        baseline = Baseline(
            {"gone": {("CL1", "a.py", ""): 1}, "net": {("CL104", "models.py", "blocks.*.attn"): 1}}
        )
        pruned = baseline.pruned([Outcome("net", "m:N", None, more)], str(file.parent), {"net"})
        assert pruned.counts == {"net": {("CL104", "models.py", "blocks.*.attn"): 1}}

    def test_files_of_libraries_have_the_same_name_everywhere(self, file: Path) -> None:
        site = Site("/home/a/.venv/lib/python3.11/site-packages/timm/layers/pool.py", 7)
        finding = replace(checked(file, "x\n", (HYPOT, 1)).findings[0], site=site)
        assert list(counted([finding], "/elsewhere")) == [("CL104", "timm/layers/pool.py", "blocks.*.attn")]

    def test_a_file_reads_back_and_differs_by_lines(self, file: Path) -> None:
        baseline = self.known(checked(file, "x\ny\n", (HYPOT, 1), (SOFTMAX, 2)), file.parent)
        path = str(file.parent / "known.json")
        write_baseline(checked_place("--baseline", path, BASELINE), baseline)
        assert read_baseline(path) == baseline
        text = Path(path).read_text(encoding="utf-8")
        assert json.loads(text)["version"] == 1
        assert text.count("\n      {") == 2
        write_baseline(checked_place("--baseline", path, BASELINE), Baseline({}))
        assert read_baseline(path).counts == {}

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            ("{", "is not valid JSON"),
            ("[]", "has version None, and this convlint reads version 1"),
            ('{"version": 2, "models": {}}', "has version 2"),
            ('{"version": 1}', "an entry that cannot be read"),
            ('{"version": 1, "models": {"a": [{"rule": "CL1"}]}}', "an entry that cannot be read"),
            (
                '{"version": 1, "models": {"a": [{"rule": "CL1", "file": "", "module": "", "count": true}]}}',
                "an entry that cannot be read",
            ),
        ],
    )
    def test_a_spoilt_or_foreign_file_is_told_with_the_next_step(
        self, tmp_path: Path, content: str, says: str
    ) -> None:
        (tmp_path / "known.json").write_text(content)
        with pytest.raises(UsageError, match=says) as caught:
            read_baseline(str(tmp_path / "known.json"))
        assert "`convlint baseline write` writes it anew" in str(caught.value)

    def test_a_missing_file_is_told_with_the_next_step(self, tmp_path: Path) -> None:
        with pytest.raises(
            UsageError, match=r"No such file or directory\. `convlint baseline write` makes it"
        ):
            read_baseline(str(tmp_path / "known.json"))
