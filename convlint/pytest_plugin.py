"""The pytest plugin: a fixture, a marker, and with ``--convlint`` one test for each configured model.

Importing it loads pytest alone, so that test-suites which do not use it pay nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from convlint.model import Report
    from convlint.model.placement import Plan
    from convlint.runs.session import Session
    from convlint.settings.jobs import Job

_SESSION = pytest.StashKey["Session"]()
_MARKER = "convlint(**options): options of the fixture `convlint` in this test, such as target='iOS18'"


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--convlint`` and the ini options."""
    group = parser.getgroup("convlint", "Core ML conversion (convlint)")
    group.addoption("--convlint", action="store_true", help="check every model of the convlint configuration")
    group.addoption(
        "--convlint-parity",
        nargs="?",
        const="float32",
        choices=("float32", "float16"),
        help="also run each converted model of --convlint, and compare it with PyTorch",
    )
    group.addoption("--no-convlint-cache", action="store_true", help="check models anew, and cache nothing")
    parser.addini("convlint_target", "deployment target of the fixture `convlint`", default="")
    parser.addini("convlint_config", "the configuration that --convlint reads", default="")
    parser.addini(
        "convlint_models", "the configured models that --convlint checks; all by default", "args", []
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, so that ``--strict-markers`` knows it."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the reasons alone into pytest's summary, which repeats the whole of a text where ``CI`` is set."""
    report = yield
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        # A text of convlint begins and ends with its reasons: convlint.testing.
        lines = crash.message.splitlines()
        if len(lines) > 1 and lines[-1] and lines[0].endswith(lines[-1]):
            crash.message = lines[0]
    return report


class Checker:
    """The value of the fixture: call it to check a model and get the report."""

    def __init__(self, options: Mapping[str, Any], *, full: bool = False) -> None:
        self._options = dict(options)
        self._full = full

    def __call__(
        self, model: Any, inputs: Any = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Report:
        from convlint.testing import quiet_check

        return quiet_check(model, inputs, kwargs, **{**self._options, **options})

    def assert_convertible(
        self, model: Any, inputs: Any = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Report:
        """Fail the test with the report as its text, unless the model converts."""
        __tracebackhide__ = True
        from convlint.testing import fails, failure_text

        report = self(model, inputs, kwargs, **options)
        if fails(report):
            self._fail(failure_text(report, full=self._full))
        return report

    def assert_placement(
        self,
        model: Any,
        inputs: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        ane_share: float | None = None,
        outside: Iterable[str] | None = None,
        max_ms: float | None = None,
        **options: Any,
    ) -> Plan:
        """Fail the test unless the forecast keeps these limits: :func:`convlint.assert_placement`."""
        __tracebackhide__ = True
        from convlint.testing import Placement, placement_failure

        wanted = Placement(ane_share, outside, max_ms)
        report = self(model, inputs, kwargs, **options)
        if problem := placement_failure(report, wanted, full=self._full):
            self._fail(problem)
        assert report.plan is not None
        return report.plan

    def _fail(self, text: str) -> NoReturn:
        __tracebackhide__ = True
        from convlint.wording import in_python

        pytest.fail(in_python(text).replace("full=True", "pytest -v"), pytrace=False)


@pytest.fixture(name="convlint")
def convlint_fixture(request: pytest.FixtureRequest) -> Checker:
    """A :class:`Checker`: call it for a report, or use what it asserts."""
    target = request.config.getini("convlint_target")
    options: dict[str, Any] = {"target": target} if target else {}
    for mark in reversed(list(request.node.iter_markers("convlint"))):
        options |= mark.kwargs
    return Checker(options, full=_verbose(request.config))


def _verbose(config: pytest.Config) -> bool:
    """Whether ``-v`` asks for reports in full."""
    return bool(config.option.verbose > 0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add the configured models, before -k and -m choose among the tests."""
    if config.getoption("--convlint"):
        models = _Models.from_parent(session, name="convlint", nodeid="convlint")
        items += models.collect()


class _Models(pytest.Collector):
    """The configured models as tests, in the order of the configuration."""

    def collect(self) -> Iterator[pytest.Item]:
        for job in _jobs(self.config):
            yield _Model.from_parent(self, name=job.name, job=job)


class _Model(pytest.Item):
    """One configured model: passes where ``convlint check --model NAME`` ends with 0."""

    def __init__(self, *, job: Job, **options: Any) -> None:
        super().__init__(**options)
        self.job = job
        self.add_marker(pytest.mark.convlint)

    def runtest(self) -> None:
        import warnings

        from convlint.capture.quiet import without_trace_log
        from convlint.testing import failure_text

        with warnings.catch_warnings(), without_trace_log():
            warnings.simplefilter("ignore")
            outcome = _session(self.config).check(self.job)
        if outcome.error is not None:
            raise _Failed(f"convlint: error: {outcome.error}")
        assert outcome.report is not None
        if outcome.report.exit_code:
            text = failure_text(outcome.report, full=_verbose(self.config))
            raise _Failed(text.replace("--full", "pytest -v"))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, _Failed):
            return str(excinfo.value)
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.config.rootpath, None, f"convlint: {self.job.name}"


class _Failed(Exception):
    """A configured model did not pass; the text says why."""


def _jobs(config: pytest.Config) -> list[Job]:
    from convlint.errors import ConvlintError
    from convlint.settings.project import find_project

    named = config.getini("convlint_config")
    try:
        project = find_project(config.rootpath, config.rootpath / named if named else None)
        names = config.getini("convlint_models")
        jobs = [project.model(name) for name in names] if names else list(project.models)
    except ConvlintError as error:
        raise pytest.UsageError(f"convlint: {error}") from error
    if not jobs:
        raise pytest.UsageError(
            "--convlint: no model is configured in [[tool.convlint.models]] of pyproject.toml;"
            " `convlint init` starts a configuration."
        )
    precision = config.getoption("--convlint-parity")
    return [replace(job, options=replace(job.options, parity=precision)) for job in jobs]


def _session(config: pytest.Config) -> Session:
    """One session for all models of this process, made when the first is checked."""
    if _SESSION not in config.stash:
        from convlint.runs.cache.store import Cache, folder_of
        from convlint.runs.session import Session
        from convlint.settings.project import find_project

        named = config.getini("convlint_config")
        project = find_project(config.rootpath, config.rootpath / named if named else None)
        folder = None if config.getoption("--no-convlint-cache") else folder_of(project)
        config.stash[_SESSION] = Session(Cache(folder) if folder is not None else None, quiet=True)
    return config.stash[_SESSION]
