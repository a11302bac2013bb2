"""A policy file and bounds of evidence become a route with reasons.

The hold floor of :mod:`battlife.grading.floor` comes first and cannot be loosened; the
routes of the policy follow in order. Bounds are compared, never bare values.
"""

from battlife.grading.combining import combined
from battlife.grading.deciding import CLEARANCE_TEXT, grade
from battlife.grading.evidence import Evidence
from battlife.grading.findings import findings
from battlife.grading.hold import hold_evidence
from battlife.grading.loading import load_policy, parse_policy
from battlife.grading.policy import HoldLimit, Instrument, Policy, RouteRules, Rule

__all__ = [
    "CLEARANCE_TEXT",
    "Evidence",
    "HoldLimit",
    "Instrument",
    "Policy",
    "RouteRules",
    "Rule",
    "combined",
    "findings",
    "grade",
    "hold_evidence",
    "load_policy",
    "parse_policy",
]
