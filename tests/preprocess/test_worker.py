"""A process that decodes is bounded, and ends with its owner."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

from preprocess import (
    CorruptImageError,
    DecodeWorkers,
    TooMuchMemoryError,
)
from tests.preprocess.processes import PICTURE, alive, jpeg_ls


def test_memory_is_bounded():
    with DecodeWorkers(memory_bytes=48 << 20) as pool:
        with pytest.raises((TooMuchMemoryError, CorruptImageError)):
            pool.decode(jpeg_ls(np.zeros((8000, 8000), np.uint16)))
        np.testing.assert_array_equal(pool.decode(jpeg_ls())[0].samples, PICTURE)


def test_a_process_ends_when_its_owner_does():
    program = (
        "import os, sys; from preprocess import DecodeWorkers; pool = DecodeWorkers();"
        "pool.decode(sys.stdin.buffer.read());"
        "print(pool._workers[0]._process.pid, flush=True); os._exit(1)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.run(
        [sys.executable, "-c", program],
        input=jpeg_ls(),
        capture_output=True,
        env=environment,
        check=False,
    )
    pid = int(owner.stdout)
    while alive(pid):
        time.sleep(0.01)
