"""Links begin with the prefix of a proxy, and without one are as they are stored."""

from gateway.results.links import Links
from gateway.schemas.events import Delivery, Outcome

DELIVERY = Delivery(outcome=Outcome.PROCESSED, detail="", study="/v1/studies/S1")


def test_paths_have_the_prefix():
    links = Links("/radstream")
    assert links.path("/v1/studies") == "/radstream/v1/studies"
    assert links.path(None) is None
    assert links.delivery(DELIVERY).study == "/radstream/v1/studies/S1"


def test_without_a_prefix_paths_stay():
    assert Links().path("/v1/studies") == "/v1/studies"
    assert Links().delivery(DELIVERY) == DELIVERY
