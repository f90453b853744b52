"""Files of secrets: as people write them, and what is none."""

from pathlib import Path

import pytest

from gateway.delivery.secret_files import secret_in
from gateway.errors import DeliveryUnansweredError


def test_blanks_around_a_secret_are_not_of_it(tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(" s3cr3t\n")
    assert secret_in(file) == "s3cr3t"


@pytest.mark.parametrize("data", [b"", b" \n", b"a\0b", b"a\nb", b"\xff"])
def test_what_is_no_secret_is_told_without_it(tmp_path: Path, data: bytes):
    file = tmp_path / "secret"
    file.write_bytes(data)
    with pytest.raises(DeliveryUnansweredError) as caught:
        secret_in(file)
    assert "credentials" in caught.value.reason


def test_a_file_that_is_not_there_may_be_there_soon(tmp_path: Path):
    with pytest.raises(DeliveryUnansweredError):
        secret_in(tmp_path / "secret")
