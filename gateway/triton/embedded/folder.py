"""The temporary folder of one embedded Triton: its backends and a Python environment for them."""

import contextlib
import fcntl
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from gateway.triton.embedded.runtime import TritonRuntime

_PREFIX = "radstream-triton-"
_LOCKED_WITHIN_S = 60.0  # a folder younger than this may be about to be locked by its maker
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the kernel's own, where Triton makes its regions
_ONNXRUNTIME_MODEL = Path(__file__).with_name("onnxruntime_backend") / "model.py"


class TritonFolder:
    """A folder that Triton runs from, locked for as long as its owner lives.

    The folder's name is also the prefix of the server's shared memory files, so that a folder whose
    lock is free tells what else its owner left behind.

    Attributes
    ----------
    path : Path
        The folder.
    lock_fd : int
        Holds the lock; a process that inherits it holds the lock too.
    """

    def __init__(self, runtime: TritonRuntime) -> None:
        _remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self.lock_fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self.lock_fd, fcntl.LOCK_EX)
        self._lay_out_backends(runtime)
        self._lay_out_python(runtime)

    @property
    def backends(self) -> Path:
        """The folder for `--backend-directory`."""
        return self.path / "backends"

    @property
    def shm_prefix(self) -> str:
        """Return the prefix of the names of the server's shared memory files."""
        return _shm_prefix(self.path)

    def environment(self, runtime: TritonRuntime) -> dict[str, str]:
        """Return the variables that make the backend's Python find its library and packages.

        Its interpreter ignores PYTHONPATH and PYTHONHOME (pybind11 starts Python 3.11 and newer
        in isolated mode), but takes the first `python3` on PATH for itself, `pyvenv.cfg` included.
        """
        return {
            "PATH": os.pathsep.join([str(self.path / "bin"), os.environ.get("PATH", os.defpath)]),
            "LD_LIBRARY_PATH": os.pathsep.join([str(runtime.libraries), str(self.path / "lib")]),
        }

    def kill_backend_processes(self) -> None:
        """Kill what runs from this folder, for the guardian that was killed before it could.

        The kernel ends the server with its guardian. A backend process looks now and then whether
        its server lives, but can by then be waiting for a lock that no process will release.
        """
        _kill_backend_processes(self.path)

    def remove_shared_memory(self) -> None:
        """Delete the shared memory files of this folder's server."""
        _remove_shared_memory(self.path)

    def remove(self) -> None:
        """Delete the folder and let go of its lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock_fd)

    def _lay_out_backends(self, runtime: TritonRuntime) -> None:
        python, onnxruntime = self.backends / "python", self.backends / "onnxruntime"
        python.mkdir(parents=True)
        onnxruntime.mkdir()
        for source in runtime.python_backend.glob("*.*"):
            # Copied: Triton refuses a library whose link leads out of the backend's folder.
            shutil.copy2(source, python)
        (python / runtime.stub.name).symlink_to(runtime.stub)
        shutil.copy2(_ONNXRUNTIME_MODEL, onnxruntime)

    def _lay_out_python(self, runtime: TritonRuntime) -> None:
        """Make a virtual environment of the running Python that sees the gateway's packages."""
        interpreter = Path(getattr(sys, "_base_executable", sys.executable))
        library = self.path / "lib"
        packages = library / "python{}.{}".format(*sys.version_info) / "site-packages"
        packages.mkdir(parents=True)
        (packages / "gateway.pth").write_text("".join(f"{p}\n" for p in runtime.packages))
        (self.path / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
        (self.path / "bin").mkdir()
        (self.path / "bin" / "python3").symlink_to(interpreter)
        if runtime.libpython is not None:
            (library / runtime.libpython.name).symlink_to(runtime.libpython)


def _remove_abandoned() -> None:
    """Delete what an owner left that was killed together with its guardian."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime < _LOCKED_WITHIN_S:
                continue
            lock_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:  # gone by now, or another user's
            continue
        try:
            fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:  # its owner lives
            continue
        else:
            _kill_backend_processes(path)
            _remove_shared_memory(path)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(lock_fd)


def _shm_prefix(folder: Path) -> str:
    return f"{folder.name}-"


def _remove_shared_memory(folder: Path) -> None:
    for region in _SHARED_MEMORY.glob(f"{_shm_prefix(folder)}*"):
        region.unlink(missing_ok=True)


def _kill_backend_processes(folder: Path) -> None:
    """Kill the processes that were started as a program in this folder."""
    programs = os.fsencode(folder / "backends") + b"/"
    for command_line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended by now
            if command_line.read_bytes().startswith(programs):
                os.kill(int(command_line.parent.name), signal.SIGKILL)
