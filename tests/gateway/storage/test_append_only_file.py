"""A file that grows by whole pieces, and by none where there is no room."""

import resource
from pathlib import Path

import pytest

from gateway.storage.append_only_file import AppendedFile


def test_pieces_follow_one_another_and_those_of_before(tmp_path: Path):
    path = tmp_path / "folder/file"
    first = AppendedFile(path)
    first.append(b"one\n")
    first.close()
    file = AppendedFile(path)
    assert file.size == 4
    file.append(b"two\n")
    assert (file.size, path.read_bytes()) == (8, b"one\ntwo\n")
    file.close()
    assert path.stat().st_mode & 0o077 == 0


def test_a_piece_that_does_not_fit_leaves_no_part_of_it(tmp_path: Path):
    file = AppendedFile(tmp_path / "file")
    file.append(b"one\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**12, hard))  # as a full disk or a quota
    try:
        with pytest.raises(OSError, match="File too large"):
            file.append(bytes(2**13))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.path.read_bytes() == b"one\n"
    file.append(b"two\n")
    assert (file.size, file.path.read_bytes()) == (8, b"one\ntwo\n")
    file.close()


def test_a_file_that_was_removed_is_known(tmp_path: Path):
    file = AppendedFile(tmp_path / "file")
    assert not file.removed
    file.path.unlink()
    assert file.removed
    file.close()
