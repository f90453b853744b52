"""Outcomes of single images."""

import pytest

from gateway.errors import (
    Fault,
    InvalidMetadataError,
)
from gateway.routing.in_force import Routing
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Outcome
from gateway.schemas.routing import RoutingDocument
from gateway.studies.answer import Answer
from gateway.studies.study import Study
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png
from tests.support.pairing import (
    IMAGE,
    PNG,
    SIDECAR,
    CountingPipeline,
    DropFolderGateway,
    Readings,
    gateway_on,
    left_of,
    no_turn,
    problem,
    put,
    sidecar,
)
from tests.support.store import MemoryStore


async def test_object_that_was_taken_away_is_ignored(
    pairing: DropFolderGateway, dropped: MemoryStore
):
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.IGNORED
    assert (await pairing.deliver("images/S1/b.json")).outcome is Outcome.IGNORED


async def test_dicom_that_lacks_its_view_waits_for_a_sidecar(
    pairing: DropFolderGateway, objects: MemoryStore, dropped: MemoryStore, readings: Readings
):
    # As the choice of a model raises it, where each model was made for some views.
    readings.errors = [InvalidMetadataError((Fault("/view", "is required"),))]
    dropped.objects["images/S1/a.dcm"] = file_of(radiograph(ViewPosition=None))
    assert (await pairing.deliver("images/S1/a.dcm")).outcome is Outcome.WAITING
    put(dropped, a_json=sidecar("S1"))
    assert (await pairing.deliver(SIDECAR)).outcome is Outcome.PROCESSED
    assert left_of(objects) == []


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"a_json": b"{"}, "invalid-metadata"),
        ({"a_json": b" " * 1001}, "object-too-large"),
        ({"a_png": b" " * 10_001}, "object-too-large"),
        ({"a_dcm": b"\0" * 128 + b"DICM" + b"\xff" * 100}, "unreadable-image"),
    ],
    ids=["document", "long document", "long image", "DICOM"],
)
async def test_what_cannot_be_read_is_parked_with_its_problem(
    pairing: DropFolderGateway,
    objects: MemoryStore,
    dropped: MemoryStore,
    files: dict[str, bytes],
    kind: str,
):
    put(dropped, **{"a_json": sidecar("S1"), "a_png": PNG} | files)
    key = next(key for key in dropped.objects if key.endswith(("dcm", "png")))
    key = "images/S1/a.dcm" if "a_dcm" in files else key
    answer = await pairing.deliver(key)
    assert (answer.outcome, problem(answer)) == (Outcome.PARKED, kind)
    [parked] = left_of(objects)
    assert parked == f"parked/{answer.parked[0].id}.json"
    assert PNG not in objects.objects.values()


async def test_same_bytes_under_the_same_key_are_a_duplicate_and_others_another_image(
    pairing: DropFolderGateway, dropped: MemoryStore, readings: Readings
):
    put(dropped, a_png=PNG, a_json=sidecar("S1"))
    await pairing.deliver(IMAGE)
    put(dropped, a_png=PNG)
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.DUPLICATE
    put(dropped, a_png=flat_png(100))
    assert (await pairing.deliver(IMAGE)).outcome is Outcome.PROCESSED
    assert list(readings.inferences.values()) == [1, 1]


class Callers(CountingPipeline):
    """Remembers under which name each study came."""

    def __init__(self, objects: MemoryStore) -> None:
        super().__init__(objects, Readings(), no_turn)
        self.names: list[str] = []

    async def process(self, study: Study, deadline: Deadline, *, awaited: bool = False) -> Answer:
        self.names.append(study.caller)
        return await super().process(study, deadline, awaited=awaited)


async def test_files_come_from_the_sender_that_their_path_names(
    objects: MemoryStore, dropped: MemoryStore
):
    senders = [{"name": "hospital-a", "prefix": "A-"}]
    document = {"schema": "radstream.routing/1", "senders": senders}
    callers = Callers(objects)
    routing = Routing(RoutingDocument.model_validate(document))
    gateway = gateway_on(objects, dropped, Readings(), pipeline=callers, routing=routing)
    for study_id in ("A-1", "B-1"):
        dropped.objects[f"images/{study_id}/a.dcm"] = file_of(radiograph())
        await gateway.deliver(f"images/{study_id}/a.dcm")
    assert callers.names == ["hospital-a", "dropfolder"]
