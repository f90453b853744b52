"""Programs that the tests start and that no package of Python's brings."""

import os
import shutil

# A plain user's PATH has none of them, and Debian keeps its servers there.
_SERVERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def tool(name: str) -> str:
    """Return the path of an installed program, wherever Debian puts it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVERS])
    found = shutil.which(name, path=path)
    assert found is not None, f"{name} is not installed; `.ci/install-tools` does it"
    return found
