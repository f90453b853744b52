"""Data sets are kept up to a bound, in memory or in a file without a name."""

import os
import tempfile
from pathlib import Path

import psutil
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from gateway.dimse.data_sets import MEMORY_BYTES, ReceivedDataSet, file_head
from preprocess.file_meta import read_file_meta


@pytest.mark.parametrize("size", [0, 10, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES])
def test_what_was_received_comes_back_behind_its_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    data = os.urandom(size)
    received = ReceivedDataSet(limit_bytes=size)
    for start in range(0, size, 60_000):
        received.write(data[start : start + 60_000])
        assert list(tmp_path.iterdir()) == []
    assert (received.size, received.is_too_large) == (size, False)
    assert bytes(received.file(b"head")) == b"head" + data
    assert received.closed


def test_nothing_is_kept_beyond_the_limit():
    received = ReceivedDataSet(limit_bytes=2 * MEMORY_BYTES)
    files = psutil.Process().num_fds()
    for _ in range(3):
        received.write(b"\0" * MEMORY_BYTES)
    assert received.is_too_large
    assert received.getbuffer().nbytes == 0
    assert psutil.Process().num_fds() == files


def test_a_full_folder_is_a_fault_and_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    received = ReceivedDataSet(limit_bytes=4 * MEMORY_BYTES)
    assert received.write(b"\0" * (2 * MEMORY_BYTES)) == 2 * MEMORY_BYTES
    assert received.fault is not None
    received.write(b"\0")
    assert received.getbuffer().nbytes == 0


def test_the_head_of_an_instance_is_always_the_same():
    uids = ("1.2.840.10008.5.1.4.1.1.7", "1.2.3", ExplicitVRLittleEndian)
    head = file_head(*uids)
    assert head == file_head(*uids)
    meta = read_file_meta(head)
    assert (meta.sop_class_uid, meta.sop_instance_uid, meta.transfer_syntax_uid) == uids
