"""Which file systems are remote, by lines as Linux writes them."""

from pathlib import Path

import pytest

from gateway.dropfolder.watched_folder.mounts import FileSystem, file_system

LOCAL = """\
22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid shared:12 - proc proc rw
40 22 0:45 / /srv rw,relatime - xfs /dev/sdb1 rw
"""


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("50 40 0:60 / /srv/drop rw,relatime shared:9 - nfs4 pacs:/export rw,vers=4.2", "nfs4"),
        ("50 40 0:60 / /srv/drop rw,relatime - cifs //pacs/export rw,vers=3.1.1", "cifs"),
        ("50 40 0:60 / /srv/drop rw - fuse.sshfs user@pacs:/ rw,user_id=0", "fuse.sshfs"),
        ("50 40 0:60 / /srv/drop rw master:1 - virtiofs share rw", "virtiofs"),
        ("50 40 0:60 / /srv/drop/S\\0401 rw - smb3 //pacs/export rw", "smb3"),
        ("50 40 0:60 / /srv/drop rw - ext4 /dev/sdc1 rw", None),
        ("50 40 0:60 / /srv/drop rw - overlay overlay rw,lowerdir=/a", None),
        ("50 40 0:60 / /srv/drop2 rw - nfs4 pacs:/export rw", None),
    ],
)
def test_mount_of_the_folder_or_below_it_decides(tmp_path: Path, line: str, kind: str | None):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{LOCAL}{line}\n")
    assert file_system(Path("/srv/drop"), mounts).remote == kind


def test_last_mount_on_one_place_lies_over_the_others(tmp_path: Path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"{LOCAL}50 40 0:60 / /srv rw - nfs pacs:/export rw\n51 40 0:61 / /srv rw - tmpfs none rw\n"
    )
    assert file_system(Path("/srv/drop"), mounts).remote is None
    mounts.write_text(f"{LOCAL}50 40 0:60 / /srv rw - nfs pacs:/export rw\n")
    assert file_system(Path("/srv/drop"), mounts).remote == "nfs"


def test_system_that_does_not_list_its_mounts_has_none_that_is_known(tmp_path: Path):
    assert file_system(Path("/srv/drop"), tmp_path / "none") == FileSystem(None, True)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("xfs", True), ("tmpfs", True), ("vfat", False), ("exfat", False), ("nfs", False)],
)
def test_inode_counts_where_a_file_keeps_it(tmp_path: Path, kind: str, numbers: bool):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"{LOCAL}50 40 8:1 / /srv/drop rw - {kind} /dev/sdc1 rw\n")
    assert file_system(Path("/srv/drop"), mounts).numbers_files is numbers
