"""Sidecars beside files, by their names."""

from pathlib import Path

import pytest

from gateway.errors import InvalidMetadataError
from gateway.studies.sidecar_files import sidecar_of, sidecars_of


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("a.png", "a.json"),
        ("a.png", "a.JSON"),
        ("a.png", "a.png.json"),
        ("a.dcm", "a.dcm.JSON"),
        ("IM000001", "IM000001.json"),
        ("1.2.840.3", "1.2.840.3.json"),
    ],
)
def test_a_sidecar_is_found_by_its_name(tmp_path: Path, image: str, sidecar: str):
    for name in (image, sidecar, "b.json"):
        (tmp_path / name).write_bytes(b"{}")
    assert sidecar_of(tmp_path / image) == tmp_path / sidecar


def test_uids_that_differ_in_their_last_number_share_no_sidecar(tmp_path: Path):
    for name in ("1.2.3", "1.2.4", "1.2.json"):
        (tmp_path / name).write_bytes(b"{}")
    assert sidecars_of(tmp_path / "1.2.3") == []


def test_two_sidecars_are_refused(tmp_path: Path):
    for name in ("a.png", "a.json", "a.png.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(InvalidMetadataError):
        sidecar_of(tmp_path / "a.png")
