"""inotify itself: changes are told by path, and folders that are gone are passed over."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.inotify import Inotify, limit
from tests.support.gateway import until


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    opened = Inotify()
    yield opened
    opened.close()


async def test_changes_are_told_by_path(inotify: Inotify, tmp_path: Path):
    inotify.watch(str(tmp_path))
    assert inotify.take() == (set(), False)
    (tmp_path / "a.png").write_bytes(b"1")
    (tmp_path / "b.png").write_bytes(b"2")
    told: set[str] = set()

    def are_told() -> bool:
        told.update(inotify.take()[0])
        return told == {str(tmp_path / "a.png"), str(tmp_path / "b.png")}

    await until(are_told)


def test_a_folder_that_is_gone_is_passed_over(inotify: Inotify, tmp_path: Path):
    inotify.watch(str(tmp_path / "gone"))
    (tmp_path / "file").write_bytes(b"")
    inotify.watch(str(tmp_path / "file"))
    assert inotify.take() == (set(), False)


def test_limits_are_read_as_far_as_the_system_tells():
    assert (limit("max_user_watches") or 0) > 0
    assert limit("max_user_wishes") is None
