"""Processes that have less of inotify than they need, as on a machine that others use up.

The kernel asks a supervisor about each of their calls (seccomp's user notification), which lets
the first ones through and answers the others as the kernel does where a limit is met. It needs no
rights and takes nothing from anybody else, as to use up a real limit would.

References
----------
seccomp(2), seccomp_unotify(2)
"""

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

_MACHINE = {"x86_64": 0, "aarch64": 1}
_SECCOMP = (317, 277)
# inotify_init and inotify_init1, inotify_add_watch
_CALLS = {"instances": ((253, 294), (26,)), "watches": ((254,), (27,))}
_ANSWERS = {"instances": errno.EMFILE, "watches": errno.ENOSPC}

_NO_NEW_PRIVS, _FILTER, _LISTENER = 38, 1, 8
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ASK, _ALLOW = 0x7FC00000, 0x7FFF0000
_RECEIVE, _SEND, _CONTINUE = 0xC0502100, 0xC0182101, 1
_QUESTION_BYTES = 80


def limited(what: str, count: int) -> list[str]:
    """The beginning of a command line whose process may have so many ``instances`` or ``watches``.

    Each watch that is asked for counts, were it there before or not.
    """
    return [sys.executable, str(Path(__file__)), what, str(count)]


def _main() -> None:
    what, count, *command = sys.argv[1:]
    ours, theirs = socket.socketpair()
    if os.fork() == 0:  # the supervisor is nobody's child: the command may wait for its own
        if os.fork() == 0:
            ours.close()
            _, [listener], _, _ = socket.recv_fds(theirs, 1, 1)
            nowhere = os.open(os.devnull, os.O_RDWR)
            for descriptor in range(3):
                os.dup2(nowhere, descriptor)
            _supervise(listener, int(count), _ANSWERS[what])
        os._exit(0)
    os.wait()
    theirs.close()
    listener = _listen(what)
    socket.send_fds(ours, [b"."], [listener])
    ours.close()
    os.close(listener)
    os.execvp(command[0], command)  # noqa: S606 - a test's own command


def _listen(what: str) -> int:
    """Have the kernel ask about these calls of this process from now on."""
    machine = _MACHINE[os.uname().machine]
    calls = _CALLS[what][machine]
    program = struct.pack("HBBI", _LOAD, 0, 0, 0)  # the call's number
    for left, call in enumerate(reversed(calls)):
        equal = struct.pack("HBBI", _EQUAL, left + 1, 0, call)
        program = program[:8] + equal + program[8:]
    program += struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)
    program += struct.pack("HBBI", _RETURN, 0, 0, _ASK)
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(held))
    c = ctypes.CDLL(None, use_errno=True)
    c.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = c.syscall(_SECCOMP[machine], _FILTER, _LISTENER, header)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return listener


def _supervise(listener: int, count: int, answer: int) -> None:
    """Let so many calls through until the process and all that it started have ended."""
    events = select.poll()
    events.register(listener, select.POLLIN)
    while not events.poll()[0][1] & select.POLLHUP:
        question = bytearray(_QUESTION_BYTES)
        passes = count > 0
        with suppress(FileNotFoundError):  # whoever asked was killed meanwhile
            fcntl.ioctl(listener, _RECEIVE, question)
            [number] = struct.unpack_from("Q", question)
            reply = (0, _CONTINUE) if passes else (-answer, 0)
            fcntl.ioctl(listener, _SEND, bytearray(struct.pack("QqiI", number, 0, *reply)))
            count -= passes


if __name__ == "__main__":
    _main()
