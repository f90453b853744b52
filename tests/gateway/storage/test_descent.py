"""Going down to a folder: links put in its place meanwhile, and folders taken away."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import InvalidKeyError
from gateway.storage.descent import held, made, opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder that a link may lead to; what it holds is not to be seen or changed."""
    folder = tmp_path / "outside"
    (folder / "b").mkdir(parents=True)
    (folder / "theirs").touch()
    return folder


@pytest.fixture
def descriptor(root: Path) -> Iterator[int]:
    with opened(root, ()) as descriptor:
        yield descriptor


def open_descriptors() -> list[Path]:
    return sorted(Path("/proc/self/fd").iterdir())


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put_a_link_in_place_of(folder: Path, leads_to: Path) -> Path:
    """Where the folder now is."""
    moved = folder.rename(folder.with_name("moved"))
    folder.symlink_to(leads_to)
    return moved


def test_a_link_put_in_place_of_an_opened_folder_is_not_followed(root: Path, outside: Path):
    (root / "a/b").mkdir(parents=True)
    with opened(root, ["a"]) as folder:
        put_a_link_in_place_of(root / "a", outside)
        os.mkdir("c", dir_fd=folder)
    assert entries(root / "moved") == ["b", "c"]
    assert entries(outside) == ["b", "theirs"]


def test_a_link_put_in_place_of_a_made_folder_is_not_followed(
    root: Path, descriptor: int, outside: Path
):
    with made(descriptor, ["a", "b"]) as folders:
        moved = put_a_link_in_place_of(root / "a", outside)
        os.mkdir("ours", dir_fd=folders[-1])
    assert (moved / "b/ours").is_dir()
    assert entries(outside / "b") == []


def test_a_link_put_in_place_of_a_held_folder_is_not_followed(root: Path, outside: Path):
    (root / "a/b").mkdir(parents=True)
    with held(root, ["a", "b"]) as folders:
        moved = put_a_link_in_place_of(root / "a", outside)
        os.rmdir("b", dir_fd=folders[1])
    assert entries(moved) == []
    assert (outside / "b").is_dir()


@pytest.mark.parametrize("steps", [["link"], ["link", "b"], ["file"], ["file", "b"]])
def test_there_is_no_way_through_a_link_or_a_file(
    root: Path, descriptor: int, outside: Path, steps: list[str]
):
    (root / "link").symlink_to(outside)
    (root / "file").touch()
    before = open_descriptors()
    with pytest.raises(NotADirectoryError), opened(root, steps):
        pass
    with pytest.raises(NotADirectoryError), held(root, steps):
        pass
    with pytest.raises(InvalidKeyError), made(descriptor, steps):
        pass
    assert open_descriptors() == before


def test_what_is_to_be_forced_to_disk_begins_where_the_first_new_name_stands(
    root: Path, descriptor: int
):
    (root / "a").mkdir()

    def names(*steps: str) -> list[str]:
        with made(descriptor, steps) as folders:
            paths = [Path(f"/proc/self/fd/{folder}").readlink() for folder in folders]
        return [str(path.relative_to(root)) for path in paths]

    assert names("a", "b", "c") == ["a", "a/b", "a/b/c"]
    assert names("a", "b", "c") == ["a/b/c"]
    assert names("d") == [".", "d"]
    assert names() == ["."]


def test_a_folder_that_is_taken_away_is_said(root: Path):
    (root / "a").mkdir()
    with opened(root, ["a"]) as folder:
        (root / "a").rmdir()
        with pytest.raises(FileNotFoundError), made(folder, ["b"]):
            pass
