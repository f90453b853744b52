"""Takes out of a site-packages folder what the gateway never loads; run while its image is built.

    python3 docker/slim.py /opt/radstream/lib/python3.11/site-packages

Needs `readelf` and `strip` (binutils). What goes: codecs for formats that no radiograph has, AWS
services that are never called, test suites, the shared libraries that only those needed, and
debugging symbols.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

# Extension modules of imagecodecs that preprocess/codestream.py reaches, and what they share.
CODECS = {"_imcd", "_shared", "_shared_cython", "_htj2k", "_jpeg2k", "_jpeg8", "_jpegls"}
# Pillow's modules for formats that the gateway neither takes nor draws.
UNUSED_PILLOW = {"_avif", "_webp", "_imagingcms", "_imagingtk"}
# Service models of botocore: the store, the stream, and the role of a pod (IRSA).
AWS_SERVICES = {"s3", "kinesis", "sts"}
UNUSED_FOLDERS = ("**/tests", "numpy/f2py", "pydicom/data/test_files", "numpy/_core/include")

_NEEDED = re.compile(r"\(NEEDED\).*\[(.+)\]")


def slim(site_packages: Path) -> None:
    """Remove and strip, in the order in which one makes the next possible."""
    _remove_unused(site_packages)
    _remove_orphans(site_packages)
    for module in site_packages.rglob("*.so"):
        # auditwheel rewrote the modules that find their libraries by a run path; GNU strip can
        # break such files, and they come stripped.
        if not module.is_symlink() and "PATH)" not in _dynamic_section(module):
            subprocess.run(["strip", "--strip-unneeded", module], check=True)


def _remove_unused(site_packages: Path) -> None:
    for module in (site_packages / "imagecodecs").glob("_*.so"):
        if module.name.partition(".")[0] not in CODECS:
            module.unlink()
    for module in (site_packages / "PIL").glob("_*.so"):
        if module.name.partition(".")[0] in UNUSED_PILLOW:
            module.unlink()
    for service in (site_packages / "botocore" / "data").iterdir():
        if service.is_dir() and service.name not in AWS_SERVICES:
            shutil.rmtree(service)
    for pattern in UNUSED_FOLDERS:
        for folder in list(site_packages.glob(pattern)):
            shutil.rmtree(folder, ignore_errors=True)  # it lay in one removed before


def _remove_orphans(site_packages: Path) -> None:
    """Delete the wheels' own shared libraries that no module needs, directly or through another."""
    libraries = {file.name: file for file in site_packages.glob("*.libs/*")}
    wanted = [needed for module in site_packages.rglob("*.so") for needed in _needed_by(module)]
    reached: set[str] = set()
    while wanted:
        name = wanted.pop()
        if name in libraries and name not in reached:
            reached.add(name)
            wanted += _needed_by(libraries[name])
    for name in libraries.keys() - reached:
        libraries[name].unlink()


def _needed_by(file: Path) -> list[str]:
    return _NEEDED.findall(_dynamic_section(file))


def _dynamic_section(file: Path) -> str:
    done = subprocess.run(
        ["readelf", "--dynamic", file], check=True, capture_output=True, text=True
    )
    return done.stdout


if __name__ == "__main__":
    slim(Path(sys.argv[1]))
