"""Locks on the very files that are replaced or removed."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.storage.locked_files import locked, whole


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def test_a_locked_file_is_read_whole(tmp_path: Path, folder: int):
    data = os.urandom(200_000)
    (tmp_path / "a").write_bytes(data)
    with locked("a", folder) as file:
        assert file is not None
        assert whole(file) == data


def test_a_writer_waits_and_then_locks_the_file_that_took_its_place(tmp_path: Path, folder: int):
    (tmp_path / "a").write_bytes(b"first")
    seen: list[bytes] = []

    def second() -> None:
        with locked("a", folder) as file:
            assert file is not None
            seen.append(whole(file))

    with locked("a", folder):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        assert seen == []
        (tmp_path / "b").write_bytes(b"second")
        (tmp_path / "b").rename(tmp_path / "a")
    thread.join()
    assert seen == [b"second"]


def test_what_is_no_file_of_the_gateways_own_is_not_locked(tmp_path: Path, folder: int):
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    with locked("link", folder) as file:
        assert file is None


def test_names_of_nothing_and_of_folders_are_errors(tmp_path: Path, folder: int):
    (tmp_path / "folder").mkdir()
    for name, error in (("none", FileNotFoundError), ("folder", IsADirectoryError)):
        with pytest.raises(error), locked(name, folder):
            pass
