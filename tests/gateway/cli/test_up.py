"""`radstream up`: Triton is started at once, and not for nothing; see tests/e2e/test_up.py too."""

import socket
import subprocess
import sys

from tests.support.gateway import run_command


async def test_a_port_that_is_taken_is_told_before_triton_is_started():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        code, out, err = await run_command("up", RADSTREAM_HTTP__PORT=port)
    assert (code, out) == (1, "")
    assert [line for line in err.splitlines() if "triton" in line.lower()] == []
    assert err.startswith(f"Error: the gateway cannot listen on 127.0.0.1 port {port}: ")


def test_triton_is_started_without_what_the_gateway_needs():
    """What `radstream up` imports first holds up the start of Triton."""
    program = """
import sys
import gateway.cli.up
print(*sorted({"fastapi", "pydicom", "pynetdicom", "cv2", "obstore", "grpc"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
