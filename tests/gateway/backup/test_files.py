"""Objects of a folder store are copied as they are, and nothing else is."""

import errno
import os
import stat
from pathlib import Path

import pytest

from gateway.backup.files import CopiedFiles, Files
from gateway.storage import plain_files
from tests.gateway.backup.stores import Store

KEY = "results/S1/result.json"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_copy_has_bytes_mode_and_time_and_is_closed_to_others(store: Store):
    data = bytes(range(256)) * 10_000  # more than one piece
    store.put(KEY, data)
    (store.root / KEY).chmod(0o640)
    os.utime(store.root / KEY, ns=(1, 1_769_860_800_123_456_789))
    assert store.files.bring(KEY)
    copied = store.files.copy.path(KEY)
    assert copied.read_bytes() == data
    assert stat.S_IMODE(copied.stat().st_mode) == 0o640
    assert copied.stat().st_mtime_ns == 1_769_860_800_123_456_789
    for folder in (copied.parent, copied.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert store.files.is_same(KEY)


def test_shorter_object_leaves_nothing_of_the_longer_one(store: Store):
    for data in (b"a longer one", b"short"):
        store.put(KEY, data)
        assert store.files.bring(KEY, anew=True)
    assert store.files.copy.read(KEY) == b"short"


def test_object_that_is_gone_is_told(store: Store):
    assert not store.files.bring(KEY)
    assert store.copied() == []
    assert store.files.unreadable == set()


def test_object_that_the_disk_does_not_give_is_left_out(store: Store):
    files = CopiedFiles(Files(Path("/proc/self")), store.files.copy)
    assert not files.bring("mem")  # whose first page is not there to be read
    assert files.unreadable == {"mem"}
    assert store.copied() == []


def test_object_that_the_disk_does_not_give_is_not_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    store.put(KEY)
    assert not store.files.store.is_gone(KEY)
    assert store.files.store.is_gone("results/S2/result.json")
    monkeypatch.setattr(plain_files, "opened_file", failing)
    assert not store.files.store.is_gone(KEY)


def failing(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_links_and_pipes_are_no_objects(store: Store, tmp_path: Path):
    (tmp_path / "secret").write_bytes(b"of another account")
    (store.root / "link.json").symlink_to(tmp_path / "secret")
    os.mkfifo(store.root / "pipe.json")
    (store.root / "folder").symlink_to(tmp_path)
    assert not any(map(store.files.bring, ("link.json", "pipe.json", "folder/secret")))
    assert store.files.store.keys("") == []


def test_stray_file_whose_name_is_no_key_is_passed_over(store: Store):
    (store.root / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    store.put(KEY)
    assert store.files.store.keys("") == [KEY]


def test_removed_object_takes_its_empty_folders_along(store: Store):
    for key in (KEY, "results/S2/result.json"):
        store.put(key)
        store.files.bring(key)
    store.files.remove(KEY)
    assert store.files.copy.folders("results/") == ["S2"]
    store.files.remove("results/S2/result.json")
    assert store.files.copy.folders("") == []
    store.files.remove(KEY)


def test_object_that_moves_while_all_are_copied_is_copied(store: Store):
    old, new = (f"work/commitments/20260131T12000{n}Z/1.2.3" for n in range(2))
    store.put(old)
    store.events["after keys work/commitments/"] = lambda: store.move(old, new)
    store.files.bring_all("work/commitments/")
    assert store.copied() == [new]


def test_object_that_comes_while_all_are_listed_is_copied(store: Store):
    key = "work/commitments/20260131T120000Z/1.2.3"
    store.events["after keys work/commitments/"] = lambda: store.put(key)
    store.files.bring_all("work/commitments/")
    assert store.copied() == [key]


def test_part_of_a_tenant_has_keys_of_its_own(store: Store):
    store.put(f"tenants/north/{KEY}", b"north")
    store.put(KEY, b"nobody's")
    part = CopiedFiles(
        Files(store.root, "tenants/north/"), Files(store.files.copy.root, "tenants/north/")
    )
    assert part.store.folders("results/") == ["S1"]
    assert part.store.keys("") == [KEY]
    part.bring_all("results/")
    assert part.copy.read(KEY) == b"north"
    part.write("work/x", b"")
    assert store.copied() == [f"tenants/north/{KEY}", "tenants/north/work/x"]
