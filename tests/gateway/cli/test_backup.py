"""`radstream backup` as it is called: exit status, what it prints, and the folder that it makes."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.storage.folder import FolderStore
from tests.gateway.verification.filled import fill
from tests.support.unprivileged import answer_of, public_folder

# One process for all cases, since it takes a while to import the command.
PROGRAM = """
import json, os, resource, sys
from pathlib import Path
from click.testing import CliRunner
from gateway.cli.backup import backup
from tests.support.unprivileged import drop_privileges

os.chdir(sys.argv[1])
drop_privileges()
document = Path("store/routing/document.json").absolute()
document.parent.mkdir(parents=True)
env = {"RADSTREAM_STORE__FOLDER": str(document.parents[1]), "RADSTREAM_AUDIT__FOLDER": "none"}

def case(folder):
    answer = CliRunner().invoke(backup, [folder], env=env)
    files = [each.name for each in Path(folder).glob("*")]
    return [answer.exit_code, answer.output, files]

document.touch(mode=0)
told = [case("unreadable"), case("/proc/new")]
document.chmod(0o600)
document.write_bytes(bytes(1000))
resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))
print(json.dumps([*told, case("full")]))
"""


def back_up(folder: Path, *options: str, **settings: str) -> Result:
    env = {f"RADSTREAM_{name.upper()}": value for name, value in settings.items()}
    return CliRunner().invoke(main, ["backup", str(folder), *options], env=env)


@pytest.fixture
async def named(tmp_path: Path) -> dict[str, str]:
    """Settings of a store with one of everything, and of an audit trail."""
    objects = FolderStore(tmp_path / "store")
    await objects.open()
    await fill(objects)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit/audit-1.jsonl").write_bytes(b"{}\n")
    return {"store__folder": str(tmp_path / "store"), "audit__folder": str(tmp_path / "audit")}


def test_store_and_audit_trail_are_copied(named: dict[str, str], tmp_path: Path):
    answer = back_up(tmp_path / "new", **named)
    objects = [path for path in (tmp_path / "new/store").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in objects)
    assert (answer.exit_code, answer.stdout, answer.stderr) == (
        0,
        f"studies: 1, objects: 21, bytes: {size}, unreadable: 0\n",
        "",
    )
    assert len(objects) == 21
    assert (tmp_path / "new/audit/audit-1.jsonl").read_bytes() == b"{}\n"
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["audit", "store"]
    checked = CliRunner().invoke(
        main, ["verify"], env={"RADSTREAM_STORE__FOLDER": str(tmp_path / "new/store")}
    )
    assert checked.stdout == "studies: 1, objects: 21, faults: 0, notes: 0\n"


def test_counts_are_told_as_json(named: dict[str, str], tmp_path: Path):
    answer = back_up(tmp_path / "new", "--json", **named)
    told = json.loads(answer.stdout)
    assert told.pop("bytes") > 0
    assert told == {"studies": 1, "objects": 21, "unreadable": 0}


def test_trail_elsewhere_is_no_part_of_the_backup(named: dict[str, str], tmp_path: Path):
    for number, where in enumerate(
        ({"audit__folder": str(tmp_path / "none")}, {"audit__kind": "s3", "audit__bucket": "trail"})
    ):
        folder = tmp_path / f"new-{number}"
        assert back_up(folder, **named | where).exit_code == 0
        assert [path.name for path in folder.iterdir()] == ["store"]


def test_bucket_is_refused_with_the_section_that_is_for_it(tmp_path: Path):
    buckets = {"store__images_bucket": "images", "store__results_bucket": "results"}
    answer = back_up(tmp_path / "new", store__kind="s3", **buckets)
    assert answer.exit_code == 2
    assert answer.stderr.endswith("see docs/backup.md, Backup on AWS\n")
    assert not (tmp_path / "new").exists()


def test_store_that_is_not_there_is_refused(tmp_path: Path):
    answer = back_up(tmp_path / "new", store__folder=str(tmp_path / "none"))
    assert (answer.exit_code, answer.stderr) == (
        2,
        f"Error: there is no folder {tmp_path / 'none'}\n",
    )


@pytest.mark.parametrize("name", ["store", "audit"])
def test_folder_within_what_is_copied_is_refused(named: dict[str, str], tmp_path: Path, name: str):
    folder = tmp_path / name / "backup"
    answer = back_up(folder, **named)
    assert (answer.exit_code, answer.stderr) == (
        2,
        f"Error: {folder} lies in {tmp_path / name}, which is copied\n",
    )


def test_folder_that_is_not_empty_is_refused(named: dict[str, str], tmp_path: Path):
    assert back_up(tmp_path / "new", **named).exit_code == 0
    again = back_up(tmp_path / "new", **named)
    assert (again.exit_code, again.stderr) == (2, f"Error: {tmp_path / 'new'} is not empty\n")


def test_disk_and_permissions_are_told_without_the_name_of_a_file():
    with public_folder() as folder:
        folder.chmod(0o777)
        told = answer_of(PROGRAM, folder)
    assert told == [
        [1, "studies: 0, objects: 0, bytes: 0, unreadable: 1\n", ["store"]],
        [2, "Error: /proc/new cannot be written: No such file or directory\n", []],
        [2, "Error: full is no backup: File too large\n", [".unfinished"]],
    ]
