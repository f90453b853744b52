"""Reading a file that is longer than it said it was."""

from pathlib import Path

import pytest

from gateway.errors import ObjectTooLargeError
from gateway.storage.plain_files import read

# Its length is told as 0, as that of a file that nobody has written to yet.
LONGER = (Path("/proc/self"), ["status"])


def test_file_that_grows_is_read_to_its_end() -> None:
    assert read(*LONGER, None).startswith(b"Name:")


def test_file_that_grows_beyond_the_limit_is_too_large() -> None:
    with pytest.raises(ObjectTooLargeError):
        read(*LONGER, 16)
