"""Runs one Triton and answers for its end: no process and no shared memory outlives it.

Started by `process.py` as a script of its own, on the standard library alone. The gateway holds
the other end of the guardian's standard input, so the kernel itself reports the gateway's death,
`kill -9` included. The kernel's parent-death signal would not do for the gateway: it follows the
thread that forked, not the process. Here it does, since the guardian has one thread only.

It ends with the server's exit code (128 plus the signal's number if one ended it) when

- the server ended by itself;
- SIGTERM asked for an orderly stop: the server gets SIGTERM and `--grace` seconds;
- SIGINT asked for the end at once: the server is killed;
- standard input closed, since the gateway died: the server is killed and its folder removed.
"""

import argparse
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STDIN = 0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the kernel's own, where Triton makes its regions


def main() -> int:
    """Return the exit code of the command that was run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--grace", type=float, required=True, help="seconds from TERM to KILL")
    parser.add_argument("--shm-prefix", required=True, help="of the server's shared memory files")
    parser.add_argument("--folder", type=Path, required=True, help="removed if the gateway dies")
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args()

    wakeup = _catch_signals()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Backend processes whose server died become children of the guardian, not of init.
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    server = subprocess.Popen(  # noqa: S603 - the command comes from the launcher
        arguments.command,
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 - one thread
    )
    gateway_lives = _watch(server, wakeup, arguments.grace)
    _kill_group(server)
    for region in _SHARED_MEMORY.glob(f"{arguments.shm_prefix}*"):
        region.unlink(missing_ok=True)
    if not gateway_lives:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    return server.returncode if server.returncode >= 0 else 128 - server.returncode


def _catch_signals() -> int:
    """Return a file descriptor from which the numbers of arrived signals can be read.

    Handlers, not SIG_IGN, which the server would inherit.
    """
    readable, writable = os.pipe()
    os.set_blocking(readable, False)
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return readable


def _watch(server: subprocess.Popen[bytes], wakeup: int, grace_s: float) -> bool:
    """Wait until the server has ended or has to be killed; False if the gateway died."""
    deadline = float("inf")
    while not _has_ended(server) and time.monotonic() < deadline:
        timeout = None if deadline == float("inf") else max(0.0, deadline - time.monotonic())
        ready, _, _ = select.select([_STDIN, wakeup], [], [], timeout)
        if _STDIN in ready:  # nothing is ever written: this is the end of file
            return False
        arrived = os.read(wakeup, 512) if wakeup in ready else b""
        if signal.SIGINT in arrived:
            return True
        if signal.SIGTERM in arrived:
            server.terminate()
            deadline = min(deadline, time.monotonic() + grace_s)
    return True


def _has_ended(server: subprocess.Popen[bytes]) -> bool:
    # Left as a zombie: its process id, and so its group's, cannot be given to anybody else.
    options = os.WEXITED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, server.pid, options) is not None


def _kill_group(server: subprocess.Popen[bytes]) -> None:
    """End the server and its backend processes; return when none is left."""
    os.killpg(server.pid, signal.SIGKILL)
    server.wait()
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    sys.exit(main())
