"""A backup's folder has its parts once they are whole."""

import errno
import os
from pathlib import Path

import pytest

from gateway.backup.folder import UnusableFolderError, backup_folder


def test_parts_have_their_names_at_the_end(tmp_path: Path):
    folder = tmp_path / "backups/new"
    with backup_folder(folder, outside=[tmp_path / "store"]) as parts:
        (parts / "store").mkdir()
        (parts / "store/object").write_bytes(b"data")
        assert not (folder / "store").exists()
    assert [path.relative_to(folder).as_posix() for path in folder.rglob("*")] == [
        "store",
        "store/object",
    ]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_backup_that_breaks_off_has_no_parts(tmp_path: Path):
    with pytest.raises(OSError, match="No space left"):
        fill_the_disk(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished"]
    refuse(tmp_path, f"{tmp_path} is not empty")


def test_folder_that_holds_something_is_refused(tmp_path: Path):
    (tmp_path / "older").touch()
    refuse(tmp_path, f"{tmp_path} is not empty")


def test_file_and_what_lies_below_one_are_refused(tmp_path: Path):
    file = tmp_path / "file"
    file.touch()
    refuse(file, f"{file} cannot be written: File exists")
    refuse(file / "new", f"{file / 'new'} cannot be written: Not a directory")


def test_folder_within_what_is_copied_is_refused_by_any_name(tmp_path: Path):
    store, link = tmp_path / "store", tmp_path / "link"
    store.mkdir()
    link.symlink_to(store)
    for folder in (store, store / "backup", link / "backup"):
        refuse(folder, f"{folder} lies in {store}, which is copied", store)
    assert list(store.iterdir()) == []


def fill_the_disk(folder: Path) -> None:
    with backup_folder(folder, outside=[]) as parts:
        (parts / "store").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def refuse(folder: Path, sentence: str, *outside: Path) -> None:
    with pytest.raises(UnusableFolderError) as refused, backup_folder(folder, outside=outside):
        pass
    assert str(refused.value) == sentence
