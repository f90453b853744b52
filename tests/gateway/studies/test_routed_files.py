"""Files of a folder, as the rules see them."""

from pathlib import Path

import pytest

from gateway.studies.routed_files import ReadFile, UnroutableFileError, files_in


def test_a_sidecar_is_no_image_by_itself(tmp_path: Path):
    (tmp_path / "deep").mkdir()
    for name in ("a.png", "a.json", "deep/b.json", "deep/c.dcm", "deep/c.dcm.JSON"):
        (tmp_path / name).write_bytes(b"x")
    names = [str(path.relative_to(tmp_path)) for path in files_in(tmp_path)]
    assert names == ["a.png", "deep/b.json", "deep/c.dcm"]


def test_two_sidecars_are_told_of(tmp_path: Path):
    for name in ("a.png", "a.json", "a.png.json"):
        (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(UnroutableFileError, match=r"a\.png has two sidecars"):
        ReadFile.at(tmp_path / "a.png")


def test_a_file_is_read_with_its_sidecar(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"image")
    assert ReadFile.at(tmp_path / "a.png") == ReadFile("a.png", b"image", None)
    (tmp_path / "a.json").write_bytes(b"{}")
    assert ReadFile.at(tmp_path / "a.png") == ReadFile("a.png", b"image", b"{}")
    assert ReadFile.at(tmp_path / "a.json") == ReadFile("a.json", None, b"{}")
