"""Findings in sentences."""

import pytest

from gateway.vocabulary.statements import statement


@pytest.mark.parametrize(
    ("positive", "said"),
    [
        (True, "Suggests pleural effusion"),
        (False, "Does not suggest pleural effusion"),
        (None, "No verdict on pleural effusion"),
    ],
)
def test_a_finding_is_a_suggestion(positive: bool | None, said: str):
    assert statement("pleural_effusion", positive) == said
