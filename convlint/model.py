"""The nouns: plain frozen data that passes between the stages.

Standard library only. Nothing here prints, reads a file or imports torch; a stage takes some of
these, and returns others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from convlint.compression.result import Compression
    from convlint.parity.result import Parity

SCHEMA_VERSION = 1
"""Version of the JSON that :meth:`Report.to_dict` returns; grows when a field changes its meaning."""

Severity = Literal["error", "warning", "note"]
Convertible = Literal["yes", "no", "unknown"]
Frontend = Literal["export", "torchscript"]
FrontendChoice = Literal["export", "torchscript", "auto"]
TrialLevel = Literal["frontend", "passes", "full"]
TrialStatus = Literal["converted", "failed", "timeout", "crashed"]
Safety = Literal["safe", "unsafe", "retrain"]
Confidence = Literal["measured", "documented", "reported"]
Differs = Literal["", "float32", "float16"]
Origin = Literal["input", "parameter", "buffer", "constant", "computed"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class TensorMeta:
    """Shape and dtype of one tensor. A dimension is an int, or the text of a symbolic size."""

    shape: tuple[int | str, ...]
    dtype: str

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{'x'.join(map(str, self.shape))}]"


@dataclass(frozen=True, slots=True)
class TensorArg:
    """A tensor handed to an op: what it is, and where it comes from.

    ``const`` says that the tensor depends on no input of the model, so that a converter may know
    its value when it converts; ``value`` is the number that each of its entries is, where the capture
    could tell, and "varied" where they are known to differ.
    ``call`` names the op call that made it and ``output`` says which of its outputs it is.
    ``coreml`` is its dtype in Core ML where that is not the usual one for its dtype in PyTorch.
    ``fill`` is the largest number that the model itself writes into it (``torch.full``, ``masked_fill``).
    """

    name: str
    meta: TensorMeta
    origin: Origin
    const: bool
    producer: str = ""
    value: bool | int | float | str | None = None
    call: str = ""
    output: int = 0
    coreml: str = ""
    fill: float | None = None


@dataclass(frozen=True, slots=True)
class Site:
    """A line of source. ``line`` starts at 1; torch gives no columns."""

    path: str
    line: int
    source: str = ""
    function: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class OpCall:
    """One ATen call of the captured graph, with its arguments bound by schema name.

    ``args`` holds every argument of the schema, defaults filled in; tensors stand in it as
    :class:`TensorArg`, lists as tuples. ``given`` names the arguments that stand in the graph:
    the export door of coremltools counts them. ``positional`` is how many of those stand there
    without a keyword. ``outputs`` has one entry for each tensor that the op returns (None for an
    output that is not a tensor), ``used_outputs`` the indices that something reads.
    ``caller`` is the first line inside the user's own project, where ``site`` lies in a library.
    """

    op: str
    name: str
    args: Mapping[str, Any]
    given: tuple[str, ...]
    positional: int
    inputs: tuple[TensorMeta, ...]
    outputs: tuple[TensorMeta | None, ...]
    used_outputs: tuple[int, ...]
    users: tuple[str, ...]
    const: bool
    site: Site | None
    caller: Site | None = None
    module: str = ""
    module_type: str = ""

    @property
    def out(self) -> TensorMeta | None:
        return self.outputs[0] if self.outputs else None


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output of the captured model, under the name that it has in the graph.

    ``permuted``: its axes do not lie in memory in their order, as after a transposition. ``used``:
    some op reads this input. ``const``: this output depends on no input. ``same_as`` names the input,
    or the earlier output, whose values this output hands on untouched, once passes have
    taken away what changes nothing. ``flexible`` says how the sizes
    of this input were declared, ``shape_count`` how many shapes an enumeration has, and ``image`` the
    layout of a picture ("rgb", "bgr", "gray", "gray16"); ``normalisation`` is what was declared of its
    mean and std: "", "one scale" or "std for each channel". ``readers`` are the ops that read this input,
    ``producer`` is the op that made this output.
    ``path`` is how Python reaches it in the arguments or the result of ``forward``: ``['boxes'][0]``.
    ``initial`` is what a state holds before the first run: "zeros", "other", or "" where that is not known.
    """

    name: str
    kind: str
    meta: TensorMeta | None
    mutated: bool = False
    alias_of: str = ""
    permuted: bool = False
    used: bool = True
    const: bool = False
    same_as: str = ""
    flexible: Literal["", "range", "enumerated"] = ""
    shape_count: int = 1
    image: str = ""
    normalisation: Literal["", "one scale", "std for each channel"] = ""
    readers: tuple[str, ...] = ()
    producer: str = ""
    path: str = ""
    initial: Literal["", "zeros", "other"] = ""


