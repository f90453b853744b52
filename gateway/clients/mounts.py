"""Which file systems are served by other machines or programs, as Linux lists its mounts.

References
----------
proc_pid_mountinfo(5)
"""

from __future__ import annotations

import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
# What others write there is no event of this kernel's. FUSE's have a name of their own behind a
# dot.
_REMOTE = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "ncpfs", "afs", "ceph", "coda", "lustre", "gpfs"),
        *("glusterfs", "beegfs", "orangefs", "pvfs2", "ocfs2", "gfs2", "9p", "virtiofs"),
        *("vboxsf", "prl_fs", "vmhgfs", "fuse", "fuseblk"),
    }
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


def remote_file_system(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Type of the remote file system that the folder, or a part of it, lies on; None if on none.

    Parameters
    ----------
    folder
        Absolute, without links.
    mounts
        The list of mounts, in the kernel's format.
    """
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:  # another system than Linux
        return None
    above: tuple[int, str] = (0, "")
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_ESCAPED.sub(_character, before.split(" ")[4]))
        kind = after.split(" ")[0]
        if point != folder and point.is_relative_to(folder) and _is_remote(kind):
            return kind
        if folder.is_relative_to(point) and len(point.parts) >= above[0]:
            above = len(point.parts), kind  # the last of one place lies over those before
    return above[1] if _is_remote(above[1]) else None


def _is_remote(kind: str) -> bool:
    return kind.partition(".")[0] in _REMOTE


def _character(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 8))
