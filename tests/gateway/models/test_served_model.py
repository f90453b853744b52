"""A served model accepts studies by its contract."""

import pytest

from gateway.errors import ContractError
from gateway.models.contracts import read_contract
from gateway.schemas.metadata import StudyMetadata
from tests.gateway.models.configs import config
from tests.support.models import contract


@pytest.mark.parametrize(
    ("fields", "accepted"),
    [
        ({}, True),
        ({"modality": "DX", "body_part": "CHEST"}, True),
        ({"modality": "X-RAY"}, True),
        ({"view": "LATERAL"}, False),
        ({"modality": "MG"}, False),
        ({"body_part": "HAND"}, False),
    ],
)
def test_field_that_is_not_given_excludes_nothing(fields: dict[str, str], accepted: bool):
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"} | fields
    metadata = StudyMetadata.model_validate(document)
    assert read_contract("x", "1", config(contract())).accepts(metadata) is accepted
    everything = contract({"accepts": None})
    assert read_contract("x", "1", config(everything)).accepts(metadata)


def test_a_view_that_is_not_given_is_excluded_where_views_are_named():
    metadata = StudyMetadata.model_validate({"study_id": "S1", "timestamp": "2026-01-31T12:00:00Z"})
    model = read_contract("x", "1", config(contract()))
    assert (model.accepts(metadata), model.may_accept(metadata)) == (False, True)
    any_view = contract({"accepts": {"views": []}})
    assert read_contract("x", "1", config(any_view)).accepts(metadata)


def test_ages_that_hold_none_are_no_contract():
    with pytest.raises(ContractError, match="'below' must be above 'from'"):
        read_contract(
            "x", "1", config(contract({"accepts": {"ages_years": {"from": 6, "below": 6}}}))
        )
