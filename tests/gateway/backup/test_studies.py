"""Studies are copied as they were at one moment, whatever happens to them meanwhile."""

import datetime as dt
import errno
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.backup.studies import StudyCopies
from gateway.observability.pseudonyms import key_reference
from gateway.results.deletion import deletion_folder
from gateway.results.documents import Completion, FailedImages, PendingImages, StudyRecord
from gateway.results.instances import InstancePointer
from gateway.results.tombstone import Reason, Tombstone
from gateway.storage import plain_files
from gateway.storage.folder import FolderStore
from tests.gateway.backup.stores import ID, IMAGE, NOON, Store, submission
from tests.support.deletion import deletion_on

DOCUMENT = "results/S1/result.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_study_is_copied_with_what_lies_beside_it_and_its_entry(store: Store):
    entry = store.put_pending("S1")
    store.put(f"results/S1/{IMAGE}", b"an image")
    assert store.bring("S1") == [
        f"results/S1/{IMAGE}",
        DOCUMENT,
        f"results/S1/submissions/{ID}/image-1",
        entry,
    ]
    for key in store.copied():
        assert store.files.copy.read(key) == store.files.store.read(key)


def test_folder_without_a_document_is_of_a_study_that_is_yet_to_be_accepted(store: Store):
    store.put(f"results/S1/{IMAGE}", b"an image")
    store.put(f"work/submissions/20260131T120000Z/{ID}.S1", submission())
    assert store.bring("S1") == []


def test_submission_that_is_being_accepted_is_left_out(store: Store):
    store.put_study("S1")
    store.put(f"work/submissions/20260131T120000Z/{ID}.S1", submission())
    store.put(f"results/S1/submissions/{ID}/image-1", b"an image")
    assert store.bring("S1") == [DOCUMENT]


def test_submission_that_is_done_is_copied_so_that_its_sender_is_told(store: Store):
    store.put_study("S1")
    entry = f"work/submissions/20260131T120000Z/{ID}.S1"
    store.put(entry, submission(tried_since=NOON))
    assert store.bring("S1") == [DOCUMENT, entry]


def test_submission_accepted_meanwhile_is_copied_with_its_study(store: Store):
    store.put_study("S1")
    store.events[f"read {DOCUMENT}"] = lambda: store.put_pending("S1")
    assert f"results/S1/submissions/{ID}/image-1" in store.bring("S1")


def test_submission_processed_meanwhile_is_pending_no_more(store: Store):
    entry = store.put_pending("S1")

    def process() -> None:
        store.put(f"results/S1/{IMAGE}", b"an image")
        store.put_study("S1", images=1)
        store.remove(entry)
        store.remove(f"results/S1/submissions/{ID}/image-1")

    store.events[f"read {DOCUMENT}"] = process
    assert store.bring("S1") == [f"results/S1/{IMAGE}", DOCUMENT]


def test_entry_that_is_postponed_meanwhile_is_copied_under_its_new_key(store: Store):
    entry = store.put_pending("S1")

    def postpone() -> None:
        store.put_pending("S1", due=NOON + dt.timedelta(minutes=1))
        store.remove(entry)

    store.events["keys results/S1/"] = postpone
    kept = f"results/S1/submissions/{ID}/image-1"
    new = f"work/submissions/20260131T120100Z/{ID}.S1"
    assert store.bring("S1") == [DOCUMENT, kept, new]


def test_callback_that_is_tried_again_meanwhile_is_copied(store: Store):
    store.put_study("S1")
    old, new = (f"work/callbacks/20260131T12000{n}Z/{ID}.S1" for n in range(2))
    store.put(old)
    store.events["keys results/S1/"] = lambda: store.move(old, new)
    assert store.bring("S1") == [DOCUMENT, new]


def test_callback_that_fails_meanwhile_is_copied_as_parked(store: Store):
    store.put_study("S1")
    entry = store.put(f"work/callbacks/20260131T120000Z/{ID}.S1")
    job, item = f"results/S1/callbacks/{ID}/job.json", item_of(f"results/S1/callbacks/{ID}")

    def fail() -> None:
        store.put(item)
        store.put(job)
        store.remove(entry)

    store.events["keys results/S1/"] = fail
    assert store.bring("S1") == [item, job, DOCUMENT]


