"""A caller in metrics and telemetry: by the operator's name for it, or by none of its own."""

import pytest

from gateway.access.callers import ANONYMOUS, Caller, CallerKind, Scope


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (CallerKind.KEY, "Erika"),
        (CallerKind.SENDER, "Erika"),
        (CallerKind.TOKEN, "oidc"),
        (CallerKind.GATEWAY, "gateway"),
        (CallerKind.ANONYMOUS, "anonymous"),
    ],
)
def test_only_names_that_an_operator_gave_are_labels(kind: CallerKind, label: str):
    assert Caller("Erika", frozenset(), kind).label == label


def test_anonymous_callers_may_do_everything_but_correct_who_a_study_is_about():
    assert ANONYMOUS.scopes == set(Scope) - {Scope.STUDIES_CORRECT}
