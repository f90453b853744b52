"""Whose the key file is, so that the gateway can read what another user writes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.access.api_keys import KeyDocument, KeyFileError
from gateway.access.key_file import change_keys, read_keys
from tests.support.unprivileged import NOBODY, answer_of, public_folder

# Reads the key file as the user whose it is, whom permissions bind.
READER = """
import json, sys
from pathlib import Path
from gateway.access.api_keys import KeyFileError
from gateway.access.key_file import read_keys
from tests.support.unprivileged import drop_privileges

drop_privileges()
try:
    print(json.dumps({"keys": len(read_keys(Path(sys.argv[1])).keys)}))
except KeyFileError as error:
    print(json.dumps({"refused": str(error)}))
"""


def unchanged(document: KeyDocument) -> KeyDocument:
    return document


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, as `tmp_path` is not, and that is somebody's."""
    with public_folder() as path:
        if not os.geteuid():
            os.chown(path, NOBODY, NOBODY)
        yield path


def test_a_new_file_belongs_to_whom_its_folder_belongs(folder: Path):
    change_keys(folder / "keys.json", unchanged)
    made = (folder / "keys.json").stat()
    assert (made.st_uid, made.st_gid) == (folder.stat().st_uid, folder.stat().st_gid)
    assert mode_of(folder / "keys.json") == 0o600
    assert answer_of(READER, folder / "keys.json") == {"keys": 0}


@pytest.mark.parametrize(("before", "after"), [(0o600, 0o600), (0o640, 0o640), (0o666, 0o640)])
def test_a_changed_file_stays_its_owners_and_its_groups(tmp_path: Path, before: int, after: int):
    file = tmp_path / "keys.json"
    change_keys(file, unchanged)
    file.chmod(before)
    if not os.geteuid():
        os.chown(file, NOBODY, NOBODY)
    owner = (file.stat().st_uid, file.stat().st_gid)
    change_keys(file, unchanged)
    assert (file.stat().st_uid, file.stat().st_gid) == owner
    assert mode_of(file) == after


def test_a_file_that_its_owner_could_not_read_any_more_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_descriptor: int, _uid: int, _gid: int) -> None:
        raise PermissionError

    file = tmp_path / "keys.json"
    change_keys(file, unchanged)
    before = file.read_bytes(), file.stat().st_ino
    monkeypatch.setattr(os, "fchown", refuse)
    monkeypatch.setattr(os, "geteuid", lambda: NOBODY - 1)
    with pytest.raises(KeyFileError, match=f"could not read what {NOBODY - 1} writes; run"):
        change_keys(file, unchanged)
    assert (file.read_bytes(), file.stat().st_ino) == before
    assert [each.name for each in tmp_path.iterdir()] == ["keys.json"]


def test_a_file_that_may_not_be_read_is_told_with_the_remedy(folder: Path):
    file = folder / "keys.json"
    change_keys(file, unchanged)
    file.chmod(0o000)
    told = answer_of(READER, file)["refused"]
    assert told.startswith("Permission denied; ")
    assert "`chown " in told
    assert f" {file}`" in told


def test_a_file_that_is_not_there_is_told_with_the_remedy(tmp_path: Path):
    with pytest.raises(KeyFileError, match="`radstream keys create` makes it"):
        read_keys(tmp_path / "keys.json")
