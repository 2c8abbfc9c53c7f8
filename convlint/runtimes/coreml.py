"""The two frontends of coremltools, through convlint's own trial and executor."""

from __future__ import annotations

from convlint.capture.limits import REAL_WEIGHTS_LIMIT
from convlint.checking.frontends import Frontends
from convlint.checking.options import Options
from convlint.model import Frontend
from convlint.model.runtimes import RefusedOp, Tried
from convlint.runtimes.subject import RuntimeSubject, size_of
from convlint.text import one_line


def try_coreml_export(subject: RuntimeSubject) -> Tried:
    """``torch.export`` and ``coremltools.convert``."""
    return _coreml(subject, "export")


def try_coreml_torchscript(subject: RuntimeSubject) -> Tried:
    """``torch.jit.trace`` and ``coremltools.convert``."""
    return _coreml(subject, "torchscript")


def _coreml(subject: RuntimeSubject, frontend: Frontend) -> Tried:
    from convlint.capture.methods import capture
    from convlint.numerics.parity import compare

    package = subject.folder / f"{frontend}.mlpackage"
    options = Options(
        target=subject.target,
        frontend=frontend,
        trial="full",
        timeout=subject.timeout,
        output=str(package),
    )
    captured = capture(subject.source, subject.timeout, REAL_WEIGHTS_LIMIT)
    notes: list[str] = []
    trials = Frontends(subject.source, options, lambda stage: None, notes).trials(captured)
    if not trials:
        failures = [f"{each.method}: {each.message}" for each in captured.failures]
        return Tried(error=one_line("; ".join(notes or failures))[:300] or "nothing could be exported")
    (trial,) = trials
    if trial.status != "converted":
        causes = [failure for failure in trial.failures if not failure.follows]
        blockers = dict.fromkeys(RefusedOp(each.op, each.caller or each.site) for each in causes if each.op)
        error = one_line(causes[0].error if causes else trial.detail)[:300]
        return Tried(blockers=tuple(blockers), error=error)
    parity = compare(subject.source, subject.target, "float32", frontend=frontend, timeout=subject.timeout)
    if parity.status == "unsupported":
        return Tried(size_of(package), not_run=one_line(parity.detail)[:200])
    remark = "" if parity.status == "equal" else f"the program {parity.status} from PyTorch"
    return Tried(size_of(package), parity.max_rel_error, remark=remark)
