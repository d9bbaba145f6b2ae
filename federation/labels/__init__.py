"""Labels: what a joint model's scores mean for the label holder's own people, by rules that they wrote.

`parse` reads and checks a rules file, `apply` gives and refuses labels, `words` says why, in English and Chinese.
"""

from federation.labels.apply import Client, Given, Outcome, Reason, Refused, apply
from federation.labels.errors import LabelRulesInvalid, LabelRulesUnreadable
from federation.labels.parse import parse
from federation.labels.rules import RISK_CLASSES, Grade, Label, Rules, When

__all__ = [
    "RISK_CLASSES",
    "Client",
    "Given",
    "Grade",
    "Label",
    "LabelRulesInvalid",
    "LabelRulesUnreadable",
    "Outcome",
    "Reason",
    "Refused",
    "Rules",
    "When",
    "apply",
    "parse",
]
