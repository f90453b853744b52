"""Withdrawals: what destinations have of a study is withdrawn from them once it is deleted."""

import datetime as dt
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from gateway.delivery.transport import Rendering
from gateway.errors import DeliveryRefusedError, DeliveryUnansweredError
from gateway.results.documents import DeliveryItem, StudyRecord
from gateway.results.keys import rest_folder, withdrawal_id, withdrawn_study_key
from gateway.results.tombstone import Closing, Reason
from gateway.runtime.deadline import Deadline
from gateway.schemas.result import DeliveryState, RenderingKind
from gateway.schemas.routing import RoutingDocument
from gateway.storage.folder import FolderStore
from gateway.storage.layout import DELIVERIES, WITHDRAWALS
from gateway.work.documents import PendingDelivery
from gateway.work.keys import WorkId
from tests.gateway.renderings.test_reports import add
from tests.preprocess import dicoms
from tests.support.delivery import NOW, Gateway, Peer, dicom, routing
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import until
from tests.support.store import MemoryStore, MortalStore

SR, SC = RenderingKind.STRUCTURED_REPORT, RenderingKind.SECONDARY_CAPTURE
NOTE, FHIR, ORU = RenderingKind.REJECTION_NOTE, RenderingKind.FHIR, RenderingKind.ORU
PACS = dicom("pacs", 1, renderings=["structured-report", "secondary-capture", "rejection-note"])
RECORD = {"name": "record", "kind": "fhir", "url": "https://fhir.example.org/r4"}
RIS = {"name": "ris", "kind": "hl7", "host": "ris.example.org", "port": 2575}
ORDERS = {
    "name": "orders",
    "kind": "webhook",
    "url": "https://orders.example.org/",
    "secret_file": "/run/secret",
}
ALL, ONE = routing(PACS, RECORD, RIS, ORDERS), routing(RIS)
STATE = DeliveryState


