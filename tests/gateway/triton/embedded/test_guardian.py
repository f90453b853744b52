"""Nothing outlives the owner of a Triton."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.gateway.triton.embedded.own_triton import SHARED_MEMORY

OWNER = """
import asyncio, sys
from pathlib import Path
from gateway.triton.embedded import EmbeddedTriton

async def main():
    async with EmbeddedTriton(Path(sys.argv[1]), on_log=lambda line: None):
        print("live", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def owner_process(model_repository: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that runs an embedded Triton, once that is live."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, model_repository], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        try:
            assert any(line == "live\n" for line in owner.stdout)
            yield owner
        finally:
            owner.kill()


@pytest.mark.server
def test_nothing_outlives_an_owner_that_is_killed(
    model_repository: Path, own_temporary_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(own_temporary_folder))
    monkeypatch.setenv("HOME", str(own_temporary_folder))
    with owner_process(model_repository) as owner:
        [folder] = own_temporary_folder.iterdir()  # and no file of onnxruntime's telemetry
        assert len(list(SHARED_MEMORY.glob(f"{folder.name}*"))) == 1
        family = psutil.Process(owner.pid).children(recursive=True)
        assert len(family) == 3  # guardian, server, backend process
        # Ctrl-C reaches the processes of the terminal's session only.
        assert os.getsid(owner.pid) not in {os.getsid(process.pid) for process in family}
        owner.kill()
        _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert not list(SHARED_MEMORY.glob(f"{folder.name}*"))
    assert not folder.exists()
