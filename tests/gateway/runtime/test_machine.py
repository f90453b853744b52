"""A container's limits count where they are below the machine's."""

from pathlib import Path

import pytest

from gateway.runtime.machine import cores, memory_bytes


@pytest.mark.parametrize(
    ("share", "expected"),
    [("50000 100000", 1), ("100000 100000", 1), ("1 100000", 1), ("0 100000", 1)],
)
def test_a_share_of_time_counts_as_whole_cores(tmp_path: Path, share: str, expected: int):
    (tmp_path / "cpu.max").write_text(f"{share}\n")
    assert cores(tmp_path) == expected


@pytest.mark.parametrize("share", ["max 100000", "100000000 100000", "nonsense", ""])
def test_no_share_is_all_cores_that_the_process_may_use(tmp_path: Path, share: str):
    (tmp_path / "cpu.max").write_text(f"{share}\n")
    assert cores(tmp_path) == cores(tmp_path / "none") >= 1


def test_a_limit_of_memory_counts_where_it_is_less_than_the_machine_has(tmp_path: Path):
    whole = memory_bytes(tmp_path)
    for limit, expected in [("1048576", 2**20), ("max", whole), (str(2**60), whole)]:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert memory_bytes(tmp_path) == expected
