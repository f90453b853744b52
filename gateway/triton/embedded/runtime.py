"""Finds the parts of the real Triton that the nvidia-pytriton wheel carries."""

import importlib.util
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from gateway.triton.embedded.errors import UnsupportedPlatformError

_MACHINES = ("x86_64", "aarch64")
_GLIBC = (2, 35)  # the wheels are tagged manylinux_2_35


@dataclass(frozen=True, slots=True)
class Platform:
    """The properties of a machine that decide whether a Triton wheel exists for it."""

    system: str
    machine: str
    glibc: tuple[int, int] | None

    @classmethod
    def current(cls) -> Self:
        """Return the machine this process runs on."""
        return cls(platform.system(), platform.machine(), _glibc_version())

    def check(self) -> None:
        """Raise UnsupportedPlatformError unless there is a Triton wheel for this platform."""
        if self.system != "Linux" or self.machine not in _MACHINES:
            raise UnsupportedPlatformError(
                f"there is no Triton wheel for {self.system} on {self.machine}, "
                "only for Linux on x86_64 and aarch64"
            )
        if self.glibc is None or self.glibc < _GLIBC:
            found = "another C library" if self.glibc is None else "{}.{}".format(*self.glibc)
            raise UnsupportedPlatformError(
                f"the Triton wheel needs glibc 2.35 or newer (Debian 12, Ubuntu 22.04), not {found}"
            )


@dataclass(frozen=True, slots=True)
class TritonRuntime:
    """The files that make up one runnable Triton.

    Attributes
    ----------
    server : Path
        The `tritonserver` binary.
    libraries : Path
        The folder of the shared libraries that the wheel brings.
    python_backend : Path
        The folder of Triton's python backend.
    stub : Path
        The process that runs a Python model, built for the running Python's minor version.
    libpython : Path or None
        The shared library the stub links to; None if `libraries` has it.
    packages : tuple of Path
        The folders from which the backend imports numpy and onnxruntime.
    """

    server: Path
    libraries: Path
    python_backend: Path
    stub: Path
    libpython: Path | None
    packages: tuple[Path, ...]


def find_runtime() -> TritonRuntime:
    """Return the Triton installed beside this Python.

    Raises
    ------
    UnsupportedPlatformError
        There is no wheel for this platform, it is not installed, or it has no counterpart for
        this Python; or a package that the backend imports is missing.
    """
    Platform.current().check()
    site_packages = _package_folder("pytriton", "pip install -r requirements/triton.txt")
    root = site_packages / "pytriton" / "tritonserver"
    libraries = site_packages / "nvidia_pytriton.libs"
    python_minor = "{}.{}".format(*sys.version_info)
    stub = _find_stub(root / "python_backend_stubs", python_minor)
    packages = {
        _package_folder(name, f"pip install {name}"): None for name in ("numpy", "onnxruntime")
    }
    return TritonRuntime(
        server=root / "bin" / "tritonserver",
        libraries=libraries,
        python_backend=root / "backends" / "python",
        stub=stub,
        libpython=_find_libpython(python_minor, stub),
        packages=tuple(packages),
    )


def _glibc_version() -> tuple[int, int] | None:
    try:
        name, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()
    except (ValueError, OSError):  # another C library knows no such name
        return None
    major, minor = version.split(".")[:2]
    return (int(major), int(minor)) if name == "glibc" else None


def _package_folder(name: str, remedy: str) -> Path:
    """Return the folder that `import name` would import from, without an import."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise UnsupportedPlatformError(f"the package {name} is not installed ({remedy})")
    return Path(spec.origin).parents[1]


def _find_stub(stubs: Path, python_minor: str) -> Path:
    stub = stubs / python_minor / "triton_python_backend_stub"
    if not stub.exists():
        known = sorted((p.name for p in stubs.glob("3.*")), key=lambda name: int(name[2:]))
        raise UnsupportedPlatformError(
            f"its backend runs on Python {known[0]} to {known[-1]}, not on {python_minor}"
        )
    return stub


def _find_libpython(python_minor: str, stub: Path) -> Path | None:
    """Return the shared libpython to put in the stub's way.

    A Python built without --enable-shared (Debian's, Ubuntu's, pyenv's default) has none of its
    own; any library of the same minor version serves, because the stub takes the standard library
    and the packages from the running Python.
    """
    soname = f"libpython{python_minor}.so.1.0"
    if soname.encode() not in stub.read_bytes():  # that stub links to a copy inside the wheel
        return None
    folders = (
        sysconfig.get_config_var("LIBDIR"),
        f"{sys.base_prefix}/lib",
        f"/usr/lib/{platform.machine()}-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
        "/usr/local/lib",
    )
    for folder in folders:
        if folder and (library := Path(folder) / soname).exists():
            return library
    raise UnsupportedPlatformError(
        f"its backend needs the shared library {soname}, which this Python does not bring "
        f"(Debian, Ubuntu: apt install libpython{python_minor})"
    )
