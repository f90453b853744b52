"""The processes of an embedded Triton, to be stopped and killed."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def triton_process(grpc_url: str) -> psutil.Process:
    """The `tritonserver` that listens there, started by this process or by a child of it."""
    port = grpc_url.rpartition(":")[2]
    [server] = [
        process
        for process in descendants(os.getpid(), "tritonserver")
        if f"--grpc-port={port}" in _arguments(process)
    ]
    return server


def backend_process(grpc_url: str, model_name: str) -> psutil.Process:
    """The process in which that Triton runs the one instance of a model."""
    [backend] = [
        process
        for process in descendants(triton_process(grpc_url).pid)
        if f"{model_name}_0_0" in _arguments(process)
    ]
    return backend


@contextmanager
def stopped(process: psutil.Process) -> Iterator[None]:
    """The process lives but does nothing until the block ends."""
    process.send_signal(signal.SIGSTOP)
    while not _stands_still(process):  # each thread stops by itself, and may answer before
        time.sleep(0.001)
    try:
        yield
    finally:
        if process.is_running():
            process.send_signal(signal.SIGCONT)


def is_alive(process: psutil.Process) -> bool:
    """Return whether it runs; one that only waits to be reaped, by init for one, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int, name: str | None = None) -> list[psutil.Process]:
    """The processes that live below that one, or those of a name; any may end at any moment."""
    return [
        child
        for child in psutil.Process(pid).children(recursive=True)
        if is_alive(child) and name in {None, _name(child)}
    ]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


def _stands_still(process: psutil.Process) -> bool:
    """Return whether none of its threads runs."""
    try:
        states = {
            status.read_text().rpartition(") ")[2][0]
            for status in Path(f"/proc/{process.pid}/task").glob("*/stat")
        }
    except (FileNotFoundError, ProcessLookupError):  # a thread ended meanwhile
        return False
    return states <= {"T"}


def _arguments(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # ended, or a zombie by now
        return []
