"""What a live gateway tells telemetry of the studies sent to it, and what it does not."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from gateway import __version__
from gateway.errors import DeadlineExceededError
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import all_kinds
from gateway.schemas.telemetry import TelemetryEvent, json_schema
from gateway.studies.study import Route
from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.studies.piped import piped
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.models import flat_png
from tests.support.store import MemoryStore
from tests.support.telemetry import event, events_in, readings_in

KEY = "a key of more than thirty-two characters"
ALL = ["validate", "admit", "decode", "tensor", "infer", "store", "total"]


@pytest.fixture(scope="module")
async def live(
    triton: EmbeddedTriton, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LiveGateway]:
    """A gateway whose pseudonyms can be checked."""
    settings = settings_for(triton.grpc_url, tmp_path_factory.mktemp("live") / "store")
    telemetry = settings.telemetry.model_copy(update={"study_ref_key": SecretStr(KEY)})
    async with running_gateway(settings.model_copy(update={"telemetry": telemetry})) as live:
        await until(live.is_ready)
        yield live


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


def events_of(live: LiveGateway, study_id: str) -> list[dict[str, Any]]:
    study_ref = Pseudonyms(KEY).study_ref(study_id)
    return [
        event
        for event in events_in(live.settings.telemetry.folder)
        if event["study_ref"] == study_ref
    ]


async def told(live: LiveGateway, study_id: str) -> list[dict[str, Any]]:
    """The events of a study, once the last of them has come."""
    await until(lambda: any(each["stage"] == "total" for each in events_of(live, study_id)))
    return events_of(live, study_id)


async def post(live: LiveGateway, document: Any, *images: bytes) -> httpx.Response:
    return await live.client.post("/v1/studies", **multipart(document, *images))


async def test_a_study_that_is_read_tells_every_stage(live: LiveGateway):
    document = metadata(modality="DX", body_part="CHEST")
    image = flat_png(77, rows=20, columns=30)
    assert (await post(live, document, image)).is_success
    events = await told(live, document["study_id"])
    assert [event["stage"] for event in events] == ALL
    assert {event["status"] for event in events} == {"success"}
    assert {event["error_code"] for event in events} == {None}
    assert len({event["event_id"] for event in events}) == len(ALL)
    same = {
        "modality": "DX",
        "body_part": "CHEST",
        "view": "AP",
        "route": "rest",
        "model": "brightness",
        "model_version": "1",
        "images": 1,
        "not_processed": 0,
        "image_bytes": len(image),
        "rows": 20,
        "columns": 30,
        "gateway_version": __version__,
        "instance": socket.gethostname(),
    }
    for each in events:
        jsonschema.validate(each, json_schema())
        assert same.items() <= each.items()
    parts = sum(event["latency_ms"] for event in events[:-1])
    assert 0 < parts <= events[-1]["latency_ms"]
    times = [event["occurred_at"] for event in events]
    assert times[-1] == max(times)


async def test_a_replayed_study_tells_the_stages_it_went_through(live: LiveGateway):
    document = metadata()
    for _ in range(2):
        assert (await post(live, document, flat_png(78))).is_success
    await until(lambda: len(events_of(live, document["study_id"])) > len(ALL) + 1)
    again = events_of(live, document["study_id"])[len(ALL) :]
    assert [event["stage"] for event in again] == ["validate", "admit", "store", "total"]
    assert again[-1]["rows"] == 32


async def test_the_trace_of_the_request_is_told(live: LiveGateway):
    document, trace_id = metadata(), "0af7651916cd43dd8448eb211c80319c"
    await live.client.post(
        "/v1/studies",
        **multipart(document, flat_png(79)),
        headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"},
    )
    assert {event["trace_id"] for event in await told(live, document["study_id"])} == {trace_id}


async def test_what_the_images_do_not_share_is_left_open(live: LiveGateway):
    pair = [
        file_of(radiograph(StudyInstanceUID="1.2.3", ViewPosition=view)) for view in ("AP", "PA")
    ]
    document = metadata(study_id="two-sizes")
    await post(live, document, flat_png(1, rows=8, columns=8), flat_png(2, rows=8, columns=9))
    [*_, total] = await told(live, "two-sizes")
    assert (total["rows"], total["columns"], total["view"]) == (None, None, "AP")
    await post(live, None, *pair)
    [*_, total] = await told(live, "1.2.3")
    assert total["view"] is None
    assert total["modality"] == "DX"


@pytest.mark.parametrize(
    ("changes", "image", "stages", "error_code"),
    [
        ({"image_size": {"width": 0}}, flat_png(3), ["validate", "total"], "invalid-metadata"),
        (
            {"model": "nobody"},
            flat_png(3),
            ["validate", "admit", "total"],
            "unknown-model",
        ),
        ({}, b"no image", ["validate", "admit", "decode", "total"], "unsupported-image"),
        ({}, flat_png(3)[:-9], ["validate", "admit", "decode", "total"], "unreadable-image"),
        (
            {"image_size": {"width": 9, "height": 9}},
            flat_png(3),
            ["validate", "admit", "decode", "total"],
            "invalid-metadata",
        ),
    ],
)
async def test_a_refused_study_tells_where_and_why(
    live: LiveGateway, changes: dict[str, Any], image: bytes, stages: list[str], error_code: str
):
    document = metadata(**changes)
    answer = await post(live, document, image)
    assert answer.json()["type"].endswith(error_code)
    events = await told(live, document["study_id"])
    assert [event["stage"] for event in events] == stages
    for each in events[-2:]:
        assert (each["status"], each["error_code"]) == ("failed", error_code)
    assert {event["status"] for event in events[:-2]} <= {"success"}
    assert {event["image_bytes"] for event in events} == {len(image)}


async def test_a_dicom_study_refused_at_the_door_is_known_by_its_uid(live: LiveGateway):
    dataset = radiograph(ViewPosition="AP", PatientOrientation=["A", "F"])
    assert (await post(live, None, file_of(dataset))).is_client_error
    events = await told(live, dataset.StudyInstanceUID)
    assert [event["stage"] for event in events] == ["validate", "total"]


async def test_a_study_nobody_can_name_tells_nothing(live: LiveGateway):
    await post(live, metadata(), flat_png(5))
    await until(lambda: _all_sent(live))
    before = len(events_in(live.settings.telemetry.folder))
    for document in (metadata(study_id="Erika Mustermann"), b"{", metadata(study_id=None)):
        assert (await post(live, document, flat_png(4))).is_client_error
    assert len(events_in(live.settings.telemetry.folder)) == before
    assert await _all_sent(live)


async def _all_sent(live: LiveGateway) -> bool:
    queued = await live.metric("radstream_telemetry_queued_total")
    return queued == await live.metric("radstream_telemetry_sent_total")


async def test_a_reading_is_told_with_a_keyed_hash_of_its_device(live: LiveGateway):
    name = "MUSTERMANN"
    names = dict.fromkeys(
        ("PatientName", "PatientID", "StationName", "Manufacturer", "InstitutionName"), name
    )
    dataset = radiograph(PatientSex="F", ExposureIndex="250", **names)
    assert (await post(live, None, file_of(dataset))).is_success
    study_ref = Pseudonyms(KEY).study_ref(dataset.StudyInstanceUID)
    folder = live.settings.telemetry.folder
    await until(lambda: study_ref in {each["study_ref"] for each in readings_in(folder)})
    [reading] = [each for each in readings_in(folder) if each["study_ref"] == study_ref]
    assert (reading["sex"], reading["exposure_index"]) == ("F", 250.0)
    assert reading["device"] == Pseudonyms(KEY).device_ref(f"{name}\n\n\n{name}")
    assert name not in json.dumps(reading).upper()


async def test_a_caller_that_leaves_is_told(live: LiveGateway, triton: EmbeddedTriton):
    document = metadata()
    with suspended(triton):
        task = asyncio.create_task(post(live, document, flat_png(81)))
        running = "radstream_studies_in_flight"
        await until(lambda: _is_at(live, running))
        task.cancel()
        [*_, total] = await told(live, document["study_id"])
    assert (total["status"], total["error_code"]) == ("failed", "caller-gone")


async def _is_at(live: LiveGateway, name: str) -> bool:
    return await live.metric(name) == 1


async def test_nothing_a_sender_wrote_is_told(live: LiveGateway):
    mark, number = "MUSTERMANN", "4711081599"
    texts = {
        "patient_id": f"{mark}^{number}",
        "accession_number": number,
        "annotations": [mark, {"name": number}],
        "modality": mark,
        "body_part": f"{mark} ERIKA",
        mark: number,
    }
    studies = [metadata(study_id=f"{mark}.{number}"), metadata(**texts, study_id=f"{mark}-2")]
    studies += [
        metadata(**{name: text}, study_id=f"{mark}-3{name}")
        for name, text in texts.items()
        if name != mark
    ]
    studies += [metadata(model=f"{mark}{number}", study_id=f"{mark}-4")]
    for document in studies:
        await post(live, document, flat_png(82))
        await told(live, document["study_id"])
    dataset = radiograph(
        PatientName=f"{mark}^Erika",
        PatientID=number,
        BodyPartExamined=mark,
        StudyDescription=mark,
        AccessionNumber=number,
    )
    await post(live, None, file_of(dataset))
    await told(live, dataset.StudyInstanceUID)
    files = list(live.settings.telemetry.folder.iterdir())
    everything = "".join(file.read_text() + file.name for file in files).upper()
    assert '"VIEW":"AP"' in everything
    for marked in (mark, number, "ERIKA", dataset.StudyInstanceUID):
        assert marked not in everything


async def test_a_deadline_that_passes_is_an_error_of_its_stage(
    triton: EmbeddedTriton, objects: MemoryStore
):
    async with piped(triton.grpc_url, objects) as parts:
        with suspended(triton), pytest.raises(DeadlineExceededError):
            await parts.read(flat_png(9), seconds=0.5)
    *_, stage, total = parts.told.events
    assert (stage.stage, stage.status, stage.error_code) == ("infer", "error", "deadline-exceeded")
    assert (total.stage, total.status) == ("total", "error")


async def test_a_bug_is_an_error_called_internal(
    triton: EmbeddedTriton, objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    def break_down(_metadata: object) -> None:
        raise ValueError("a bug")

    async with piped(triton.grpc_url, objects) as parts:
        monkeypatch.setattr(parts.models, "select", break_down)
        with pytest.raises(ValueError, match="a bug"):
            await parts.read(flat_png(9), study_id="S9")
    assert [(event.stage, event.error_code) for event in parts.told.events] == [
        ("validate", None),
        ("admit", "internal"),
        ("total", "internal"),
    ]


async def test_no_study_ends_for_its_telemetry(triton: EmbeddedTriton, objects: MemoryStore):
    def refuse(_event: TelemetryEvent) -> None:
        raise RuntimeError

    async with piped(triton.grpc_url, objects) as parts:
        parts.told._emit = refuse
        with capture_logs() as logs:
            assert (await parts.read(flat_png(9))).result.images
    assert "telemetry.unexpected_error" in [entry["event"] for entry in logs]


@pytest.mark.parametrize("name", [kind.name for kind in all_kinds()])
def test_every_kind_of_problem_makes_an_error_code(name: str):
    assert event(error_code=name).error_code == name


@pytest.mark.parametrize("route", Route)
def test_every_way_in_makes_a_route(route: Route):
    assert event(route=route).route == route
