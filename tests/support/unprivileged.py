"""A process that permissions bind, where the tests run as root and none binds them.

A process of its own: rights are lost by all threads of one, and a gateway that lives in the same
process would meet its folders closed. Its program has imported all that it needs when the rights
go, so that the checkout may lie where no other user can look.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.gateway import ROOT

NOBODY = 65534
_OPEN_TO_ALL = "/tmp"  # noqa: S108 - TMPDIR may lie in a home, which others cannot enter


@contextmanager
def public_folder() -> Iterator[Path]:
    """A new folder on whose way no folder is closed to any user."""
    with tempfile.TemporaryDirectory(dir=_OPEN_TO_ALL) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def drop_privileges() -> None:
    """Give up root's rights for the rest of the process; others have none to give up."""
    if os.geteuid() == 0:
        os.seteuid(NOBODY)


def answer_of(program: str, *arguments: str | Path) -> Any:
    """Return what a program of Python prints as JSON; it calls `drop_privileges` itself."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
