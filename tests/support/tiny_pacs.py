"""A PACS on another DICOM library: tiny-pacs, whose moves send by pynetdicom2."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.dimse import TITLE, free_port
from tests.support.gateway import until
from tests.support.tools import tool

_TITLE = "TINY_PACS"


@dataclass(frozen=True)
class TinyPacs:
    """A PACS that knows the listener by its AE title."""

    port: int

    async def keep(self, files: Sequence[Path]) -> None:
        """Store files in the PACS."""
        await self._run("dcmsend", "-aec", _TITLE, *self._address, *map(str, files))

    async def move(self, study_instance_uid: str) -> str:
        """Have a study sent to the listener; return the move's output."""
        return await self._run(
            *("movescu", "-v", "-S", "-aec", _TITLE, "-aem", TITLE, "-k", "0008,0052=STUDY"),
            *("-k", f"0020,000D={study_instance_uid}", *self._address),
        )

    @property
    def _address(self) -> tuple[str, str]:
        return "127.0.0.1", str(self.port)

    async def _run(self, command: str, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            tool(command),
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        assert process.returncode == 0, output.decode(errors="replace")
        return output.decode(errors="replace")


@asynccontextmanager
async def running_tiny_pacs(folder: Path, dimse_port: int) -> AsyncIterator[TinyPacs]:
    """A PACS that moves studies to the port of loopback."""
    port = free_port()
    listener = {"aet": TITLE, "address": "127.0.0.1", "port": dimse_port}
    configuration = {
        "ae": {"ae_title": [_TITLE], "port": port, "dump_ds": False},
        "components": {
            "Database": {"on": True},
            "Devices": {"on": True, "devices": {TITLE: listener}},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(folder)},
        },
    }
    path = folder / "tiny-pacs.json"
    path.write_text(json.dumps(configuration))
    with (folder / "tiny-pacs.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tiny_pacs", "run", "-c", str(path)), stdout=log, stderr=log
        )
    try:

        async def is_ready() -> bool:
            assert process.returncode is None, (folder / "tiny-pacs.log").read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return False
            writer.close()
            return True

        await until(is_ready)
        yield TinyPacs(port)
    finally:
        process.terminate()
        await process.wait()
