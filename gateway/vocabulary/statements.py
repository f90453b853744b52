"""Findings in words for people: what a model suggests, never what a patient has."""

from __future__ import annotations


def finding_name(label: str) -> str:
    """Return a label as it stands in a sentence."""
    return label.replace("_", " ")


def statement(label: str, positive: bool | None) -> str:
    """Return the sentence that a finding comes to, without its full stop.

    Parameters
    ----------
    label
        Of the finding, as the contract has it.
    positive
        As the result has it; None where the model is not applicable.
    """
    if positive is None:
        return f"No verdict on {finding_name(label)}"
    return f"{'Suggests' if positive else 'Does not suggest'} {finding_name(label)}"
