"""Validators of DICOM objects that are not ours."""

import subprocess
import sys
from pathlib import Path

from tests.support.tools import tool

_PIXELMED = "/usr/share/java/pixelmed.jar"
# The validator's style sheets pass the limits that Java has set to them since.
_UNLIMITED = [f"-Djdk.xml.xpath{kind}Limit=0" for kind in ("TotalOp", "ExprOp", "ExprGrp")]


def dciodvfy(file: Path, iod: str = "Comprehensive3DSR") -> list[str]:
    """Return the errors of David Clunie's dciodvfy in an object of this IOD."""
    command = [str(Path(sys.executable).parent / "dciodvfy"), "-new", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert iod in said, said
    return [line for line in said.splitlines() if line.startswith("Error")]


def pixelmed(file: Path) -> list[str]:
    """Return the errors of PixelMed's validator of structured reports, by the edition of 2022."""
    java = [tool("java"), "-Djava.awt.headless=true", *_UNLIMITED, "-cp", _PIXELMED]
    command = [*java, "com.pixelmed.validate.DicomSRValidator", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stdout + done.stderr
    assert "IOD validation complete" in said, said
    return [line for line in said.splitlines() if line.startswith("Error")]
