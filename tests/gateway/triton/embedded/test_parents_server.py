"""The Triton of the parent process, seen from a child."""

import asyncio
import json
import os
import sys

import pytest

from gateway.triton.embedded import EmbeddedTriton
from gateway.triton.embedded.parents_server import ParentsTriton

_CHILD = """
import json
from gateway.triton.embedded.parents_server import ParentsTriton

triton = ParentsTriton(lambda: print("restart"))
print(json.dumps(sorted(triton.backends_of("affine"))))
print(json.dumps(sorted(triton.lost_backends())))
assert triton.restart() is False
triton.end_backends("affine", frozenset())
"""


async def test_backends_are_those_of_the_parents_server(triton: EmbeddedTriton):
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CHILD), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    backends, lost, restart = out.decode().splitlines()
    assert child.returncode == 0
    assert json.loads(backends) == sorted(triton.backends_of("affine"))
    assert len(json.loads(backends)) == 1
    assert json.loads(lost) == sorted(triton.lost_backends())
    assert restart == "restart"


def test_without_a_server_there_are_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "getppid", lambda: 2**30)
    triton = ParentsTriton(lambda: None)
    assert triton.backends_of("affine") == triton.lost_backends() == frozenset()
    triton.end_backends("affine", frozenset({2**30}))
