"""The nouns: plain frozen data that passes between the stages, and their summaries in words.

Nothing here prints, reads a file or imports torch. A stage takes some nouns and returns others.
"""

from convlint.model.findings import CaptureFailure as CaptureFailure
from convlint.model.findings import Disagreement as Disagreement
from convlint.model.findings import Finding as Finding
from convlint.model.findings import Frontend as Frontend
from convlint.model.findings import IgnoreComment as IgnoreComment
from convlint.model.findings import Proviso as Proviso
from convlint.model.findings import Subject as Subject
from convlint.model.findings import Suppression as Suppression
from convlint.model.findings import Trial as Trial
from convlint.model.findings import TrialFailure as TrialFailure
from convlint.model.findings import TrialLevel as TrialLevel
from convlint.model.findings import TrialStatus as TrialStatus
from convlint.model.graph import Graph as Graph
from convlint.model.graph import OpCall as OpCall
from convlint.model.graph import Origin as Origin
from convlint.model.graph import Port as Port
from convlint.model.graph import Site as Site
from convlint.model.graph import TensorArg as TensorArg
from convlint.model.graph import TensorMeta as TensorMeta
from convlint.model.plain import SCHEMA_VERSION as SCHEMA_VERSION
from convlint.model.report import Convertible as Convertible
from convlint.model.report import FrontendChoice as FrontendChoice
from convlint.model.report import Report as Report
from convlint.model.rule import OFFERS as OFFERS
from convlint.model.rule import SEVERITIES as SEVERITIES
from convlint.model.rule import Confidence as Confidence
from convlint.model.rule import Differs as Differs
from convlint.model.rule import Example as Example
from convlint.model.rule import LineEdit as LineEdit
from convlint.model.rule import Match as Match
from convlint.model.rule import Offer as Offer
from convlint.model.rule import Replacement as Replacement
from convlint.model.rule import Rule as Rule
from convlint.model.rule import Safety as Safety
from convlint.model.rule import Severity as Severity
from convlint.model.rule import SubjectKind as SubjectKind
