"""The verdict of a report in words: whether the model converts, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from convlint.model.findings import Finding, Proviso, Trial, TrialFailure
from convlint.model.graph import OpCall
from convlint.op_functions import operation_of
from convlint.text import count, shown_path

if TYPE_CHECKING:
    from convlint.model.parity import Divergence, Errors, Parity
    from convlint.model.repair import Repair
    from convlint.model.report import Report

FLOAT16_NORMAL = 2.0**-14
"""The smallest number that float16 holds with all its bits."""

Kind = Literal["converts", "converts-differently", "converts-after-fixes", "does-not-convert", "unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One plain sentence and the next step. ``kind`` is the verdict as a word for programs."""

    kind: Kind
    headline: str
    next_step: str


def verdict(report: Report) -> Verdict:
    """The verdict of a report, in the same words for every output."""
    wrong = wrong_numbers(report) if report.convertible == "yes" else ""
    if wrong and report.parity is not None and report.parity.severity == "error":
        return _converts_differently(report, wrong)
    if report.convertible == "yes" and any(report.errors()):
        return _converts_with_errors(report)
    if wrong and report.parity is not None:
        return _converts_but_for_some(report, report.parity)
    by_kind = {"yes": _converts, "no": _does_not_convert, "unknown": _unknown}
    return by_kind[report.convertible](report)


def wrong_numbers(report: Report) -> str:
    """How the converted program's numbers differ from PyTorch's, as the end of a sentence about it.

    Empty where they are equal or were not compared.
    """
    parity = report.parity
    if parity is None or parity.status not in ("differs", "overflows"):
        return ""
    return what_differs(parity)


def what_differs(parity: Parity) -> str:
    """How a differing program differs, as the end of a sentence about it."""
    what = (
        f"overflows {parity.precision} where PyTorch has numbers"
        if parity.status == "overflows"
        else f"computes other numbers than PyTorch at {parity.precision}"
    )
    first = parity.first_divergence
    if first is None:
        return what
    shown = first.example_text
    return f"{what}, first in {first.op}{_place_of(first)}" + (f" ({shown})" if shown else "")


def _place_of(thing: Finding | Divergence | Proviso | TrialFailure) -> str:
    site = thing.site or thing.caller
    return f" at {shown_path(site.path)}:{site.line}" if site is not None else ""


def vanished(errors: Errors, precision: str) -> str:
    """Why outputs this small cannot judge float16; empty where they can.

    Below the smallest normal number of float16, every halving loses a bit, down to zero.
    """
    if precision != "float16" or not 0.0 < errors.scale < FLOAT16_NORMAL:
        return ""
    return (
        f"PyTorch's own outputs are at most {errors.scale:.1g}, which float16 cannot hold, as happens before"
        " training: name trained weights by --checkpoint, or take float32"
    )


def has_fix(finding: Finding) -> bool:
    """Whether code is proposed for this finding, not only advice."""
    return any(replacement.kind not in ("advice", "converter") for replacement in finding.replacements)


def trials_of(report: Report) -> tuple[Trial, ...]:
    """Every trial of the report."""
    return report.trials or ((report.trial,) if report.trial else ())


def refusals(report: Report) -> tuple[TrialFailure, ...]:
    """The refusals of the trials, one for each op, line and error."""
    failures = (failure for trial in trials_of(report) for failure in trial.failures)
    return tuple({(_place(failure), failure.error): failure for failure in failures}.values())


def trial_failures_of(report: Report, finding: Finding) -> tuple[TrialFailure, ...]:
    """The failures of the trials for the ops of this finding."""
    places = _places(finding)
    if not finding.op and finding.trial != "failed":
        places -= {("", "")}  # an entry without op and line identifies nothing
    return tuple(failure for failure in refusals(report) if _place(failure) in places)


def unnamed_refusals(report: Report) -> tuple[TrialFailure, ...]:
    """The refusals of the trials that no finding names, not even a silenced one.

    An error at the op and line of a refusal names it; a refusal without an op is named by a finding whose
    own refusal has the same text. Refusals that may only be consequences are included, and say so in
    ``follows``.
    """
    findings = [*report.findings, *(silent.finding for silent in report.suppressed)]
    # A finding that another frontend turned into a warning still names its refusal.
    naming = [finding for finding in findings if finding.severity == "error" or finding.trial == "failed"]
    places = {place for finding in naming for place in _places(finding)}
    words = {failure.error for failure in refusals(report) if _place(failure) in places}
    return tuple(
        failure
        for failure in refusals(report)
        if _place(failure) not in places
        and (failure.op or failure.error not in words)
        and (failure.op or not failure.follows)  # the end of a conversion that had already failed
    )


