"""Files that are closed to the gateway, or are still being copied."""

from contextlib import aclosing
from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.folder import WatchedFolder
from gateway.dropfolder.watched_folder.ledger import Ledger
from gateway.dropfolder.watched_folder.settled_files import SettledFiles
from gateway.errors import ObjectNotFoundError
from tests.gateway.dropfolder.watched_folder.listening import told_next
from tests.support.unprivileged import answer_of, public_folder

READ_CLOSED_FILE = """
import asyncio, json, sys
from pathlib import Path
from gateway.dropfolder.watched_folder.settled_files import DroppedFiles
from gateway.errors import ObjectNotReadableError
from tests.support.unprivileged import drop_privileges

drop_privileges()
image = Path(sys.argv[1]) / "x.png"
image.write_bytes(b"1")
image.chmod(0)
try:
    asyncio.run(DroppedFiles(image.parent).read("x.png"))
except ObjectNotReadableError as error:
    print(json.dumps(error.reason))
"""


def test_file_that_is_closed_to_the_gateway_is_no_trouble_of_the_store():
    with public_folder() as folder:
        folder.chmod(0o777)
        assert answer_of(READ_CLOSED_FILE, folder) == "permission denied"


async def test_file_that_is_being_copied_is_not_there_for_those_who_look_beside_another(
    tmp_path: Path,
):
    folder = WatchedFolder(tmp_path, ledger=Ledger(None), settle_s=0.05)
    files = SettledFiles(tmp_path, folder.is_whole)
    (tmp_path / "x.json").write_bytes(b"{}")
    async with aclosing(folder.settled()) as batches:
        assert await told_next(batches) == ["x.json"]
        (tmp_path / "x.png").write_bytes(b"1" * 10 + b"\0" * 100)
        assert await files.keys("x.") == ["x.json"]
        with pytest.raises(ObjectNotFoundError):
            await files.read("x.png")
        (tmp_path / "x.png").write_bytes(b"1" * 110)
        assert await told_next(batches) == ["x.png"]
        assert await files.keys("x.") == ["x.json", "x.png"]
        assert await files.read("x.png") == b"1" * 110
        (tmp_path / "x.json").write_bytes(b'{"a"')
        assert await files.keys("x.") == ["x.png"]
