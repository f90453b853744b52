"""Programs of which the log is read."""

import json
import subprocess
import sys
from typing import Any

from tests.support.gateway import ROOT

MARK = "MUSTERMANN"


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def printed(program: str) -> list[dict[str, Any]]:
    """The events that a program writes to standard error; it writes nothing else anywhere."""
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert ran.stdout == ""
    assert MARK not in ran.stderr  # what a library says may quote anything
    return lines(ran.stderr)


# What a study's libraries may do: warn by either way, and print from C.
COMPLAINTS = """
import logging, os, time, warnings
from gateway.observability import logs
from gateway.observability.library_warnings import one_event
from gateway.settings import LogSettings
logs.configure(LogSettings(format="json", level="info"))

def complain():
    for number in range(9):
        warnings.warn(f"MUSTERMANN {number}", stacklevel=1)
    logging.getLogger("pydicom").warning("MUSTERMANN")
"""
