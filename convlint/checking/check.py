"""The pipeline: capture, match, trial, and the report made of them."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlint.capture.called import called
from convlint.capture.limits import DEFAULT_TIMEOUT, REAL_WEIGHTS_LIMIT
from convlint.checking.alternatives import alternatives_to, refused_modules, stays_refused
from convlint.checking.doctor import installed_version, versions_of
from convlint.checking.frontends import Frontends, can_try
from convlint.checking.judgement import exit_code, is_settled, judge, verdict, with_rule_severity
from convlint.checking.offers.own_lines import on_own_lines
from convlint.checking.options import Options
from convlint.checking.placed import confirmed
from convlint.checking.reconcile import deciding_trial, disagreements, export_trial
from convlint.checking.shipping import (
    Shipped,
    check_outputs,
    declared_by,
    device_of,
    forecast,
    program_to_ship,
)
from convlint.checking.suppress import suppress
from convlint.compression.settings import parse_settings
from convlint.coreml.supported import installed_snapshot, snapshot, with_foreign
from convlint.coreml.targets import normalise_target
from convlint.destination import checked_package
from convlint.errors import ModelError
from convlint.interface.outputs import parse_outputs
from convlint.model import Finding, FrontendChoice, Graph, Report, Rule, Severity, Trial, TrialLevel
from convlint.rules.match import Environment, near_misses
from convlint.rules.rulebook import Rulebook, load_rulebook

if TYPE_CHECKING:
    from convlint.capture.methods import Capture, Source
    from convlint.coreml.precision import Precision as TrialPrecision
    from convlint.model.alternative import Alternative
    from convlint.model.compression import Compression
    from convlint.model.parity import Parity, Precision
    from convlint.model.placement import Plan
    from convlint.model.repair import Repair

Progress = Callable[[str], None]
Early = Callable[[tuple[Finding, ...]], None]
"""What takes findings before all is known: those of the rules, then those of a model that was refused."""


@called
def check(
    model: Any,
    example_inputs: Any = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    target: str = "iOS17",
    frontend: FrontendChoice = "auto",
    trial: TrialLevel | None = "passes",
    timeout: float = DEFAULT_TIMEOUT,
    output: str | None = None,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    rule_paths: tuple[str, ...] = (),
    coremltools: str | None = None,
    fail_on: Severity = "error",
    parity: Precision | None = None,
    precision: TrialPrecision | None = None,
    compress: Sequence[str] = (),
    outputs: Sequence[str] = (),
    chip: str | None = None,
    os: str | None = None,
    as_trained: bool = False,
) -> Report:
    """Check whether a model converts to Core ML.

    ``model`` is an ``nn.Module`` (its weights are not touched, its training flags come back) or a
    callable that builds one. ``example_inputs`` are the positional arguments of ``forward`` (a
    tensor or a tuple; a mapping is keyword arguments), ``kwargs`` the keyword arguments; only their shapes
    and dtypes matter. Specs as on the command line (``"x=1x3x[224..512]x224:image"``) can replace both.
    ``parity`` also runs what the trial converted, at that precision, and compares it with the model.
    ``compress`` (``["int8", "palettize:4"]``) and ``precision`` (``"mixed"``) measure their effect on it.
    ``frontend`` "auto" tries TorchScript where export refuses, as the command does.
    ``chip`` and ``os`` are what the forecast is for (``"A17Pro"``, ``"iOS17"``), by default a current phone.
    ``outputs`` (``["y:image"]``) names outputs that Core ML gives as pictures.
    A model that is shipped in another form than it is trained in (``reparameterize``, ``fuse``, weight norm,
    adapters) is judged in that one, on a copy, unless ``as_trained``; ``Report.form`` says which it was.
    Raises :class:`~convlint.errors.ConvlintError` where the model cannot be built or run.
    """
    from convlint.capture.given import given_source

    target = normalise_target(target)
    options = Options(
        target=target,
        frontend=frontend,
        trial=trial,
        timeout=timeout,
        output=output,
        select=tuple(select),
        ignore=tuple(ignore),
        rule_paths=tuple(map(str, rule_paths)),
        coremltools=coremltools,
        fail_on=fail_on,
        parity=parity,
        precision=precision,
        compress=parse_settings(compress, target),
        outputs=parse_outputs(outputs),
        chip=chip,
        os=os,
        as_trained=as_trained,
    )
    if chip is not None or os is not None:
        device_of(options)
    if output is not None:
        checked_package("output", output)
    with given_source(model, example_inputs, kwargs, options.outputs, as_trained=as_trained) as (
        name,
        source,
    ):
        return suppress(check_source(name, source, options), fail_on)


def check_source(
    name: str,
    source: Source,
    options: Options,
    progress: Progress = lambda stage: None,
    *,
    rulebook: Rulebook | None = None,
    decompositions: bool = True,
    early: Early | None = None,
) -> Report:
    """Check the model that ``source`` gives.

    ``rulebook`` has rules that are already loaded, in place of those of the options. Without
    ``decompositions`` only the rules propose something: looking for what PyTorch and other releases of
    coremltools have for a refused op takes more conversions than the check itself. ``early`` gets what
    rules find before a conversion, and what stops a refused model before changes are looked for. Nothing is
    suppressed yet, because comments and baselines may change while the model does not.
    """
    return _Check(name, source, options, progress, rulebook, decompositions, early).run()


class _Check:
    """Runs one check, stage by stage. ``notes`` collects the remarks of the stages."""

    def __init__(
        self,
        name: str,
        source: Source,
        options: Options,
        progress: Progress,
        rulebook: Rulebook | None,
        decompositions: bool,
        early: Early | None = None,
    ) -> None:
        self.early = early
        self.name = name
        self.rulebook = rulebook
        self.decompositions = decompositions
        self.source = source
        self.options = options
        self.progress = progress
        self.seconds: dict[str, float] = {}
        self.notes: list[str] = []

    def run(self) -> Report:
        start = time.perf_counter()
        options = self.options
        with self.timed("rules"):
            whole = self.rulebook
            if whole is None:
                whole = load_rulebook([Path(path) for path in options.rule_paths])
            rules = whole.select(options.select, options.ignore)
            why = whole.find(options.why) if options.why else None
        with self.timed("capture"):
            captured = self.capture()
        environment = self.environment()
        if self.early is not None:
            self.early(on_own_lines(judge(captured, rules, environment, ())))
        trials = self.trials(captured)
        with self.timed("match"):
            findings = self.findings(captured, rules, environment, trials)
        if why is not None and captured.graph is not None:
            self.explain(why, captured.graph, environment)
        if self.early is not None and trials and verdict(captured, findings, trials) != "yes":
            self.early(on_own_lines(findings))
        findings = self.decomposed(findings, captured, environment, trials)
        shipped = self.shipped(captured, trials)
        plan = self.forecast(shipped, captured)
        if self.decompositions:  # a rule under test is asked for all that it says
            findings = confirmed(findings, plan)
        findings = self.said(findings, shipped.repair)
        trials = tuple(replace(trial, operations=()) for trial in trials)
        convertible = verdict(captured, findings, trials)
        alternatives: tuple[Alternative, ...] = ()
        if self.decompositions and stays_refused(convertible, trials, shipped.repair):
            refused = refused_modules(findings, trials, shipped.repair, captured.graph)
            with self.timed("alternatives"):
                alternatives = alternatives_to(self.source, captured.graph, refused, options, self.notes)
        parity = with_rule_severity(self.parity(trials, shipped.repair), findings)
        compression = self.compression(trials)
        self.seconds["total"] = time.perf_counter() - start
        return Report(
            model=self.name,
            target=options.target,
            frontend=options.frontend,
            convertible=convertible,
            findings=findings,
            trial=deciding_trial(trials),
            trials=trials,
            graph=captured.graph,
            form=self.source.form,
            capture_method=captured.method,
            capture_failures=captured.failures,
            disagreements=disagreements(findings, captured, export_trial(trials), whole, environment),
            repair=shipped.repair,
            plan=plan,
            parity=parity,
            compression=compression,
            alternatives=alternatives,
            notes=(*captured.notes, *self.notes),
            seconds=self.seconds,
            versions=versions_of(environment),
            asked=tuple((rule.code, rule.name, rule.category, *rule.aliases) for rule in rules),
            exit_code=exit_code(captured, findings, convertible, parity, options.fail_on),
        )

    def said(self, findings: tuple[Finding, ...], repair: Repair | None) -> tuple[Finding, ...]:
        """The findings with helps on the user's lines, without doubts that the repair has answered."""
        if repair is not None and repair.converts:
            findings = tuple(finding for finding in findings if not is_settled(finding))
        findings = on_own_lines(findings)
        if repair is None:
            return findings
        from convlint.checking.offers.helper_calls import with_helper_calls

        return with_helper_calls(findings, repair)

    def trials(self, captured: Capture) -> tuple[Trial, ...]:
        if self.options.trial is None:
            return ()
        with self.timed("trial"):
            return Frontends(self.source, self.options, self.progress, self.notes).trials(captured)

    def findings(
        self, captured: Capture, rules: Rulebook, environment: Environment, trials: tuple[Trial, ...]
    ) -> tuple[Finding, ...]:
        """The findings of rules and trials, with what the rules offer for this model."""
        findings = judge(captured, rules, environment, trials)
        if not any(finding.rule.offer for finding in findings):
            return findings
        from convlint.checking.offers.table import add_offers

        return add_offers(findings, self.source, captured.graph, self.options.timeout)

    def explain(self, rule: Rule, graph: Graph, environment: Environment) -> None:
        """Note for each op why the rule did not fire on it."""
        for miss in near_misses(rule, graph, environment):
            where = f" at {miss.site}" if miss.site else ""
            self.notes.append(f"{rule.code} not on {miss.subject}{where}: {miss.condition} ({miss.reason})")

    def decomposed(
        self,
        findings: tuple[Finding, ...],
        captured: Capture,
        environment: Environment,
        trials: tuple[Trial, ...],
    ) -> tuple[Finding, ...]:
        """The findings with what PyTorch and newer releases offer."""
        errors = any(finding.severity == "error" for finding in findings)
        if not self.decompositions or captured.graph is None or not errors:
            return findings
        from convlint.checking.offers.decomposition import add_replacements

        self.progress("looking for replacements")
        with self.timed("replacements"):
            return add_replacements(findings, captured.program, environment, prove=bool(trials))

    def shipped(self, captured: Capture, trials: tuple[Trial, ...]) -> Shipped:
        """The program that would ship, after a search for changes where it is refused."""
        with self.timed("changes"):
            return program_to_ship(captured, trials, self.options, self.progress, search=self.decompositions)

    def forecast(self, shipped: Shipped, captured: Capture) -> Plan | None:
        """The forecast, for the sizes of the example: where sizes vary, that is another program."""
        with self.timed("forecast"):
            if shipped.operations and declared_by(self.source.specs):
                from convlint.checking.planning import plan_source

                try:
                    return plan_source(self.name, self.source, self.options, progress=self.progress)
                except ModelError:  # the model does not run at the sizes of the example: a finding says so
                    return None
            return forecast(self.name, shipped, captured, self.options)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def capture(self) -> Capture:
        from convlint.capture.methods import capture

        self.progress("capturing")
        captured = capture(
            self.source,
            self.options.timeout,
            REAL_WEIGHTS_LIMIT,
            decomposed=self.options.frontend == "export",
        )
        for stage, seconds in captured.seconds.items():
            self.seconds[f"capture.{stage}"] = seconds
        check_outputs(self.name, captured)
        return captured

    def environment(self) -> Environment:
        """The environment to lint for: the installed coremltools, or the one in the options."""
        installed = installed_version("coremltools")
        release = self.options.coremltools
        if release is None and installed is not None and self.options.trial is not None and can_try() == "":
            supported = installed_snapshot()
        else:
            supported = snapshot(release or installed)
        supported = with_foreign(supported)
        if not supported.exact:
            self.notes.append(
                f"coremltools {supported.requested} has no snapshot; judged by that of {supported.version}"
            )
        return Environment(
            coremltools=release or installed or supported.version,
            torch=installed_version("torch"),
            supported=supported,
            numpy=installed_version("numpy"),
            python=platform.python_version(),
            frontend="torchscript" if self.options.frontend == "torchscript" else "export",
            target=self.options.target,
        )

    def parity(self, trials: tuple[Trial, ...], repair: Repair | None) -> Parity | None:
        """The comparison of the program that would ship with PyTorch: as converted, else as changed."""
        options = self.options
        if options.parity is None:
            return None
        if repair is not None and repair.converts:
            from convlint.checking.repaired import parity_after_changes

            with self.timed("parity"):
                answer = parity_after_changes(self.source, options, options.parity, self.progress)
            if isinstance(answer, str):
                self.notes.append(f"parity was not checked: {answer}")
                return None
            return answer
        deciding = deciding_trial(trials)
        if deciding is None or deciding.status != "converted":
            self.notes.append("parity was not checked: no trial converted the model")
            return None
        from convlint.numerics.flexible import compare_sizes

        self.progress("comparing with PyTorch")
        with self.timed("parity"):
            return compare_sizes(
                self.source, options.target, options.parity, deciding.frontend, options.timeout
            )

    def compression(self, trials: tuple[Trial, ...]) -> Compression | None:
        """The effect of precision and compression on the model; None where the options ask for neither."""
        options = self.options
        if options.precision is None and not options.compress:
            return None
        deciding = deciding_trial(trials)
        if deciding is None or deciding.status != "converted":
            self.notes.append("compression was not measured: no trial converted the model")
            return None
        from convlint.compression.measure import measure_settings

        self.progress("compressing")
        with self.timed("compression"):
            return measure_settings(
                self.source,
                options.target,
                deciding.frontend,
                options.precision or "float16",
                options.compress,
                checkpoint=options.checkpoint,
                timeout=options.timeout,
                progress=self.progress,
            )


__all__ = ["Options", "check", "check_source"]
