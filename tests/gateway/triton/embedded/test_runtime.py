import os
import subprocess
from pathlib import Path

import pytest

from gateway.triton.embedded import UnsupportedPlatformError
from gateway.triton.embedded.runtime import (
    Platform,
    _find_libpython,
    _find_stub,
    _package_folder,
    find_runtime,
)


@pytest.mark.parametrize(
    ("platform", "said"),
    [
        (Platform("Darwin", "arm64", None), "no Triton wheel for Darwin on arm64"),
        (Platform("Windows", "AMD64", None), "no Triton wheel for Windows on AMD64"),
        (Platform("Linux", "riscv64", (2, 39)), "no Triton wheel for Linux on riscv64"),
        (Platform("Linux", "x86_64", (2, 31)), "glibc 2.35 or newer .*, not 2.31"),
        (Platform("Linux", "aarch64", None), "glibc 2.35 or newer .*, not another C library"),
    ],
)
def test_platform_without_a_wheel_is_named_with_the_way_round(platform: Platform, said: str):
    with pytest.raises(UnsupportedPlatformError, match=said) as caught:
        platform.check()
    assert "docker compose up" in str(caught.value)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_platform_with_a_wheel_passes(machine: str):
    Platform("Linux", machine, (2, 35)).check()


def test_missing_package_is_named_with_the_command_that_installs_it():
    with pytest.raises(UnsupportedPlatformError, match=r"no_such_package .*\(pip install it\)"):
        _package_folder("no_such_package", "pip install it")


def test_python_without_a_stub_is_named_with_those_that_have_one(tmp_path: Path):
    for minor in ("3.8", "3.13"):
        (tmp_path / minor).mkdir()
    with pytest.raises(UnsupportedPlatformError, match=r"Python 3.8 to 3.13, not on 3.99"):
        _find_stub(tmp_path, "3.99")


def test_missing_shared_libpython_is_named_with_its_package(tmp_path: Path):
    stub = tmp_path / "stub"
    stub.write_bytes(b"\x7fELF ... libpython3.99.so.1.0 ...")
    with pytest.raises(UnsupportedPlatformError, match=r"apt install libpython3.99"):
        _find_libpython("3.99", stub)


def test_stub_that_links_to_a_library_of_the_wheel_needs_none(tmp_path: Path):
    stub = tmp_path / "stub"
    stub.write_bytes(b"\x7fELF ... libpython3-419a3a08.13.so.1.0 ...")
    assert _find_libpython("3.13", stub) is None


def test_installed_server_is_found_and_runs():
    runtime = find_runtime()
    environment = os.environ | {"LD_LIBRARY_PATH": str(runtime.libraries)}
    help_text = subprocess.run(
        [runtime.server, "--help"], env=environment, capture_output=True, text=True, check=False
    )
    assert "--model-repository" in help_text.stdout + help_text.stderr