def _places(finding: Finding) -> set[tuple[str, str]]:
    return {_place(finding), *map(_place, finding.calls)}


def _place(thing: Finding | OpCall | TrialFailure) -> tuple[str, str]:
    """The op and the line of a thing, in the spelling that both frontends share."""
    return operation_of(thing.op), str(thing.site or "")


def tally(report: Report) -> str:
    """``"2 errors, 1 warning"``, or ``"no findings"``."""
    counts = Counter(finding.severity for finding in report.findings)
    return ", ".join(
        count(n, severity) for severity in ("error", "warning", "note") if (n := counts[severity])
    ) or ("no findings")


def _converts(report: Report) -> Verdict:
    remarks = sum(1 for finding in report.findings if finding.severity != "note")
    trials = trials_of(report)
    frontends = [trial.frontend for trial in trials if trial.status == "converted"]
    proved = "" if trials else " by the rules alone"
    if frontends and (frontends[0] != "export" or len(frontends) < len(trials)):
        proved += f" through the {frontends[0]} frontend"
    beside = ""
    if frontends and frontends[0] != "export" and report.frontend == "auto":
        beside = ", and not through export"
    after = (
        f"Look at the {count(remarks, 'finding')} above before you train."
        if remarks
        else "Nothing stands in the way of training it."
    )
    silenced = _silenced_errors(report)
    if silenced:
        after = f"{count(len(silenced), 'error')} silenced ({_named(silenced)})." + (
            f" {after}" if remarks else ""
        )
    if report.trial is None:
        after += " Run with --trial passes to have coremltools confirm it."
    return Verdict("converts", f"Converts{_once(report, proved)}{beside}.", after)


def _once(report: Report, proved: str) -> str:
    """``proved`` with the differences of the trial from the model, as the end of a sentence."""
    provisos = [each for each in report.trial.provisos if each.kind != "frozen"] if report.trial else []
    if not provisos:
        return f" as it is{proved}"
    return f"{proved} once " + " and ".join(f"{each.text}{_place_of(each)}" for each in provisos)


def _frozen(report: Report) -> str:
    """The values that the trial's trace froze, as the end of a sentence."""
    provisos = [each for each in report.trial.provisos if each.kind == "frozen"] if report.trial else []
    if not provisos:
        return ""
    more = f" and {len(provisos) - 1} more" if len(provisos) > 1 else ""
    return f"with {provisos[0].text.partition(' is ')[0]} frozen{_place_of(provisos[0])}{more}"


def _silenced_errors(report: Report) -> list[Finding]:
    return [each.finding for each in report.suppressed if each.finding.severity == "error"]


def _named(findings: Sequence[Finding]) -> str:
    """``CL328 at net.py:8``, with the number of further findings."""
    first = findings[0]
    place = _place_of(first)
    more = f" and {len(findings) - 1} more" if len(findings) > 1 else ""
    return f"{first.rule.code}{place}{more}"


def _converts_with_errors(report: Report) -> Verdict:
    """The verdict for a model that converts although a rule reports an error."""
    errors = list(report.errors())
    numbers = [finding for finding in errors if finding.rule.category == "numeric"]
    what = "but computes something else than PyTorch" if numbers else "but not to what you would ship"
    shown = numbers or errors
    headline = f"Converts, {what}: {count(len(errors), 'error')} ({_named(shown)})."
    frozen = _frozen(report)
    if frozen:
        headline = f"Converts {frozen}: {count(len(errors), 'error')}. The program has that for every input."
    if all(has_fix(finding) for finding in errors):
        step = "Make the change shown under each error, then check again with --parity."
    else:
        step = "Change the lines of the errors above, then check again with --parity."
    return Verdict("converts-differently", headline, step)


def _converts_but_for_some(report: Report, parity: Parity) -> Verdict:
    """The verdict for a difference that is no error by its rule, or occurs at special numbers only."""
    first = parity.first_divergence
    shown = first.example_text if first is not None else ""
    what = f"{shown}{_place_of(first)}" if shown and first is not None else what_differs(parity)
    about = [f for f in report.findings if first is not None and f.op == first.op and f.site == first.site]
    step = f"{about[0].rule.code} above says when." if about else "Look whether your values come there."
    return Verdict("converts", f"Converts. At some numbers the program gives something else: {what}.", step)