@dataclass(frozen=True, slots=True)
class Graph:
    """The captured model: its op calls in order, its inputs and outputs."""

    calls: tuple[OpCall, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    parameter_count: int = 0
    parameter_bytes: int = 0

    @property
    def tensor_calls(self) -> tuple[OpCall, ...]:
        """The calls that give a tensor; the others compute sizes, or are assertions of torch."""
        return tuple(call for call in self.calls if call.out is not None)


@dataclass(frozen=True, slots=True)
class CaptureFailure:
    """What stopped one way of capturing, with the user's line where the exception names one.

    ``kind`` is a word of the closed vocabulary that capture rules match on.
    """

    method: str
    kind: str
    error_type: str
    message: str
    site: Site | None = None
    caller: Site | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A model inside a rule file that the rule must (bad) or must not (good) report.

    ``inputs`` and ``outputs`` are specs as on the command line (``1x3x8x8:float32``, ``y:image``);
    ``lines`` are the 1-based lines of ``code`` marked ``# <- CODE``.
    """

    code: str
    inputs: tuple[str, ...]
    lines: tuple[int, ...] = ()
    title: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LineEdit:
    """A replacement said on the user's own lines: ``old`` and ``new`` are whole lines of source.

    ``text`` takes the place of what stands from ``line`` and ``column`` to ``end_line`` and ``end_column``;
    both columns start at 1 and count characters.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Replacement:
    """Other code that coremltools converts.

    ``kind``: "rewrite" (the rule's before and after), "decomposition" (PyTorch's own),
    "upgrade" (a newer coremltools), "converter" (the user's own, to be filled in), "advice" (words
    only). ``proof`` says what was run to prove it on this model; empty where nothing was.

    In a rule, ``op`` names the ops that the code is for (patterns; all of the rule's where it is empty),
    ``words`` those of which the title alone is true, and ``where`` what must hold of the op that matched.
    In a finding all three are spent. ``general``: it holds for all sizes and ranks, and whatever stands for
    the names in ``before``. ``edit`` is the change on the line of the finding, where it can be said there:
    code without it is an example of the rule, and claims nothing about the user's line.
    """

    title: str
    kind: str = "rewrite"
    safety: Safety = "safe"
    before: str = ""
    after: str = ""
    rtol: float | None = None
    proof: str = ""
    op: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    where: tuple[Any, ...] = ()
    general: bool = False
    edit: LineEdit | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """When a rule fires: ``subject`` is what it looks at, ``names`` what that must be called
    (shell-style patterns), ``where`` conditions that must all hold."""

    subject: Literal["op", "capture", "input", "output", "model", "environment", "trial"]
    names: tuple[str, ...]
    where: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """One file under ``rules/``. ``message`` may name the subject's fields in braces; ``title`` has none.

    ``differs``: at this precision the converted bad examples compute something else, as running shows.
    ``aliases`` are codes and names under which users may still know it.
    """

    code: str
    name: str
    category: str
    severity: Severity
    message: str
    why: str
    confidence: Confidence
    sources: tuple[str, ...]
    applies: Mapping[str, str]
    matches: tuple[Match, ...]
    bad: tuple[Example, ...] = ()
    good: tuple[Example, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    path: str = ""
    differs: Differs = ""
    title: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule at one source line, with all the op calls of that line.

    ``trial`` tells what the trial said of the same ops: "failed", "converted", or "" without one.
    """

    rule: Rule
    severity: Severity
    message: str
    op: str
    site: Site | None
    calls: tuple[OpCall, ...] = ()
    replacements: tuple[Replacement, ...] = ()
    caller: Site | None = None
    module: str = ""
    trial: str = ""


@dataclass(frozen=True, slots=True)
class Suppression:
    """A finding that somebody decided not to be told: ``kind`` says where, ``reason`` why."""

    finding: Finding
    kind: Literal["comment", "module", "baseline"]
    reason: str = ""
    site: Site | None = None


@dataclass(frozen=True, slots=True)
class IgnoreComment:
    """A comment ``# convlint: ignore[...]`` on a line that this check traced.

    ``unused`` are those of its ``words`` that silenced nothing, though their rules were asked.
    """

    site: Site
    words: tuple[str, ...]
    reason: str = ""
    unused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialFailure:
    """One thing that coremltools refused.

    ``stage``: "input", "output", "frontend", "passes", "backend" or "process". ``follows`` names an earlier
    failing node whose stand-in this one consumed: it may be a consequence, not a cause.
    """

    op: str
    error: str
    error_type: str = ""
    site: Site | None = None
    caller: Site | None = None
    module: str = ""
    node: str = ""
    stage: str = "frontend"
    follows: str = ""


@dataclass(frozen=True, slots=True)
class Proviso:
    """What the model that a trial converted had otherwise than the user's, in the words of a sentence.

    ``kind``: "frozen" is something that follows from an input in PyTorch and is fixed in the program,
    "outputs" and "inputs" what had to be nested in another way.
    """

    kind: Literal["frozen", "outputs", "inputs"]
    text: str
    site: Site | None = None
    caller: Site | None = None
    module: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A real coremltools conversion of the untrained model, through one frontend.

    ``passed`` are the operations, without overload, of which a failed trial converted a call;
    ``traced`` are all operations of a trace: its tracer takes some calls apart, so that others are
    converted than Python made. ``provisos`` say where what was tried is another model than the user's.
    """

    status: TrialStatus
    failures: tuple[TrialFailure, ...] = ()
    seconds: float = 0.0
    level: TrialLevel = "passes"
    frontend: Frontend = "export"
    coremltools: str = ""
    detail: str = ""
    output: str = ""
    mil_ops: Mapping[str, int] = field(default_factory=dict)
    passed: tuple[str, ...] = ()
    traced: tuple[str, ...] = ()
    provisos: tuple[Proviso, ...] = ()


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Where the rules and coremltools say different things about one op or the whole model."""

    op: str
    static: str
    trial: str
    site: Site | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one check found. Has no truth value: "unknown" is neither yes nor no.

    ``asked`` names the rules that were asked, each by code, name and category, then by older codes and names.
    """

    model: str
    target: str
    frontend: FrontendChoice
    convertible: Convertible
    findings: tuple[Finding, ...] = ()
    suppressed: tuple[Suppression, ...] = ()
    ignores: tuple[IgnoreComment, ...] = ()
    trial: Trial | None = None
    trials: tuple[Trial, ...] = ()
    graph: Graph | None = None
    capture_method: str = ""
    capture_failures: tuple[CaptureFailure, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    fix_proof: str = ""
    parity: Parity | None = None
    compression: Compression | None = None
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    asked: tuple[tuple[str, ...], ...] = ()
    exit_code: int = 0

    def __bool__(self) -> bool:
        raise TypeError(
            "a convlint Report has no truth value, because a verdict may be unknown; "
            'compare report.convertible with "yes", "no" or "unknown"'
        )

    def __str__(self) -> str:
        from convlint.output.terminal import render_text

        return render_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as JSON-ready data, with its ``schema_version``."""
        from convlint.output.json import report_to_dict

        return report_to_dict(self)

    def errors(self) -> Iterator[Finding]:
        """The findings that stop a conversion."""
        return (finding for finding in self.findings if finding.severity == "error")
