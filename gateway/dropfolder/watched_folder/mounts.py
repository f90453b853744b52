"""The file system that a folder lies on and its properties, as Linux lists its mounts.

References
----------
proc_pid_mountinfo(5)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

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
# Whose files keep their inode for life; FAT's, for one, get another whenever they are found anew.
_NUMBERED = frozenset(
    {
        *("ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "jfs", "reiserfs", "bcachefs"),
        *("tmpfs", "overlay"),
    }
)
_ESCAPED = re.compile(r"\\([0-7]{3})")


class FileSystem(NamedTuple):
    """The file system that a folder lies on.

    Parameters
    ----------
    remote
        Its type, if other machines or programs serve it, or a part of the folder; else None.
    numbers_files
        True if a file keeps its inode for life, and the system tells its last change.
    """

    remote: str | None
    numbers_files: bool


def file_system(folder: Path, mounts: Path = _MOUNTS) -> FileSystem:
    """Return the file system of a folder.

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
        return FileSystem(remote=None, numbers_files=True)
    above: tuple[int, str] = (0, "")
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(_ESCAPED.sub(_character, before.split(" ")[4]))
        kind = after.split(" ")[0]
        if point != folder and point.is_relative_to(folder) and _is_remote(kind):
            return FileSystem(remote=kind, numbers_files=False)
        if folder.is_relative_to(point) and len(point.parts) >= above[0]:
            above = len(point.parts), kind  # the last of one place lies over those before
    kind = above[1]
    return FileSystem(kind if _is_remote(kind) else None, kind in _NUMBERED)


def _is_remote(kind: str) -> bool:
    return kind.partition(".")[0] in _REMOTE


def _character(escaped: re.Match[str]) -> str:
    return chr(int(escaped[1], 8))