class Listener(Peer):
    """A peer that keeps what it is sent."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(errors=list(errors))
        self.got: list[Rendering] = []

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        await super().send(rendering, deadline)
        self.got.append(rendering)


def peers() -> dict[str, Listener]:
    return {name: Listener() for name in ("pacs", "record", "ris", "orders")}


def told(destination: str, kind: RenderingKind, *uids: str, **changes: Any) -> DeliveryItem:
    return DeliveryItem(
        **{
            "id": f"20260131T120000000000Z-{destination}{kind}",
            "destination": destination,
            "rendering": kind,
            "revision": "",
            "state": STATE.ACKNOWLEDGED,
            "at": NOW,
            "objects": uids,
        }
        | changes
    )


BROUGHT = (
    told("pacs", SR, "2.25.1"),
    told("pacs", SC, "2.25.2"),
    told("record", FHIR, "urn:uuid:1"),
    told("ris", ORU, "CONTROL"),
    told("orders", RenderingKind.NOTICE, "D-1"),
)


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


def gateway_on(
    objects: MemoryStore, document: RoutingDocument, to: Mapping[str, Peer] | None = None
) -> Gateway:
    return Gateway(objects, document, to, kinds=tuple(RenderingKind))


IMAGE = file_of(radiograph(StudyInstanceUID="1.2.3", PatientID="P-7"))


async def brought(gateway: Gateway, *items: DeliveryItem, image: bytes = IMAGE) -> None:
    """Have the study S1 of a radiograph, of which destinations have something."""
    await add(gateway.results, image)
    await gateway.documents.change_known("S1", lambda record: record.changed(deliveries=items))


async def are_over(gateway: Gateway) -> bool:
    await gateway.withdrawals.sweep()
    return not await gateway.objects.keys(WITHDRAWALS)


def kinds(peer: Listener) -> list[RenderingKind]:
    return [rendering.kind for rendering in peer.got]


def read(rendering: Rendering) -> Dataset:
    return dcmread(BytesIO(rendering.data))


async def test_each_destination_is_told_what_it_has_of_a_deleted_study(objects: MemoryStore):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, *BROUGHT)
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        assert not [key for key in objects.objects if key.startswith("results/S1/images/")]
        await until(lambda: are_over(gateway))
    assert kinds(to["pacs"]) == [SR, NOTE]
    report, note = map(read, to["pacs"].got)
    assert (report.PatientID, note.PatientID) == ("P-7", "P-7")
    assert b"Withdrawn: the study was deleted." in to["pacs"].got[0].data
    [study] = report.PredecessorDocumentsSequence
    assert "2.25.1" in str(study)
    assert "2.25.1" in str(note.CurrentRequestedProcedureEvidenceSequence)
    assert note.ConceptNameCodeSequence[0].CodeValue == "113037"
    [transaction] = [json.loads(each.data) for each in to["record"].got]
    assert transaction["entry"][0]["resource"]["status"] == "entered-in-error"
    [message] = [each.data for each in to["ris"].got]
    assert b"|||||D|||" in message
    assert b"|||||P|||" not in message
    [notice] = [json.loads(each.data) for each in to["orders"].got]
    assert (notice["study_id"], notice["status"]) == ("S1", "deleted")
    assert not [key for key, data in objects.objects.items() if b"P-7" in data]


async def test_a_study_of_a_deflated_file_is_withdrawn_and_deleted(objects: MemoryStore):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    data_set = radiograph(StudyInstanceUID="1.2.3", Rows=300, Columns=300)
    data_set.PixelData = noise.tobytes()
    await brought(gateway, *BROUGHT, image=dicoms.write(data_set, DeflatedExplicitVRLittleEndian))
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    assert kinds(to["pacs"]) == [SR, NOTE]


async def test_a_patient_of_whom_nothing_was_told_is_in_no_withdrawal(objects: MemoryStore):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, told("ris", ORU, "CONTROL", corrections=(1,)))
    wrong = {"patient_id": "P-6"}
    await gateway.documents.change_known("S1", lambda record: record.changed(former=(wrong,)))
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    [message] = [each.data for each in to["ris"].got]
    assert b"P-6" not in message
    assert b"|||||D|||" in message


async def test_each_withdrawal_is_on_record_with_its_study(objects: MemoryStore):
    gateway = gateway_on(objects, ALL, peers())
    await brought(gateway, told("ris", ORU, "CONTROL"))
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    [record] = [json.loads(line) for line in gateway.sink.lines]
    assert (record["operation"], record["studies"]) == ("delivery: withdraw", ["S1"])
    assert record["disclosed"]["patient_ref"]


@pytest.mark.parametrize("reason", [Reason.RETENTION, Reason.REQUEST])
async def test_what_nobody_has_and_what_is_old_is_not_withdrawn(
    objects: MemoryStore, reason: Reason
):
    gateway = gateway_on(objects, ALL, peers())
    items = BROUGHT if reason is Reason.RETENTION else (told("pacs", SR, state=STATE.WAITING),)
    await brought(gateway, *items)
    await gateway.deletion().delete("S1", reason)
    assert await objects.keys(WITHDRAWALS) == []
    assert await objects.keys(DELIVERIES) == []


@pytest.mark.parametrize("state", [STATE.SENT, STATE.PARKED])
async def test_what_a_destination_may_have_is_withdrawn(objects: MemoryStore, state: STATE):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, told("ris", ORU, "CONTROL", state=state))
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    assert kinds(to["ris"]) == [ORU]


async def test_a_destination_that_takes_no_notes_gets_the_report_alone(objects: MemoryStore):
    pacs = Listener()
    gateway = gateway_on(objects, routing(dicom("pacs", 1)), {"pacs": pacs})
    await brought(gateway, *BROUGHT[:2])
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    assert kinds(pacs) == [SR]


async def test_a_withdrawal_that_is_refused_is_parked_and_can_be_discarded(objects: MemoryStore):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, BROUGHT[0])
    to["pacs"].errors = [DeliveryRefusedError("no")]
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: is_parked(gateway))
        assert not await are_over(gateway)
        [item] = await gateway.parking.items(after="", limit=10)
        assert gateway.lines.owns(item)
        assert gateway.lines.study_of(item) == "S1"
        await gateway.lines.discard(item)
        assert await are_over(gateway)
    assert kinds(to["pacs"]) == [NOTE]


async def is_parked(gateway: Gateway) -> bool:
    parked = await gateway.parking.items(after="", limit=10)
    return bool(parked) and await not_on_the_way(gateway)


async def not_on_the_way(gateway: Gateway) -> bool:
    return not await gateway.objects.keys(DELIVERIES)


async def test_a_parked_withdrawal_can_be_retried(objects: MemoryStore):
    to = peers()
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, BROUGHT[3])
    to["ris"].errors = [DeliveryRefusedError("AE")]
    async with gateway.running():
        await gateway.deletion().delete("S1", Reason.REQUEST)
        await until(lambda: is_parked(gateway))
        [item] = await gateway.parking.items(after="", limit=10)
        assert (await gateway.lines.retry(item)).study is None
        await until(lambda: are_over(gateway))
    assert kinds(to["ris"]) == [ORU]


@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_withdrawal_that_was_promised_gets_no_entries_again(
    objects: MemoryStore, is_refused: bool
):
    to = peers()
    to["ris"].errors = [DeliveryRefusedError("AE")] * is_refused
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, *BROUGHT)
    deletion = gateway.deletion()
    async with gateway.running():
        await deletion.delete("S1", Reason.REQUEST)
        await until(lambda: not_on_the_way(gateway))
    for _ in range(2):
        await deletion.sweep()  # the study stays closed
        assert await objects.keys(DELIVERIES) == []
    assert bool(await objects.keys(WITHDRAWALS)) is is_refused


# --- a study that comes again --------------------------------------------------------------------


async def test_a_study_that_comes_again_is_brought_after_its_withdrawal(objects: MemoryStore):
    pacs = Listener(*[DeliveryUnansweredError("silence")] * 2)
    document = routing(PACS | {"renderings": ["structured-report", "rejection-note"]})
    gateway = gateway_on(objects, document, {"pacs": pacs})
    await brought(gateway, *BROUGHT[:2])
    deletion = gateway.deletion(closed_s=0.0)
    await deletion.delete("S1", Reason.REQUEST)
    await deletion.sweep()
    await gateway.outbox.promise(await gateway.complete())
    assert all(item.after for item in await gateway.items())
    async with gateway.running():

        async def is_brought() -> bool:
            return await gateway.states() == {"pacs": "acknowledged"}

        await until(is_brought)
    assert kinds(pacs) == [SR, NOTE, SR]


async def test_a_study_that_comes_again_has_withdrawals_of_its_own(objects: MemoryStore):
    first, second = [await withdrawn(objects) for _ in range(2)]
    assert [len(uids) for uids in first] == [len(uids) for uids in second] == [1, 1]
    for before, after in zip(first, second, strict=True):
        assert before != after


async def withdrawn(objects: MemoryStore) -> list[list[str]]:
    """Delete the study; return the identifiers of the report and of the message about it."""
    to = peers()
    gateway = gateway_on(objects, routing(dicom("pacs", 1), RIS), to)
    await brought(gateway, BROUGHT[0], BROUGHT[3])
    deletion = gateway.deletion(closed_s=0.0)
    async with gateway.running():
        await deletion.delete("S1", Reason.REQUEST)
        await until(lambda: are_over(gateway))
    await deletion.sweep()
    return [[each.uid for each in to[name].got] for name in ("pacs", "ris")]


async def test_a_withdrawal_that_a_newer_result_overtook_is_not_sent(objects: MemoryStore):
    to = peers()
    to["ris"].errors = [DeliveryRefusedError("AE")]
    gateway = gateway_on(objects, ALL, to)
    await brought(gateway, BROUGHT[3])
    deletion = gateway.deletion(closed_s=0.0)
    async with gateway.running():
        await deletion.delete("S1", Reason.REQUEST)
        await until(lambda: is_parked(gateway))
        await deletion.sweep()
        await brought(gateway, BROUGHT[3])
        [item] = await gateway.parking.items(after="", limit=10)
        await gateway.lines.retry(item)
        await until(lambda: are_over(gateway))
    assert to["ris"].got == []


# --- kills ---------------------------------------------------------------------------------------


async def test_a_deletion_that_is_killed_anywhere_is_withdrawn_or_was_none():
    ended = []
    for dies_at in range(2, 60):
        objects = MemoryStore()
        await brought(gateway_on(objects, ONE), BROUGHT[3])
        dying = MortalStore(objects.objects, dies_at)
        await dying.kills(gateway_on(dying, ONE).deletion().delete("S1", Reason.REQUEST))
        ended.append(await is_ended(objects))
        if not dying.died.is_set():
            break
    assert {True, False} == set(ended)
    assert not dying.died.is_set()


async def is_ended(objects: MemoryStore) -> bool:
    """Have another gateway end a deletion; return True if the study was closed."""
    to = peers()
    gateway = gateway_on(objects, ONE, to)
    deletion = gateway.deletion(closed_s=0.0)
    is_deleted = (await gateway.documents.read("S1")).closing is not None
    async with gateway.running():
        await deletion.sweep()
        await until(lambda: not_on_the_way(gateway))
    await deletion.sweep()
    assert await objects.keys("work/") == []
    assert kinds(to["ris"]) == ([ORU] if is_deleted else [])
    assert is_deleted == (await deletion.was_deleted("S1"))
    assert is_deleted != bool(await objects.keys("results/S1/"))
    return is_deleted


async def test_a_gateway_that_is_killed_over_a_sweep_leaves_no_entries():
    for dies_at in range(60):
        objects, to = MemoryStore(), peers()
        gateway = gateway_on(objects, ONE, to)
        await brought(gateway, BROUGHT[3])
        async with gateway.running():
            await gateway.deletion().delete("S1", Reason.REQUEST)
            await until(lambda gateway=gateway: not_on_the_way(gateway))
        dying = MortalStore(objects.objects, dies_at)
        await dying.kills(gateway_on(dying, ONE, to).deletion().sweep())
        deletion = gateway.deletion(closed_s=0.0)
        await deletion.sweep()
        assert await objects.keys("work/") == [], dies_at
        assert kinds(to["ris"]) == [ORU]
        if not dying.died.is_set():
            break
    assert not dying.died.is_set()


async def test_what_a_slow_gateway_promises_of_a_withdrawal_that_is_over_goes(
    objects: MemoryStore,
):
    gateway = gateway_on(objects, ONE, to := peers())
    name = withdrawal_id("S1", NOW)
    item = told("ris", ORU, id=WorkId.new(name, NOW).id, state=STATE.WAITING)
    document = PendingDelivery(rendering=ORU, revision="")
    await gateway.lines.entries("ris").add(WorkId(name, item.id), document)
    async with gateway.running():
        await until(lambda: not_on_the_way(gateway))
    record = StudyRecord.begun(name).changed(deliveries=(item,))
    await gateway.documents.change(name, lambda _: record)
    assert await are_over(gateway)
    assert kinds(to["ris"]) == []


async def test_what_was_prepared_by_a_slower_deletion_is_left_to_none(objects: MemoryStore):
    gateway = gateway_on(objects, ALL)
    await brought(gateway, *BROUGHT)
    record = await gateway.record()
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    name = await gateway.withdrawals.prepare(closing, record)
    assert name == withdrawal_id("S1", NOW)
    await gateway.withdrawals.sweep()  # of a deletion that was asked for long ago
    assert await objects.keys(WITHDRAWALS) == []


async def test_a_withdrawal_that_is_written_over_a_sweep_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store: Any = FolderStore(tmp_path)
    await store.open()
    gateway = gateway_on(store, ALL)
    await brought(gateway, *BROUGHT)
    record = await gateway.record()
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    name = withdrawal_id("S1", NOW)
    (tmp_path / withdrawn_study_key(name)).parent.mkdir(parents=True)
    looked: list[str] = []
    keys, read = store.keys, store.read

    async def is_written(key: str) -> None:
        if key == withdrawn_study_key(name) and not looked:
            looked.append(key)
            await gateway.withdrawals.prepare(closing, record)

    async def keys_before(prefix: str) -> Any:
        found = await keys(prefix)
        await is_written(prefix)
        return found

    async def read_before(key: str, *args: Any, **options: Any) -> Any:
        try:
            return await read(key, *args, **options)
        finally:
            await is_written(key)

    monkeypatch.setattr(store, "keys", keys_before)
    monkeypatch.setattr(store, "read", read_before)
    await gateway.withdrawals.sweep()
    assert looked == [withdrawn_study_key(name)]
    withdrawn = await gateway.withdrawals.study(name)
    assert withdrawn is not None
    assert [item.destination for item in withdrawn.record.deliveries] == [
        "pacs",
        "pacs",
        "record",
        "ris",
        "orders",
    ]


async def prepared(gateway: Gateway) -> str:
    """Return the name of a withdrawal from two destinations that is yet to be promised."""
    await brought(gateway, BROUGHT[2], BROUGHT[3])
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    name = await gateway.withdrawals.prepare(closing, await gateway.record())
    assert name is not None
    return name


async def drop_entries(objects: MemoryStore) -> None:
    for key in await objects.keys(DELIVERIES):
        await objects.purge(key)


async def entries_of(gateway: Gateway, destination: str) -> list[str]:
    return [work.study_id for work, _ in await gateway.lines.entries(destination).due()]


async def test_entries_that_are_dropped_before_the_items_are_named_are_written_again(
    objects: MemoryStore, monkeypatch: pytest.MonkeyPatch
):
    gateway = gateway_on(objects, ALL)
    name = await prepared(gateway)
    change = gateway.documents.change

    async def slow_change(*args: Any) -> StudyRecord:
        await drop_entries(objects)
        return await change(*args)

    monkeypatch.setattr(gateway.documents, "change", slow_change)
    await gateway.withdrawals.promise(name)
    assert await entries_of(gateway, "record") == [name]
    assert await entries_of(gateway, "ris") == [name]


async def test_items_on_their_way_alone_get_entries_again(objects: MemoryStore):
    gateway = gateway_on(objects, ALL)
    name = await prepared(gateway)
    await gateway.withdrawals.promise(name)
    await drop_entries(objects)

    def end_first(record: StudyRecord) -> StudyRecord:
        first, *others = record.deliveries
        ended = first.model_copy(update={"state": STATE.ACKNOWLEDGED})
        return record.changed(deliveries=(ended, *others))

    await gateway.documents.change_known(name, end_first)
    await gateway.withdrawals.promise(name)
    assert await entries_of(gateway, "record") == []
    assert await entries_of(gateway, "ris") == [name]


async def test_an_entry_that_was_postponed_is_not_written_again(objects: MemoryStore):
    gateway = gateway_on(objects, ALL)
    name = await prepared(gateway)
    await gateway.withdrawals.promise(name)
    entries = gateway.lines.entries("ris")
    [(work, due)] = await entries.due()
    entry = await entries.read(work, due)
    assert entry is not None
    later = NOW + dt.timedelta(minutes=1)
    await entries.postpone(entry, later)
    await entries.remove(work, due)
    await gateway.withdrawals.promise(name)
    assert await entries.due() == [(work, later)]


async def test_what_is_over_goes_however_many_are_parked(objects: MemoryStore):
    gateway = gateway_on(objects, ALL)
    parked = told("pacs", SR, state=STATE.PARKED)
    await brought(gateway, *BROUGHT)
    closing = Closing(study_id="S1", requested_at=NOW, reason=Reason.REQUEST)
    over = await gateway.withdrawals.prepare(closing, await gateway.record())
    assert over is not None
    for number in range(1001):
        name = withdrawal_id(f"A{number}", NOW)
        record = StudyRecord.begun(name).changed(deliveries=(parked,))
        await gateway.documents.change(name, lambda _, record=record: record)
        objects.objects[withdrawn_study_key(name)] = objects.objects[withdrawn_study_key(over)]
    await gateway.withdrawals.sweep()
    names = await objects.folders(WITHDRAWALS, after="", limit=2000)
    assert len(names) == 1001
    assert over not in names


async def test_a_removal_that_was_broken_off_goes_on(objects: MemoryStore):
    gateway = gateway_on(objects, ALL)
    name = withdrawal_id("S1", NOW)
    uids = tuple(f"1.2.826.0.1.3680043.8.498.{number:032}" for number in range(2000))
    parked = told("pacs", SC, state=STATE.PARKED).model_copy(update={"objects": uids})
    record = StudyRecord.begun(name).changed(deliveries=(parked,))
    await gateway.documents.change(name, lambda _: record)
    await objects.purge(rest_folder(name))
    await gateway.withdrawals.promise(name)  # by a deletion that is not over
    assert await are_over(gateway)