def _converts_differently(report: Report, wrong: str) -> Verdict:
    """The verdict for a model that converts, but whose program computes something else."""
    parity = report.parity
    first = parity.first_divergence if parity is not None else None
    small = vanished(parity.errors, parity.precision) if parity is not None else ""
    about = [f for f in report.findings if first is not None and f.op == first.op and f.site == first.site]
    if small:
        step = f"{small}."
    elif any(finding.replacements for finding in about):
        step = f"Make the change shown under {about[0].rule.code} above, then check again with --parity."
    elif parity is not None and parity.status == "overflows":
        step = "Keep the values of that operation smaller, or convert at float32, and check with --parity."
    else:
        step = "Write that operation another way, then check again with --parity."
    return Verdict("converts-differently", f"Converts, but the program {wrong}.", step)


def _does_not_convert(report: Report) -> Verdict:
    errors = list(report.errors())
    fixable = sum(1 for finding in errors if has_fix(finding))
    # Refusals of the other frontend do not block this one.
    deciding = report.trial.failures if report.trial is not None else ()
    missed = sum(1 for failure in unnamed_refusals(report) if not failure.follows and failure in deciding)
    silenced = _silenced_errors(report)
    if silenced and not errors and not missed:
        how = "the baseline" if any(each.kind == "baseline" for each in report.suppressed) else "comments"
        known = f"{count(len(silenced), 'known error')}, silenced by {how}"
        return Verdict("does-not-convert", f"Does not convert ({known}).", "Nothing new stands in the way.")
    if report.repair is not None and report.repair.converts:
        step = "`convlint fix` shows them, makes them in your source with --write, and compares the numbers."
        if report.repair.in_libraries:
            said = {0: "change is to no line", 1: "line is in a library"}
            where = said.get(len(report.repair.sites), "lines are in libraries")
            step = (
                f"The {where}: `convlint fix` shows the changes and compares the numbers; with --emit PATH it"
                " writes a script that converts the model, where that can be done."
            )
        numbers = _numbers_after_changes(report)
        headline = f"Does not convert as it is; after {report.repair.extent} it does{numbers}."
        return Verdict("converts-after-fixes", headline, step)
    blockers = [count(len(errors), "error")] if errors else []
    blockers += [count(missed, "more refusal")] if missed else []
    blockers += [f"{len(silenced)} silenced"] if silenced else []
    headline = "Does not convert as it is" + (f": {' and '.join(blockers)}" if blockers else "")
    left = _left(report, report.repair) if report.repair is not None else ""
    headline += f"; no change is known for {left}." if left else "."
    if fixable and fixable == len(errors) and not missed:
        step = "Every error has a help above: make those changes, then check again."
    elif fixable:
        have = "One of the errors has" if fixable == 1 else f"{fixable} of the errors have"
        step = f"{have} a help above: start there, then check again."
    else:
        step = "Rewrite the lines above with operations that coremltools has, then check again."
    helping = report.repair.helping if report.repair is not None else None
    if helping is not None and helping.applied:
        first = "Rewrite that" if left else "Change the lines of the errors"
        step = f"{first}, then check again; `convlint fix` makes the other {helping.extent}."
    return Verdict("does-not-convert", headline, step)


def _numbers_after_changes(report: Report) -> str:
    """What parity found of the changed program, as the end of a sentence; empty where it was not run."""
    if report.parity is None:
        return ""
    if report.parity.status == "equal":
        return ", and computes the same"
    wrong = wrong_numbers(report)
    return f", but the program {wrong}" if wrong else ""


def _left(report: Report, repair: Repair) -> str:
    """What is refused after all changes that are known, by the op that the model has at its first line."""
    left = {
        (failure.site, failure.op if failure.site is None else ""): failure for failure in repair.remaining
    }
    if not left:
        return ""
    first, *rest = left.values()
    ops = [each.op for each in report.errors() if each.site == first.site and first.site is not None]
    more = f" and {count(len(rest), 'more line')}" if rest else ""
    return f"{(ops or [first.op])[0] or first.stage}{_place_of(first)}{more}"


def _unknown(report: Report) -> Verdict:
    if report.capture_failures and report.graph is None:
        return Verdict(
            "unknown",
            "Unknown: the model could not be captured.",
            "Change the line that stopped the capture, then check again.",
        )
    if report.trial and report.trial.status in ("timeout", "crashed"):
        how = "took too long" if report.trial.status == "timeout" else "crashed"
        step = (
            "Raise --timeout, or" if report.trial.status == "timeout" else "See what the trial says above, or"
        )
        return Verdict("unknown", f"Unknown: the trial {how}.", f"{step} try the other --frontend.")
    if report.trial is None:
        return Verdict(
            "unknown",
            "Unknown: the rules cannot tell, and no trial ran.",
            "Run with --trial passes to let coremltools decide.",
        )
    return Verdict(
        "unknown",
        "Unknown: the rules and coremltools do not settle it.",
        "Run with --trial full for a whole conversion.",
    )
