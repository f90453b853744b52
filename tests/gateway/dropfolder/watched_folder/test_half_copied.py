"""Signs of files that are still being copied, on real files."""

import os
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.half_copied import HalfCopied, Sign, half_copied


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\x01" * 100, None),
        (b"\x01" * 100 + b"\0" * 31, None),
        (b"\x01" * 100 + b"\0" * 32, HalfCopied(Sign.ZEROS, 100)),
        (b"\x01" + b"\0" * (3 << 20), HalfCopied(Sign.ZEROS, 1)),
        (b"\0" * (1 << 20) + b"\x01" + b"\0" * (1 << 20), HalfCopied(Sign.ZEROS, (1 << 20) + 1)),
        (b"\0" * 1000, HalfCopied(Sign.ZEROS, 0)),
        (b"", None),
    ],
    ids=["none", "few", "row", "most", "piece", "all", "empty"],
)
def test_zeros_at_the_end_are_a_sign(tmp_path: Path, data: bytes, expected: HalfCopied | None):
    path = tmp_path / "x.dcm"
    path.write_bytes(data)
    assert half_copied(str(path)) == expected


def test_length_without_bytes_is_a_sign(tmp_path: Path):
    path = tmp_path / "x.dcm"
    with path.open("wb") as file:
        file.write(b"\x01" * 10_000)
        file.truncate(1_000_000)
        file.seek(999_000)  # the last piece came first
        file.write(b"\x01" * 1000)
    assert half_copied(str(path)) == HalfCopied(Sign.HOLE)
    path.write_bytes(b"\x01" * 1_000_000)
    assert half_copied(str(path)) is None


def test_open_writer_is_a_sign_and_an_open_reader_none(tmp_path: Path):
    path = tmp_path / "x.dcm"
    path.write_bytes(b"\x01" * 100)
    with path.open("rb"):
        assert half_copied(str(path)) is None
    with path.open("r+b"):
        assert half_copied(str(path)) == HalfCopied(Sign.OPEN)
    assert half_copied(str(path)) is None


def test_what_is_no_file_has_no_sign(tmp_path: Path):
    (tmp_path / "x.dcm").write_bytes(b"\0" * 100)
    (tmp_path / "link.dcm").symlink_to("x.dcm")
    os.mkfifo(tmp_path / "pipe.dcm")
    for name in ("link.dcm", "none.dcm"):
        assert half_copied(str(tmp_path / name)) is None
    assert half_copied(str(tmp_path / "pipe.dcm")) is None