def test_failed_work_of_each_kind_has_its_parked_item(store: Store):
    works = [
        f"results/S1/submissions/{ID}",
        f"results/S1/callbacks/{ID}",
        f"results/S1/deliveries/pacs/{ID}",
        f"results/S1/readings/{ID}",
    ]
    failed = FailedImages(id=ID, images=1, attempts=3, failed_at=NOON, problem="given-up")
    store.put_study("S1", failed=(failed,))
    for work in works:
        store.put(f"{work}/job.json")
        store.put(item_of(work))
    assert set(store.bring("S1")) == {
        DOCUMENT,
        *map(item_of, works),
        *(f"{work}/job.json" for work in works),
    }


def test_document_that_cannot_be_read_is_copied_with_all_that_lies_there(store: Store):
    store.put(DOCUMENT, b"damaged")
    store.put(f"results/S1/{IMAGE}", b"an image")
    entry = store.put(f"work/submissions/20260131T120000Z/{ID}.S1", submission())
    assert store.bring("S1") == [f"results/S1/{IMAGE}", DOCUMENT, entry]


def test_what_the_store_itself_lacks_does_not_keep_the_copy_waiting(store: Store):
    store.put_study("S1", pending=(PendingImages(id=ID, images=1),))
    assert store.bring("S1") == [DOCUMENT]


@pytest.mark.parametrize("is_listed", [False, True])
def test_completion_has_a_new_entry_while_it_is_open_or_held(store: Store, *, is_listed: bool):
    states = {
        "OPEN": {},
        "HELD": {"completed_at": NOON, "held": True},
        "DONE": {"completed_at": NOON, "delivered": True},
    }
    for study_id, state in states.items():
        completion = Completion(work=ID, last_instance_at=NOON, **state)
        store.put_study(study_id, completion=completion)
        if is_listed and study_id != "DONE":
            store.put(f"work/completion/20260131T120000Z/{ID}.{study_id}")
    entries = [key for key in store.bring(*states) if key.startswith("work/")]
    assert sorted(key.rpartition("/")[2] for key in entries) == [f"{ID}.HELD", f"{ID}.OPEN"]
    data = {store.files.copy.read(key) for key in entries}
    assert data == {b'{"schema":"radstream.completion/1"}'}


def test_complete_study_whose_results_are_not_promised_yet_keeps_its_entry(store: Store):
    completion = Completion(work=ID, last_instance_at=NOON, completed_at=NOON)
    store.put_study("S1", completion=completion)
    assert store.bring("S1") == [DOCUMENT]
    store.put(f"work/completion/20260131T120000Z/{ID}.S1")
    assert [key.rpartition("/")[2] for key in store.bring("S1")] == ["result.json", f"{ID}.S1"]


def test_study_that_is_deleted_while_it_is_copied_goes_on_being_deleted(store: Store):
    store.put_pending("S1")
    store.events[f"read {DOCUMENT}"] = lambda: store.close("S1")
    note = f"work/deletions/{key_reference('S1')}.json"
    assert store.bring("S1") == [DOCUMENT, note]
    document = store.files.copy.read(DOCUMENT) or b""
    assert document.startswith(b'{"schema":"radstream.result/2","closing":')


def test_study_that_is_deleted_after_it_was_copied_goes_with_all_that_names_it(store: Store):
    store.put_pending("GONE")
    pointer = InstancePointer(study_id="GONE", sop_class_uid="1.2", submission_id=ID)
    store.put("instances/1.2.3.json", pointer)
    store.put("results/GONE/pointers/1.2.3", b"")
    store.put(f"results/GONE/callbacks/{ID}/job.json")
    store.put(item_of(f"results/GONE/callbacks/{ID}"))
    kept = store.put_pending("KEPT")
    assert len(store.bring("GONE", "KEPT")) == 10
    store.delete("GONE")
    tombstone = put_tombstone(store, "GONE")
    assert store.end_deleted() == [
        tombstone,
        "results/KEPT/result.json",
        f"results/KEPT/submissions/{ID}/image-1",
        kept,
    ]
    assert store.files.copy.folders("results/") == ["KEPT"]


