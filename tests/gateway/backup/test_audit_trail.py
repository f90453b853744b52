"""The audit trail is copied to the end of a line, while gateways append to it."""

from pathlib import Path

import pytest

from gateway.backup.audit_trail import bring_audit_trail


@pytest.mark.parametrize(
    ("data", "copied"),
    [
        (b"one\ntwo\n", b"one\ntwo\n"),
        (b"one\ntw", b"one\n"),
        (b"on", b""),
        (b"", b""),
        (b"one\n" + b"x" * 200_000, b"one\n"),
        (b"x" * 100_000 + b"\n" + b"y" * 65_536, b"x" * 100_000 + b"\n"),
    ],
)
def test_line_that_is_being_written_is_cut_off(tmp_path: Path, data: bytes, copied: bytes):
    trail, copy = tmp_path / "audit", tmp_path / "copy"
    trail.mkdir()
    (trail / "audit-2026-01-31.jsonl").write_bytes(data)
    assert bring_audit_trail(trail, copy) == 0
    assert (copy / "audit-2026-01-31.jsonl").read_bytes() == copied
    assert (trail / "audit-2026-01-31.jsonl").read_bytes() == data


def test_empty_trail_is_copied(tmp_path: Path):
    (tmp_path / "audit").mkdir()
    assert bring_audit_trail(tmp_path / "audit", tmp_path / "copy") == 0
    assert list((tmp_path / "copy").iterdir()) == []
