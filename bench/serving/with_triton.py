"""Runs a server that wants a Triton beside it: `with_triton REPOSITORY FOLDER COMMAND…`."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from gateway.triton.embedded import EmbeddedTriton


async def main() -> None:
    """Start Triton, then the command in its folder with TRITON and TRITON_HTTP; end both."""
    repository, folder, *command = sys.argv[1:]
    async with EmbeddedTriton(Path(repository)) as triton:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=os.environ | {"TRITON": triton.grpc_url, "TRITON_HTTP": triton.http_url},
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, process.terminate)
        await process.wait()


asyncio.run(main())