def test_deletion_that_begins_after_the_study_was_copied_goes_on_in_the_copy(store: Store):
    store.put_pending("S1")
    store.bring("S1")
    note = store.close("S1")
    assert store.end_deleted() == [DOCUMENT, note]


async def test_deletion_under_way_is_ended_after_a_restore(store: Store):
    store.put_pending("S1")
    store.close("S1")
    store.bring("S1")
    copy = FolderStore(store.files.copy.root)
    await copy.open()
    await deletion_on(copy, closed_s=0.0).sweep()
    assert await copy.keys("") == [f"{deletion_folder('S1')}20260131T120000000000Z.json"]


def test_study_that_came_again_after_its_deletion_is_copied_anew(store: Store):
    entry = store.put_pending("S1")
    store.bring("S1")
    store.files.bring(put_tombstone(store, "S1"))
    again = StudyRecord.begun("S1").changed(received_at=NOON + dt.timedelta(hours=2))
    store.delete("S1")
    store.remove(entry)
    store.put_record(again)
    [tombstone, document] = store.end_deleted()
    assert document == DOCUMENT
    assert store.files.copy.read(DOCUMENT) == store.files.store.read(DOCUMENT)
    assert tombstone.startswith("deleted/")


def test_study_that_only_changed_since_stays_as_it_was_copied(store: Store):
    store.put_study("S1")
    store.bring("S1")
    before = store.files.copy.read(DOCUMENT)
    store.put_study("S1", images=1)
    assert store.end_deleted() == [DOCUMENT]
    assert store.files.copy.read(DOCUMENT) == before


def test_study_that_the_disk_does_not_give_stays_as_it_was_copied(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.put_study("S1")
    store.put(f"results/S1/{IMAGE}", b"an image")
    copied = store.bring("S1")
    opened_file = plain_files.opened_file

    def failing(root: Path, *args: Any) -> Any:
        if root == store.root:
            raise OSError(errno.EIO, "Input/output error")
        return opened_file(root, *args)

    monkeypatch.setattr(plain_files, "opened_file", failing)
    assert store.end_deleted() == copied == [f"results/S1/{IMAGE}", DOCUMENT]


def test_pointer_that_moves_to_another_study_meanwhile_is_kept(store: Store):
    key = "instances/1.2.3.json"

    def point(study_id: str) -> None:
        pointer = InstancePointer(study_id=study_id, sop_class_uid="1.2", submission_id=ID)
        store.put(key, pointer)

    def move() -> None:
        point("S200")
        store.put("results/S200/pointers/1.2.3", b"")
        store.put_study("S1", images=1)

    store.put_study("S1")
    store.put_study("S200")
    store.put("results/S1/pointers/1.2.3", b"")
    point("S1")
    store.events[f"read {DOCUMENT}"] = move
    with ThreadPoolExecutor(1) as threads:  # S200 is copied after the move, and once
        StudyCopies(store.files, threads).bring(["S1", "S200"])
    copied = InstancePointer.model_validate_json(store.files.copy.read(key) or b"")
    assert copied.study_id == "S200"


def test_document_that_changes_each_time_does_not_keep_the_copy_waiting(store: Store):
    numbers = count(1)

    def change() -> None:
        store.put_study("S1", images=next(numbers))
        store.events[f"read {DOCUMENT}"] = change

    change()
    assert store.bring("S1") == [DOCUMENT]
    assert store.files.unreadable == {DOCUMENT}
    assert next(numbers) == 102


def test_number_of_studies_is_told_in_steps(store: Store):
    steps: list[int] = []
    for number in range(70):
        store.put_study(f"S{number}")
    with ThreadPoolExecutor(2) as threads:
        StudyCopies(store.files, threads).bring(store.files.store.folders("results/"), steps.append)
    assert steps == [64, 6]


def item_of(work: str) -> str:
    """Return the key of the parked item of work that failed."""
    return f"parked/{key_reference(work)}.json"


def put_tombstone(store: Store, study_id: str) -> str:
    """Write the tombstone of a study that was deleted an hour after noon."""
    deleted_at = NOON + dt.timedelta(hours=1)
    tombstone = Tombstone(deleted_at=deleted_at, reason=Reason.REQUEST, older_versions_kept=False)
    return store.put(f"{deletion_folder(study_id)}20260131T130000000000Z.json", tombstone)
