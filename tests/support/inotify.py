"""Processes that have less of inotify than they need, as on a machine that others use up."""

import subprocess
import sys

import pytest


def limited(what: str, count: int) -> list[str]:
    """The beginning of a command line whose process may have so many ``instances`` or ``watches``.

    The limit is a user namespace's own: nobody else is short of anything.
    """
    limit = f"/proc/sys/user/max_inotify_{what}"
    command = ["unshare", "--user", "--map-root-user", "sh", "-ec"]
    prefix = [*command, f'echo {count} > {limit}; exec "$@"', "sh"]
    tried = subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("this system has no user namespaces for a test")
    return prefix
