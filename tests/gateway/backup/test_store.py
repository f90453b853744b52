"""A store is copied whole, in the order in which its objects name each other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.backup.store import Copied, StoreBackup
from gateway.dropfolder.watched_folder.ledger import LEDGER, Ledger
from gateway.observability.pseudonyms import key_reference
from gateway.results.deletion import deletion_folder
from gateway.results.documents import StudyRecord
from gateway.results.withdrawn_study import WithdrawnStudy
from gateway.storage.folder import FolderStore
from gateway.storage.layout import INDEX, STORE
from tests.gateway.backup.stores import ID, IMAGE, NOON, Store
from tests.gateway.storage.test_plain_files import unlist
from tests.gateway.verification.filled import BROUGHT, fill, found

WITHDRAWAL = "!S1!20260131T120000000000Z"
PLAIN = (
    "work/roll-backs/00.json",
    "work/canaries/00.json",
    "work/quotas/20260131.json",
    "work/commitments/20260131T120000Z/1.2.3",
    "acceptances/cxr/1-page.html",
    "routing/document.json",
    "monitoring/minutes/20260131T1200/a.json",
    "monitoring/models/cxr/1.json",
    "pairing/bindings/00.json",
    "pairing/waiting/00/00.json",
    "deleted/00/20260131T120000000000Z.json",
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def back_up(store: Store, on_studies: Callable[[int], None] = lambda _: None) -> Copied:
    return StoreBackup(store.root, store.files.copy.root).make(on_studies)


async def test_copy_of_a_store_with_one_of_everything_is_clean(store: Store):
    objects = FolderStore(store.root)
    await objects.open()
    await fill(objects)
    copied = back_up(store)
    everything = await objects.keys("")
    everything.remove(BROUGHT)  # no document names that delivery
    assert store.copied() == everything
    assert await found(FolderStore(store.files.copy.root)) == await found(objects) == set()
    sizes = [store.files.store.path(key).stat().st_size for key in store.copied()]
    assert copied == Copied(studies=1, objects=len(sizes), bytes=sum(sizes), unreadable=0)


def test_folder_that_the_disk_does_not_list_is_counted_and_the_rest_is_copied(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    for study_id in ("S1", "S2"):
        store.put_study(study_id)
        store.put(f"results/{study_id}/callbacks/{ID}/x")
    store.put(f"results/S1/{IMAGE}", b"an image")
    unlist(monkeypatch, "images")
    assert back_up(store).unreadable == 1
    assert [key for key in store.copied() if key.startswith("results/")] == [
        f"results/S1/callbacks/{ID}/x",
        "results/S1/result.json",
        f"results/S2/callbacks/{ID}/x",
        "results/S2/result.json",
    ]


def test_ledger_that_cannot_be_read_is_counted(store: Store):
    Ledger(store.root / LEDGER).close()
    (store.root / f"{LEDGER}-wal").mkdir()
    assert back_up(store).unreadable == 1


def test_every_place_but_the_search_index_is_copied(store: Store):
    pending = store.put_pending("S1")
    of_studies = [
        store.put(
            f"work/readings/20260131T120000Z/{ID}.S1", b'{"tried_since":"2026-01-31T12:00Z"}'
        ),
        store.put(f"work/callbacks/20260131T120000Z/{ID}.S1"),
        store.put(
            f"work/deliveries/p/20260131T120000Z/{ID}.S1", b'{"tried_since":"2026-01-31T12:00Z"}'
        ),
        store.put("results/S1/pointers/1.2.3", b""),
        store.put(
            "instances/1.2.3.json", b'{"study_id":"S1","sop_class_uid":"1","submission_id":"x"}'
        ),
        store.put(f"work/asked/{key_reference('S1')[:10]}/2.25.1/{ID}.S1"),
        store.put(f"work/completion/20260131T120000Z/{ID}.S1"),
        store.put(f"results/S1/callbacks/{ID}/job.json"),
        store.put(f"parked/{key_reference(f'results/S1/callbacks/{ID}')}.json"),
        store.close("S3"),
    ]
    put_withdrawal(store)
    put_tombstone(store)
    keys = [
        pending,
        *of_studies,
        *map(store.put, PLAIN),
        f"work/withdrawals/{WITHDRAWAL}/study.json",
    ]
    for place in STORE:
        if place != INDEX:
            assert any(key.startswith(place) for key in keys), place
    store.put("index/days/20260131/0.json")
    (store.root / ".gateways").mkdir()
    (store.root / ".gateways/a").touch()
    back_up(store)
    missing = set(keys) - set(store.copied())
    # No document of S1 has a completion.
    assert missing == {f"work/completion/20260131T120000Z/{ID}.S1"}
    assert store.files.copy.folders("index/") == []
    assert not (store.files.copy.root / ".gateways").exists()


def test_parts_of_tenants_are_copied_like_the_stores_own(store: Store):
    store.put_study("S1")
    store.put("routing/document.json")
    for tenant in ("north", "south"):
        store.prefix = f"tenants/{tenant}/"
        store.put_pending("S1")
    store.prefix = ""
    gone = f"tenants/south/work/submissions/20260131T120000Z/{ID}.GONE"
    store.put(gone, b"{}")
    steps: list[int] = []
    assert StoreBackup(store.root, store.files.copy.root).count() == 3
    copied = back_up(store, steps.append)
    assert steps == [1, 1, 1]
    assert copied.studies == 3
    assert store.copied() == [key for key in store.files.store.keys("") if key != gone]
    for folder in ("tenants", "tenants/north", "tenants/north/results"):
        assert (store.files.copy.root / folder).stat().st_mode & 0o777 == 0o700


def test_empty_store_has_an_empty_copy(store: Store, tmp_path: Path):
    assert StoreBackup(store.root, tmp_path / "new").make(print) == Copied(0, 0, 0, 0)
    assert (tmp_path / "new").is_dir()


def test_withdrawal_of_a_deletion_that_is_over_goes_on(store: Store):
    key = put_withdrawal(store)
    tombstone = put_tombstone(store)
    back_up(store)
    assert store.copied() == [tombstone, key]


def test_withdrawal_of_a_deletion_under_way_goes_on(store: Store):
    key = put_withdrawal(store)
    note = store.close("S1", withdrawal=WITHDRAWAL)
    back_up(store)
    assert store.copied() == ["results/S1/result.json", note, key]


def test_withdrawal_of_a_study_that_lives_in_the_copy_is_left_out(store: Store):
    put_withdrawal(store)
    store.put_study("S1")
    back_up(store)
    assert store.copied() == ["results/S1/result.json"]


def put_withdrawal(store: Store) -> str:
    withdrawn = WithdrawnStudy(requested_at=NOON, record=StudyRecord.begun("S1"))
    return store.put(f"work/withdrawals/{WITHDRAWAL}/study.json", withdrawn)


def put_tombstone(store: Store) -> str:
    return store.put(f"{deletion_folder('S1')}20260131T120000000000Z.json")
