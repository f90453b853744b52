"""Objects of a study are found wherever they lie."""

from pathlib import Path

import pytest

from gateway.backup.files import Files
from gateway.backup.study_objects import study_document, study_objects, work_entries
from gateway.observability.pseudonyms import key_reference
from gateway.problems import problem_of_kind
from gateway.results.asked_commitments import AskedCommitment, AskedCommitments
from gateway.results.document_room import RecordRest
from gateway.results.documents import BesideEntry, Completion, DeliveryItem, MissingReading
from gateway.results.instances import InstancePointer
from gateway.results.keys import document_key
from gateway.schemas.not_processed import NotProcessedDocument
from gateway.schemas.result import DeliveryState, RenderingKind
from gateway.storage.folder import FolderStore
from gateway.work.keys import WorkId
from tests.gateway.backup.stores import ID, NOON, Store

DUE = "20260131T120000Z"
PARKED = "0123456789abcdef" * 2


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def objects_of(store: Store, study_id: str = "S1") -> tuple[set[str], bool]:
    """Return the keys beside the document, and whether all was found that it names."""
    files = Files(store.root)
    document = study_document(files.read(document_key(study_id)))
    found = study_objects(files, study_id, document, work_entries(files).get(study_id, ()))
    return set(found.keys), found.is_whole


def delivery(state: DeliveryState = DeliveryState.WAITING) -> DeliveryItem:
    kind = RenderingKind.STRUCTURED_REPORT
    return DeliveryItem(
        id=ID, destination="pacs", rendering=kind, revision="", state=state, at=NOON
    )


def test_entries_are_found_by_study_and_kind(store: Store):
    keys = [f"work/{kind}/{DUE}/{ID}.S1" for kind in ("callbacks", "completion", "readings")]
    keys.append(f"work/deliveries/pacs/{DUE}/{ID}.S.2")
    for key in keys:
        store.put(key)
    store.put("work/callbacks/stray")
    found = work_entries(Files(store.root))
    assert {entry.key for entry in found["S1"]} == set(keys[:3])
    [entry] = found["S.2"]
    assert entry == ("work/deliveries/", WorkId("S.2", ID), keys[3])
    assert set(found) == {"S1", "S.2"}


def test_pending_work_is_named_by_the_document(store: Store):
    owed = MissingReading(sha256="a" * 64, name="cxr", problem="timeout", since=NOON, work=ID)
    store.put_study("S1", deliveries=(delivery(),), missing_readings=(owed,))
    assert objects_of(store) == (set(), False)
    brought = store.put(f"work/deliveries/pacs/{DUE}/{ID}.S1")
    assert objects_of(store) == ({brought}, False)
    asked = store.put(f"work/readings/{DUE}/{ID}.S1")
    assert objects_of(store) == ({brought, asked}, True)


def test_pending_work_is_named_by_the_rest_of_a_record_too(store: Store):
    store.put_study("S1", rest=BesideEntry(name="0123", bytes=1))
    brought = store.put(f"work/deliveries/pacs/{DUE}/{ID}.S1")
    assert objects_of(store) == (set(), False)  # it is another one by now
    rest = store.put("results/S1/pages/rest/0123.json", RecordRest(deliveries=(delivery(),)))
    assert objects_of(store) == ({brought, rest}, True)


def test_deliveries_that_ended_need_no_entry(store: Store):
    store.put_study("S1", deliveries=(delivery(DeliveryState.CONFIRMED),))
    store.put(f"work/deliveries/pacs/{DUE}/{ID}.S1")
    assert objects_of(store) == (set(), True)


def test_parked_item_of_work_that_is_tried_again_is_not_missed(store: Store):
    store.put_study("S1")
    job = store.put(f"results/S1/callbacks/{ID}/job.json")
    assert objects_of(store) == ({job}, False)
    entry = store.put(f"work/callbacks/{DUE}/{ID}.S1")
    assert objects_of(store) == ({job, entry}, True)


def test_held_study_has_its_parked_item(store: Store):
    completion = Completion(work=ID, last_instance_at=NOON, completed_at=NOON, held=True)
    store.put_study("S1", completion=completion)
    assert objects_of(store) == (set(), True)
    item = store.put(f"parked/{key_reference('results/S1/completion/held')}.json")
    assert objects_of(store) == ({item}, True)


def test_parked_image_that_the_document_names_has_its_item_and_mark(store: Store):
    entry = NotProcessedDocument(
        part="x.png",
        sha256="a" * 64,
        problem=problem_of_kind("unreadable-image"),
        received_at=NOON,
        parked=PARKED,
    )
    store.put_study("S1", open_images=(entry,))
    mark = store.put(f"pairing/waiting/{PARKED[:16]}{'f' * 16}/{'e' * 32}-parked.json")
    store.put(f"pairing/waiting/{'9' * 32}/{'e' * 32}-parked.json")
    assert objects_of(store) == ({f"parked/{PARKED}.json", mark}, True)


def test_pointer_of_an_instance_belongs_to_the_study_that_it_names(store: Store):
    store.put_study("S1")
    marks = {store.put(f"results/S1/pointers/1.2.{number}", b"") for number in range(4)}
    for number, study_id in enumerate(("S1", "S2")):
        pointer = InstancePointer(study_id=study_id, sop_class_uid="1.2", submission_id=ID)
        store.put(f"instances/1.2.{number}.json", pointer)
    store.put("instances/1.2.2.json", b"damaged")
    assert objects_of(store) == ({*marks, "instances/1.2.0.json"}, True)


async def test_storage_commitment_that_was_asked_for_belongs_to_the_study(store: Store):
    store.put_study("S1")
    asked = AskedCommitments(FolderStore(store.root))
    await FolderStore(store.root).open()
    request = AskedCommitment(
        destination="pacs",
        rendering=RenderingKind.STRUCTURED_REPORT,
        revision="",
        sop_instance_uid="1.2.3",
    )
    transactions = [await asked.add(WorkId(each, ID), request) for each in ("S1", "S1", "S2")]
    for transaction_uid in transactions[1:]:
        assert await asked.keep(transaction_uid, ["1.2.3"], {})
    folder = f"work/asked/{key_reference('S1')[:10]}"
    assert objects_of(store) == (
        {
            f"{folder}/{transactions[0]}/{ID}.S1",
            f"{folder}/{transactions[1]}/{ID}.S1",
            f"work/asked/reports/{transactions[1]}.json",
        },
        True,
    )


def test_of_a_study_that_is_being_deleted_the_note_is_left(store: Store):
    note = store.close("S1")
    store.put(f"results/S1/callbacks/{ID}/job.json")
    assert objects_of(store) == ({note}, True)


def test_withdrawal_has_entries_and_parked_items_like_a_study(store: Store):
    name = "!S1!20260131T120000000000Z"
    folder = f"work/withdrawals/{name}"
    entry = store.put(f"work/deliveries/pacs/{DUE}/{ID}.{name}")
    study = store.put(f"{folder}/study.json")
    job = store.put(f"{folder}/deliveries/ris/{ID}/job.json")
    item = store.put(f"parked/{key_reference(f'{folder}/deliveries/ris/{ID}')}.json")
    assert objects_of(store, name) == ({entry, study, job, item}, True)
