"""Parked items of dropped files are copied with their marks, and the ledger by SQLite."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.backup import dropped_files
from gateway.backup.dropped_files import bring_dropped_files, bring_ledger
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.dropfolder.watched_folder.scanning import Signature
from gateway.problems import problem_of_kind
from gateway.schemas.parked import Half, ParkedItem
from tests.gateway.backup.stores import NOON, Store

LEDGER = ".dropfolder/ledger.sqlite3"
PAIR = "0123456789abcdef" * 2
ID = PAIR[:16] + "f" * 16
ITEM, MARK = f"parked/{ID}.json", f"pairing/waiting/{PAIR}/{'f' * 32}-parked.json"
FILE = ("S1/x.png", Signature(1, 2, 3, 4))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def ledger(store: Store) -> Iterator[Ledger]:
    opened = Ledger(store.root / LEDGER)
    yield opened
    opened.close()


def put_item(store: Store, kind: str = "unreadable-image", half: Half | None = Half.IMAGE) -> None:
    problem = problem_of_kind(kind)
    item = ParkedItem(id=ID, parked_at=NOON, half=half, key="S1/x.png", problem=problem)
    store.put(ITEM, item)


def test_ledger_is_copied_while_a_gateway_writes_to_it(store: Store, ledger: Ledger):
    ledger.arrive([FILE])
    ledger.take([FILE])
    bring_ledger(store.files)
    path = store.files.copy.path(LEDGER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with closing(sqlite3.connect(path)) as copied:
        assert copied.execute("SELECT size, taken FROM dropped_files").fetchall() == [(1, 1)]
    assert [file.name for file in path.parent.iterdir()] == ["ledger.sqlite3"]


def test_damaged_ledger_is_left_out(store: Store):
    store.put(LEDGER, b"no database" * 100)
    bring_ledger(store.files)
    assert list(store.files.copy.root.iterdir()) == []
    assert store.files.unreadable == set()


def test_ledger_that_cannot_be_read_is_counted(store: Store):
    Ledger(store.root / LEDGER).close()
    (store.root / f"{LEDGER}-wal").mkdir()  # SQLite takes it for a log that it cannot open
    bring_ledger(store.files)
    assert list(store.files.copy.root.iterdir()) == []
    assert store.files.unreadable == {LEDGER}


def test_ledger_that_stays_locked_is_counted(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(dropped_files, "_LOCKED_S", 0.05)
    (store.root / LEDGER).parent.mkdir()
    with closing(sqlite3.connect(store.root / LEDGER)) as other:
        other.execute("CREATE TABLE dropped_files (size)")
        other.execute("BEGIN EXCLUSIVE")
        bring_ledger(store.files)
    assert list(store.files.copy.root.iterdir()) == []
    assert store.files.unreadable == {LEDGER}


def test_store_without_a_ledger_has_none_in_the_copy(store: Store):
    bring_ledger(store.files)
    assert list(store.files.copy.root.iterdir()) == []


def test_item_is_copied_with_its_mark_and_with_what_waits(store: Store):
    put_item(store)
    store.put(MARK)
    waiting = store.put(f"pairing/waiting/{'9' * 32}/a-b.json")
    binding = store.put(f"pairing/bindings/{'a' * 64}.json")
    damaged = store.put(f"parked/{'8' * 32}.json", b"damaged")
    bring_dropped_files(store.files)
    assert store.copied() == sorted([ITEM, MARK, waiting, binding, damaged])


def test_item_of_work_comes_with_its_study_alone(store: Store):
    put_item(store, half=None)
    bring_dropped_files(store.files)
    assert store.copied() == []


def test_item_that_was_taken_meanwhile_is_left_out(store: Store):
    put_item(store)
    store.put(MARK)
    listed = f"keys pairing/waiting/{PAIR[:16]}"
    store.events[f"after {listed}"] = lambda: (store.remove(ITEM), store.remove(MARK))
    bring_dropped_files(store.files)
    assert store.copied() == []


def test_item_that_is_parked_anew_meanwhile_has_its_new_mark(store: Store):
    put_item(store)

    def park_anew() -> None:
        put_item(store, "images-too-large")
        store.put(MARK)

    store.events[f"after keys pairing/waiting/{PAIR[:16]}"] = park_anew
    bring_dropped_files(store.files)
    assert store.copied() == [MARK, ITEM]
    assert store.files.copy.read(ITEM) == store.files.store.read(ITEM)


def test_item_whose_mark_is_yet_to_be_written_is_left_out(store: Store):
    put_item(store)

    def mend() -> None:
        store.remove(ITEM)
        store.remove(MARK)

    def mark() -> None:
        store.put(MARK)
        store.events["keys pairing/waiting/"] = mend

    store.put(f"pairing/waiting/{PAIR}/{'e' * 32}-parked.json")  # of the pair's other half
    store.events[f"after keys pairing/waiting/{PAIR[:16]}"] = mark
    bring_dropped_files(store.files)
    assert ITEM not in store.copied()


def test_item_that_came_with_its_study_stays_as_it_was(store: Store):
    put_item(store)
    store.files.bring(ITEM)
    put_item(store, "images-too-large")
    bring_dropped_files(store.files)
    copied = ParkedItem.model_validate_json(store.files.copy.read(ITEM) or b"")
    assert copied.problem.type.endswith("unreadable-image")
