import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gateway.triton.embedded.folder import TritonFolder
from gateway.triton.embedded.runtime import TritonRuntime, find_runtime

AN_HOUR_AGO = time.time() - 3600


@pytest.fixture(scope="module")
def runtime() -> TritonRuntime:
    return find_runtime()


@pytest.fixture
def folder(runtime: TritonRuntime) -> Iterator[TritonFolder]:
    folder = TritonFolder(runtime)
    yield folder
    folder.remove()


def test_backends_and_stub_lie_where_triton_looks(folder: TritonFolder):
    assert sorted(str(p.relative_to(folder.backends)) for p in folder.backends.glob("*/*")) == [
        "onnxruntime/model.py",
        "python/libtriton_python.so",
        "python/triton_python_backend_stub",
        "python/triton_python_backend_utils.py",
    ]


def test_its_python_finds_the_packages_and_nothing_of_the_environment(
    folder: TritonFolder, runtime: TritonRuntime
):
    program = "import sys, numpy, onnxruntime; print(sys.version, sys.prefix, numpy.__file__)"
    environment = folder.environment(runtime) | {"PYTHONPATH": "/nowhere", "PYTHONHOME": "/none"}
    printed = subprocess.run(
        # Isolated, as Triton's stub starts its interpreter.
        [folder.path / "bin" / "python3", "-I", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert printed == f"{sys.version} {folder.path} {np.__file__}\n"


def test_removed_folder_is_gone(runtime: TritonRuntime):
    folder = TritonFolder(runtime)
    folder.remove()
    assert not folder.path.exists()


def test_abandoned_folder_is_removed_with_its_processes_and_shared_memory(runtime: TritonRuntime):
    abandoned = TritonFolder(runtime)
    os.close(abandoned.lock_fd)  # as the death of its owner does
    program = abandoned.backends / "orphan"
    program.symlink_to("/bin/sleep")
    orphan = subprocess.Popen([program, "60"])
    # The kernel shows a new program's command line a moment after it has started.
    while not Path(f"/proc/{orphan.pid}/cmdline").read_bytes():
        time.sleep(0.001)
    region = Path("/dev/shm") / f"{abandoned.shm_prefix}region"  # noqa: S108
    region.touch()
    os.utime(abandoned.path, (AN_HOUR_AGO, AN_HOUR_AGO))
    TritonFolder(runtime).remove()
    assert not abandoned.path.exists()
    assert not region.exists()
    assert orphan.wait(10) == -signal.SIGKILL


def test_folder_of_a_living_owner_is_left_alone(folder: TritonFolder, runtime: TritonRuntime):
    os.utime(folder.path, (AN_HOUR_AGO, AN_HOUR_AGO))
    TritonFolder(runtime).remove()
    assert (folder.backends / "onnxruntime" / "model.py").exists()
