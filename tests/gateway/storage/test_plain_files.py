"""Reading a file that is longer than it said it was."""

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ObjectTooLargeError
from gateway.storage import descent, plain_files
from gateway.storage.plain_files import file_keys, folder_names, read

# Its length is told as 0, as that of a file that nobody has written to yet.
LONGER = (Path("/proc/self"), ["status"])


def test_file_that_grows_is_read_to_its_end() -> None:
    assert read(*LONGER, None).startswith(b"Name:")


def test_file_that_grows_beyond_the_limit_is_too_large() -> None:
    with pytest.raises(ObjectTooLargeError):
        read(*LONGER, 16)


def test_keys_are_those_of_plain_files_below_a_prefix(tmp_path: Path) -> None:
    for key in ("a/b/1", "a/bc", "ac", "a/.b"):
        (tmp_path / key).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / key).touch()
    (tmp_path / "a/bd").symlink_to(tmp_path / "ac")
    assert sorted(file_keys(tmp_path, "a/b")) == ["a/b/1", "a/bc"]
    assert sorted(file_keys(tmp_path, "")) == ["a/b/1", "a/bc", "ac"]
    assert file_keys(tmp_path, "ac/") == file_keys(tmp_path, "none/") == []


def unlist(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Have the disk list no folder of a name."""

    @contextmanager
    def opened(root: str | Path, steps: Sequence[str], **options: Any) -> Iterator[int]:
        if steps and steps[-1] == name:
            raise OSError(errno.EIO, "Input/output error")
        with descent.opened(root, steps, **options) as folder:
            yield folder

    monkeypatch.setattr(plain_files, "opened", opened)


def test_folder_that_the_disk_does_not_list_is_raised_or_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key in ("a/b/c/1", "a/d/2"):
        (tmp_path / key).parent.mkdir(parents=True)
        (tmp_path / key).touch()
    unlist(monkeypatch, "c")
    told: list[str] = []
    for prefix in ("a/", "a/b/c/"):
        with pytest.raises(OSError, match="Input/output error"):
            file_keys(tmp_path, prefix)
    assert file_keys(tmp_path, "a/", told.append) == ["a/d/2"]
    assert file_keys(tmp_path, "a/b/c/1", told.append) == []
    assert told == ["a/b/c/", "a/b/c/"]


def test_folders_are_those_right_below_a_prefix(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/.b").mkdir()
    (tmp_path / "a/d").symlink_to(tmp_path)
    assert folder_names(tmp_path, "a/") == ["b"]
    assert folder_names(tmp_path, "") == ["a"]
    assert folder_names(tmp_path, "none/") == []
