"""Files that follow one another; see the tests of audit and telemetry for those that are full."""

import datetime as dt
from pathlib import Path

import pytest

from gateway.storage.rolling_file import RollingFile


@pytest.mark.parametrize(("daily", "files"), [(True, [2, 2]), (False, [4])])
async def test_new_day_begins_a_file_where_it_should(
    tmp_path: Path, *, daily: bool, files: list[int]
):
    rolling = RollingFile(
        tmp_path, "%Y-%m-%d-%f", file_bytes=100, prepare=lambda: None, daily=daily
    )
    await rolling.append(b"1\n")
    rolling._begun -= dt.timedelta(days=1)
    await rolling.append(b"2\n")
    await rolling.close()
    assert [path.stat().st_size for path in sorted(tmp_path.iterdir())] == files
