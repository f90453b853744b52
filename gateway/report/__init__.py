"""Athena's named queries, asked of the telemetry files of one machine. Needs the extra `report`."""

from gateway.report.agreement import agreement, changed_cases
from gateway.report.answers import QueryResult, answers
from gateway.report.examinations import kept_judgements, write_examinations
from gateway.report.model_health import drift
from gateway.report.page import page
from gateway.report.questions import Question, prices, questions
from gateway.report.reader_agreement import reader_agreement
from gateway.report.records import Records
from gateway.report.terminal import lines

__all__ = [
    "QueryResult",
    "Question",
    "Records",
    "agreement",
    "answers",
    "changed_cases",
    "drift",
    "kept_judgements",
    "lines",
    "page",
    "prices",
    "questions",
    "reader_agreement",
    "write_examinations",
]
