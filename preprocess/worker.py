"""A process that decodes files for `preprocess.workers`, and can be killed while it does.

Run as ``python -m preprocess.worker MEMORY``; requests on standard input, answers on
standard output, as `preprocess.wire` writes them.
"""

import json
import os
import resource
import signal
import sys
from typing import BinaryIO

from preprocess import wire
from preprocess.decode import decode
from preprocess.errors import PreprocessError, TooMuchMemoryError
from preprocess.types import Limits

READY = b"ready\n"
_GRACE_S = 1.0
_PRINTED_BYTES = 1 << 20  # what is printed beyond it is lost


def main() -> None:
    """Answer requests until standard input ends."""
    memory_bytes = int(sys.argv[1])
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    printed = _take_over_output()
    _limit_memory(memory_bytes)
    answers.write(READY)
    answers.flush()
    while line := requests.readline():
        _answer(json.loads(line), requests, answers, memory_bytes)
        answers.write(wire.pack_end(complained=_emptied(printed)))
        answers.flush()


def _take_over_output() -> int:
    """Redirect all that is printed to memory: no codec's words get out, or between the answers."""
    printed = os.memfd_create("printed")
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_PRINTED_BYTES, _PRINTED_BYTES))
    return printed


def _emptied(printed: int) -> bool:
    """Return True if anything was printed; it is forgotten."""
    sys.stderr.flush()
    anything = os.fstat(printed).st_size > 0
    os.ftruncate(printed, 0)
    os.lseek(printed, 0, os.SEEK_SET)
    return anything


def _limit_memory(memory_bytes: int) -> None:
    """Let the address space grow by this much over what it is now."""
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123  # no pathlib for one line
        pages = int(statm.read().split()[0])
    limit = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _answer(
    head: dict[str, object], requests: BinaryIO, answers: BinaryIO, memory_bytes: int
) -> None:
    # Should the pool die before it can kill this process, the alarm does, even inside a codec.
    signal.setitimer(signal.ITIMER_REAL, float(str(head["timeout_s"])) + _GRACE_S)
    try:
        data = requests.read(int(str(head["body_bytes"])))
        frames = decode(data, Limits(**head["limits"]), at_least=head["at_least"])  # type: ignore[arg-type]  # as the pool's own JSON has it
    except PreprocessError as error:
        answers.write(wire.pack_error(error))
    except MemoryError:
        answers.write(wire.pack_error(TooMuchMemoryError(memory_bytes)))
    else:
        answers.write(wire.pack_frames(frames))
        answers.writelines(frame.samples.data for frame in frames)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


if __name__ == "__main__":
    main()
