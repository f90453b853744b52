"""A secret that is made once and kept."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.runtime.secret_file import kept_secret


def test_the_secret_is_the_same_at_every_start_and_its_owners_alone(tmp_path: Path):
    path = tmp_path / "spool" / "study-ref.key"
    secret = kept_secret(path)
    assert len(bytes.fromhex(secret)) == 32
    assert kept_secret(path) == secret
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_whoever_makes_it_first_is_followed(tmp_path: Path):
    with ThreadPoolExecutor(8) as threads:
        made = set(threads.map(kept_secret, [tmp_path / "key"] * 64))
    assert len(made) == 1


def test_another_folder_has_another_secret(tmp_path: Path):
    assert kept_secret(tmp_path / "a") != kept_secret(tmp_path / "b")


def test_a_place_that_cannot_be_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        kept_secret(tmp_path / "file" / "key")
