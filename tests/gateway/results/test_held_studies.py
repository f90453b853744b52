"""Results of a study that ends incomplete are held back until an operator decides."""

import datetime as dt
import json
from pathlib import Path

import pytest

from gateway.errors import ParkedItemNotFoundError
from gateway.problems import problem_of
from gateway.results.completion import Arrival, arrived
from gateway.results.documents import Completion, StudyRecord
from gateway.results.held_studies import HeldStudies
from gateway.results.study_documents import StudyDocuments
from gateway.schemas.parked import ParkedItem
from gateway.schemas.routing_rules import RuleCompletion
from gateway.settings import CompletionSettings, RoutingSettings
from gateway.triton.embedded import EmbeddedTriton
from gateway.work.keys import WorkId
from gateway.work.parked import Parking
from tests.gateway.console.conftest import with_console
from tests.support.completion import Promised, completions_on
from tests.support.gateway import metadata, multipart, running_gateway, settings_for, until
from tests.support.models import flat_png
from tests.support.readings import reading
from tests.support.store import MemoryStore, MortalStore

LONG_AGO = dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)
RULE = RuleCompletion.model_validate({"expected_views": ["PA", "LATERAL"], "if_incomplete": "hold"})
PA, LATERAL = (
    reading(number, metadata={"view": view}) for number, view in ((1, "PA"), (2, "LATERAL"))
)


class Store:
    """A store to which images of one study come, and an operator's gateway on it."""

    def __init__(self) -> None:
        self.objects = MemoryStore()
        self.promises = Promised()
        self.parking = Parking(self.objects, problem_of)
        self.documents = StudyDocuments(self.objects)
        self.held = HeldStudies(self.documents, self.parking)
        self.held.follow(self.promises)

    async def come(self, at: dt.datetime, **news: object) -> None:
        """Accept and process an image."""
        arrival = Arrival(WorkId.new("S1", at), at, None, RULE)
        await completions_on(self.objects).open(arrival)

        def change(record: StudyRecord | None) -> StudyRecord:
            record = record or StudyRecord.begun("S1")
            return record.changed(completion=arrived(record, arrival, has_entry=True), **news)

        await self.documents.change("S1", change)

    async def sweep(self, objects: MemoryStore | None = None) -> None:
        completions = completions_on(objects or self.objects)
        completions.follow(self.promises)
        await completions.sweep()

    async def completion(self) -> Completion:
        record = (await self.documents.read("S1")).record
        assert record is not None
        assert record.completion is not None
        return record.completion

    async def items(self) -> list[ParkedItem]:
        return await self.parking.items(after="", limit=None)


@pytest.fixture
async def store() -> Store:
    store = Store()
    await store.come(LONG_AGO, readings=(PA,))
    return store


async def test_a_held_study_is_parked_until_it_is_delivered_as_it_is(store: Store):
    await store.sweep()
    [item] = await store.items()
    assert item.problem.type == "urn:radstream:problem:study-incomplete"
    assert "view LATERAL" in (item.problem.detail or "")
    assert (store.held.owns(item), store.held.study_of(item)) == (True, "S1")
    assert store.promises.studies == []
    assert (await store.completion()).held
    await store.held.retry(item)
    assert store.promises.studies == ["S1"]
    assert not (await store.completion()).held
    assert await store.items() == []
    with pytest.raises(ParkedItemNotFoundError):
        await store.parking.item(item.id)


async def test_of_a_discarded_one_nothing_is_delivered(store: Store):
    await store.sweep()
    [item] = await store.items()
    await store.held.discard(item)
    completion = await store.completion()
    assert (completion.held, completion.delivered) == (False, True)
    await store.sweep()
    assert store.promises.studies == []


async def test_the_missing_image_lets_it_go(store: Store):
    await store.sweep()
    await store.come(LONG_AGO + dt.timedelta(minutes=5), readings=(PA, LATERAL))
    await store.sweep()
    completion = await store.completion()
    assert (completion.held, completion.missing_views, completion.reopened) == (False, (), 1)
    assert await store.items() == []
    assert store.promises.studies == ["S1"]


@pytest.mark.parametrize("dies_at", range(6))
async def test_none_is_held_without_an_item_whatever_dies(store: Store, dies_at: int):
    dying = MortalStore(store.objects.objects, dies_at)
    await dying.kills(store.sweep(dying))
    await store.sweep()
    assert len(await store.items()) == 1
    assert (await store.completion()).held
    assert store.promises.studies == []


async def test_an_operator_sees_what_is_missing_and_lets_it_go(
    triton: EmbeddedTriton, tmp_path: Path
):
    file = tmp_path / "routing.json"
    completion = {"expected_views": ["AP", "LATERAL"], "if_incomplete": "hold"}
    document = {"schema": "radstream.routing/1", "otherwise": {"completion": completion}}
    file.write_text(json.dumps(document))
    settings = with_console(
        settings_for(triton.grpc_url, tmp_path / "store"),
        routing=RoutingSettings(file=file),
        completion=CompletionSettings(quiet_s=1, routes=("rest",)),
    )
    async with running_gateway(settings) as gateway:
        study = metadata(view="AP")
        await gateway.client.post(
            "/v1/studies", **multipart(study, flat_png(153)), headers={"Prefer": "respond-async"}
        )

        async def is_parked() -> bool:
            return bool((await gateway.client.get("/v1/parked")).json()["parked"])

        await until(is_parked, timeout_s=120)
        [item] = (await gateway.client.get("/v1/parked")).json()["parked"]
        path = f"/v1/studies/{study['study_id']}"
        told = (await gateway.client.get(path)).json()["completion"]
        assert (told["missing_views"], told["held"]) == (["LATERAL"], True)
        page = await gateway.client.get(f"/console/studies/{study['study_id']}")
        assert "Missing views: LATERAL" in page.text
        retried = await gateway.client.post(f"/v1/parked/{item['id']}/retry")
        assert retried.json()["outcome"] == "pending", retried.text
        told = (await gateway.client.get(path)).json()["completion"]
        assert (told["missing_views"], told.get("held")) == (["LATERAL"], None)
        assert await gateway.metric("radstream_studies_incomplete_total", action="hold") == 1
