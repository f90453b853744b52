"""The one place that turns an error into a status and problem+json (RFC 9457)."""

from gateway.problems.answers import install, internal_error, response_of
from gateway.problems.kinds import KINDS, all_kinds, kind_of, problem_of
from gateway.problems.openapi import add_documented, documented

__all__ = [
    "KINDS",
    "add_documented",
    "all_kinds",
    "documented",
    "install",
    "internal_error",
    "kind_of",
    "problem_of",
    "response_of",
]
