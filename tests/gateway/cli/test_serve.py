"""`radstream serve`: what keeps it from starting ends it with a sentence."""

from pathlib import Path

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.app.test_server import environment
from tests.support.gateway import running_command


async def test_a_port_that_is_taken_is_a_failure(triton: EmbeddedTriton, tmp_path: Path):
    async with running_command("serve", **environment(triton, tmp_path)) as first:
        port = (await first.url()).rpartition(":")[2]
        variables = environment(triton, tmp_path, RADSTREAM_HTTP__PORT=port)
        async with running_command("serve", **variables) as second:
            assert await second.process.wait() != 0
            [told] = second.err
        assert told == (
            f"Error: the gateway cannot listen on 127.0.0.1 port {port}: another program listens "
            "there. RADSTREAM_HTTP__PORT chooses another port"
        )
        assert await first.stop() == 0
