"""Notices of studies: without findings, the same in every repetition."""

import datetime as dt
import json

from gateway.renderings.notice import deletion_notice, study_notice
from gateway.results.links import Links
from tests.support.studies import image, study

LINKS = Links("/radstream")
AT = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)


def test_a_notice_names_the_study_and_holds_no_finding():
    delivery, data = study_notice(study(image(1)), LINKS, "orders", "R1")
    body = json.loads(data)
    assert body == {
        "schema": "radstream.callback/1",
        "delivery": delivery,
        "study_id": body["study_id"],
        "study": f"/radstream/v1/studies/{body['study_id']}",
        "status": "completed",
    }


def test_each_state_and_each_destination_has_a_notice_of_its_own():
    found = study(image(1))
    made = [
        study_notice(found, LINKS, "orders", "R1"),
        study_notice(found, LINKS, "orders", "R2"),
        study_notice(found, LINKS, "other", "R1"),
        deletion_notice(found.study_id, LINKS, "orders", AT),
        deletion_notice(found.study_id, LINKS, "orders", AT + dt.timedelta(seconds=1)),
    ]
    assert len({delivery for delivery, _ in made}) == len(made)
    assert study_notice(found, LINKS, "orders", "R1") == made[0]


def test_a_deletion_is_told():
    _, data = deletion_notice("S1", LINKS, "orders", AT)
    assert json.loads(data)["status"] == "deleted"
