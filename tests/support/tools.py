"""Programs that the tests start and that no package of Python's brings."""

import os
import shutil
import sys
from pathlib import Path

# A plain user's PATH has none of them, and Debian keeps its servers there.
_SERVERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def tool(name: str) -> str:
    """Return the path of an installed program, wherever Debian puts it.

    Notes
    -----
    Folders of this Python's are left out: pynetdicom's clients have the names of dcmtk's, and come
    first on the PATH of whoever has activated the virtual environment.
    """
    given = os.environ.get("PATH", os.defpath).split(os.pathsep)
    folders = [each for each in given if Path(each) != Path(sys.executable).parent]
    found = shutil.which(name, path=os.pathsep.join([*folders, *_SERVERS]))
    assert found is not None, f"{name} is not installed; `.ci/install-tools` does it"
    return found
