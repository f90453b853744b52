"""What is a folder's own: crashes, full disks, and that nothing leads out of its root."""

import asyncio
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.errors import InvalidKeyError, ObjectNotFoundError, StoreError, StoreUnavailableError
from gateway.storage.folder import FolderStore
from tests.support.unprivileged import answer_of, public_folder

TYPE = "application/octet-stream"
MEBIBYTE = 2**20

# Writes 768 MiB under a key and says so; killed long before it is done.
WRITER = """
import asyncio, sys
from pathlib import Path
from gateway.storage.folder import FolderStore

async def main(root, call):
    store = FolderStore(Path(root))
    await store.open()
    held = {"tag": (await store.read_tagged("a/b")).tag} if call == "swap" else {}
    await getattr(store, call)("a/b", b"new" * (768 * 2**20 // 3), media_type="", **held)
    print("written")

asyncio.run(main(*sys.argv[1:]))
"""

# Adds lines to one object by swaps, beside other processes; a deletion of another goes on as well.
SWAPPER = """
import asyncio, sys
from pathlib import Path
from gateway.errors import ObjectNotFoundError
from gateway.storage.folder import FolderStore

async def main(root, number):
    store = FolderStore(Path(root))
    lost = 0
    for i in range(20):
        while True:
            try:
                found = await store.read_tagged("a/b")
                data, tag = found.data, found.tag
            except ObjectNotFoundError:
                data, tag = b"", None
            line = f"{number}-{i}\\n".encode()
            if await store.swap("a/b", data + line, tag=tag, media_type=""):
                break
            lost += 1
        await store.replace("c/d", line, media_type="")
        await store.delete("c/d")
    print(lost)

asyncio.run(main(*sys.argv[1:]))
"""

# Uses a store as a user whom permissions bind, and tells what came of each call.
USER = """
import asyncio, json, sys
from pathlib import Path
from gateway.storage.folder import FolderStore
from gateway.errors import StoreError
from tests.support.unprivileged import drop_privileges

async def outcome(call):
    try:
        answer = await call
    except StoreError as error:
        return [type(error).__name__, error.reason]
    return answer.decode() if isinstance(answer, bytes) else answer

async def main(root):
    store = FolderStore(Path(root))
    drop_privileges()
    print(json.dumps({
        "read": await outcome(store.read("a")),
        "keys": await outcome(store.keys("")),
        "create": await outcome(store.create("b", b"x", media_type="")),
        "replace": await outcome(store.replace("b", b"x", media_type="")),
        "swap": await outcome(store.swap("a", b"x", tag="x", media_type="")),
        "delete": await outcome(store.delete("a")),
    }))

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
async def store(root: Path) -> FolderStore:
    store = FolderStore(root)
    await store.open()
    return store


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def sizes(folder: Path) -> Iterator[int]:
    """Of the files under the folder, as far as they stay."""
    for file in files(folder):
        with suppress(FileNotFoundError):
            yield file.stat().st_size


def killed_while_writing(root: Path, call: str) -> None:
    """Run WRITER and kill it once some of its bytes are on the disk."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, root, call], stdout=subprocess.PIPE
    ) as writer:
        while not any(size > 2**20 for size in sizes(root / ".unfinished")):
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        assert writer.wait() == -signal.SIGKILL
        assert writer.stdout is not None
        assert writer.stdout.read() == b""
    for file in files(root / ".unfinished"):  # large, and pytest keeps a test's folder
        file.unlink()


async def test_writer_killed_in_a_create_leaves_no_object(root: Path, store: FolderStore):
    await asyncio.to_thread(killed_while_writing, root, "create")
    assert await store.keys("") == []
    with pytest.raises(ObjectNotFoundError):
        await store.read("a/b")
    assert await store.folders("", after="", limit=10) == []
    assert await store.create("a/b", b"after", media_type=TYPE)


@pytest.mark.parametrize("call", ["replace", "swap"])
async def test_writer_killed_over_an_object_leaves_the_old_one(
    root: Path, store: FolderStore, call: str
):
    await store.create("a/b", b"old", media_type=TYPE)
    await asyncio.to_thread(killed_while_writing, root, call)
    old = await store.read_tagged("a/b")
    assert old.data == b"old"
    assert await store.swap("a/b", b"old", tag=old.tag, media_type=TYPE)  # no lock outlives it
    assert await store.keys("") == ["a/b"]


async def test_opening_clears_what_a_crash_left_long_ago_and_nothing_newer(
    root: Path, store: FolderStore
):
    old, new = root / ".unfinished" / "old", root / ".unfinished" / "new"
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    two_hours_ago = time.time() - 7200
    os.utime(old, (two_hours_ago, two_hours_ago))
    await store.create("a", b"kept", media_type=TYPE)
    await FolderStore(root).open()
    assert files(root / ".unfinished") == [new]
    assert await store.read("a") == b"kept"


async def test_objects_outlive_the_store(root: Path, store: FolderStore):
    await store.create("a/b", b"data", media_type=TYPE)
    again = FolderStore(root)
    await again.open()
    assert await again.read("a/b") == b"data"


async def test_control_characters_may_be_in_a_key(store: FolderStore):
    assert await store.create("line\nbreak", b"data", media_type=TYPE)
    assert await store.keys("") == ["line\nbreak"]


async def test_nothing_unfinished_stays_after_a_call(root: Path, store: FolderStore):
    await store.create("a", b"1", media_type=TYPE)
    await store.create("a", b"2", media_type=TYPE)
    await store.replace("a", b"3", media_type=TYPE)
    assert files(root) == [root / "a"]


async def test_what_is_written_is_for_the_owner_alone(root: Path, store: FolderStore):
    before = os.umask(0)
    try:
        await store.create("a/b/c", b"1", media_type=TYPE)
        await store.replace("a/d", b"1", media_type=TYPE)
    finally:
        os.umask(before)
    modes = {name: (root / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c", "a/d")}
    assert modes == {"a": 0o700, "a/b": 0o700, "a/b/c": 0o600, "a/d": 0o600}


async def test_two_stores_on_one_folder_agree_on_who_was_first(root: Path):
    stores = [FolderStore(root), FolderStore(root)]
    for store in stores:
        await store.open()
    created = await asyncio.gather(
        *(store.create("a", str(i).encode(), media_type=TYPE) for i, store in enumerate(stores))
    )
    assert sorted(created) == [False, True]
    assert (root / "a").read_bytes() == str(created.index(True)).encode()


async def test_swaps_of_eight_processes_lose_nothing(root: Path, store: FolderStore):
    writers = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SWAPPER, str(root), str(number)), stdout=subprocess.PIPE
        )
        for number in range(8)
    ]
    told = [await writer.communicate() for writer in writers]
    assert all(writer.returncode == 0 for writer in writers)
    lines = (await store.read("a/b")).decode().split()
    assert sorted(lines) == sorted(f"{number}-{i}" for number in range(8) for i in range(20))
    assert sum(int(lost) for lost, _ in told) > 0  # or they did not meet
    assert files(root) == [root / "a/b"]


async def test_two_stores_on_one_folder_agree_on_whose_swap_won(root: Path):
    stores = [FolderStore(root) for _ in range(8)]
    await stores[0].open()
    for i in range(10):
        tag = await stores[i % 8].swap("a/b", b"between", tag=None, media_type=TYPE)
        won = await asyncio.gather(
            *(
                store.swap("a/b", str(i).encode(), tag=tag, media_type=TYPE)
                for i, store in enumerate(stores)
            )
        )
        assert sum(new is not None for new in won) == 1
        await stores[i % 8].delete("a/b")


@pytest.mark.parametrize("call", ["create", "replace"])
async def test_key_cannot_lie_under_another_object_nor_over_others(store: FolderStore, call: str):
    await store.create("a/b", b"data", media_type=TYPE)
    for key in ("a", "a/b/c", "a/b/c/d"):
        with pytest.raises(InvalidKeyError):
            await getattr(store, call)(key, b"x", media_type=TYPE)
    assert await store.keys("") == ["a/b"]


# --- what the disk refuses -----------------------------------------------------------------------


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """The kernel refuses any write past this size, as a full disk or a quota does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # CPython ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def read_only_folder() -> Iterator[Path]:
    with public_folder() as folder:
        (folder / ".unfinished").mkdir()
        (folder / "a").write_bytes(b"data")
        (folder / "a").chmod(0o444)  # whatever the umask
        for path in (folder / ".unfinished", folder):
            path.chmod(0o555)
        yield folder
        folder.chmod(0o755)


async def test_full_disk_makes_the_store_unavailable_and_leaves_what_was(
    root: Path, store: FolderStore
):
    await store.create("a", b"old", media_type=TYPE)
    with no_file_beyond(16 * MEBIBYTE):
        with pytest.raises(StoreUnavailableError, match="File too large"):
            await store.replace("a", b"x" * (17 * MEBIBYTE), media_type=TYPE)
        with pytest.raises(StoreUnavailableError, match="File too large"):
            await store.create("folder/b", b"x" * (17 * MEBIBYTE), media_type=TYPE)
    assert files(root) == [root / "a"]
    assert await store.read("a") == b"old"
    assert await store.folders("", after="", limit=10) == []
    assert await store.create("folder/b", b"x", media_type=TYPE)


def test_read_only_folder_is_read_and_no_more(read_only_folder: Path):
    denied = ["StoreUnavailableError", "Permission denied"]
    assert answer_of(USER, read_only_folder) == {
        "read": "data",
        "keys": ["a"],
        "create": denied,
        "replace": denied,
        "swap": denied,
        "delete": denied,
    }
    assert files(read_only_folder) == [read_only_folder / "a"]


def test_object_that_may_not_be_read_is_not_taken_for_a_missing_one(read_only_folder: Path):
    (read_only_folder / "a").chmod(0)
    read = answer_of(USER, read_only_folder)["read"]
    assert read == ["StoreUnavailableError", "Permission denied"]


async def test_root_that_cannot_be_a_folder_is_said_at_the_start(tmp_path: Path):
    (tmp_path / "file").touch()
    for root in (tmp_path / "file", tmp_path / "file" / "store"):
        with pytest.raises(StoreUnavailableError):
            await FolderStore(root).open()


async def test_root_that_is_gone_is_no_missing_object_to_a_writer(root: Path, store: FolderStore):
    shutil.rmtree(root)
    with pytest.raises(StoreUnavailableError):
        await store.create("a", b"x", media_type=TYPE)
    for tag in (None, "x"):
        with pytest.raises(StoreUnavailableError):
            await store.swap("a", b"x", tag=tag, media_type=TYPE)


# --- nothing outside the root --------------------------------------------------------------------

SEGMENTS = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a",
        "outside",
        "\0",
        "..\\",
        "\\..\\",
        "~",
        "...",
        ".. ",
        "%2e%2e",
        "\uff0e\uff0e",
        "..\u200b",
        "\u2024\u2024",  # NFKC makes full stops of them
        "link",
        "file",
    ]
) | st.text(max_size=4)
KEYS = st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join) | st.text(max_size=20)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(key=KEYS)
@example(key="../outside/secret")
@example(key="a/../../outside/secret")
@example(key="/etc/passwd")
@example(key="../outside/new\0.json")
@example(key="link/secret")
@example(key="a/link/new/x")
@example(key="link/")
@example(key="file")
async def test_no_key_reaches_outside_the_root(tmp_path: Path, key: str):
    outside = tmp_path / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").write_bytes(b"secret")
    store = FolderStore(tmp_path / "store")
    await store.open()
    # Made anew: a key may lead to a link itself and remove it.
    for link, leads_to in (("link", outside), ("file", outside / "secret")):
        for folder in (tmp_path / "store", tmp_path / "store/a"):
            folder.mkdir(exist_ok=True)
            if not (folder / link).exists():
                (folder / link).symlink_to(leads_to)
    for absolute in ("", f"{tmp_path}/outside/"):
        await _try_everything(store, absolute + key)
    assert entries(tmp_path) == [outside, tmp_path / "store"]
    assert entries(outside) == [outside / "secret"]
    assert (outside / "secret").read_bytes() == b"secret"


async def _try_everything(store: FolderStore, key: str) -> None:
    with suppress(StoreError):
        assert await store.read(key) == b"written"
    with suppress(StoreError):
        await store.create(key, b"written", media_type=TYPE)
    with suppress(StoreError):
        await store.replace(key, b"written", media_type=TYPE)
        assert await store.read(key) == b"written"
        assert key in await store.keys("")
    with suppress(StoreError):
        tag = (await store.read_tagged(key)).tag
        assert await store.swap(key, b"written", tag=tag, media_type=TYPE)
    with suppress(StoreError):
        await store.swap(key, b"written", tag=None, media_type=TYPE)
    with suppress(StoreError):
        assert all(found.startswith(key) for found in await store.keys(key))
    with suppress(StoreError):
        assert "secret" not in await store.folders(key, after="", limit=100)
    with suppress(StoreError):
        await store.delete(key)
    with suppress(StoreError):
        await store.purge(key)


@pytest.mark.parametrize("key", ["pipe", "link/x", "alias", "a/alias"])
async def test_what_is_no_plain_file_is_no_object(root: Path, store: FolderStore, key: str):
    outside = root.parent / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "x").write_bytes(b"theirs")
    (root / "a").mkdir()
    os.mkfifo(root / "pipe")
    (root / "link").symlink_to(outside)
    (root / "alias").symlink_to(outside / "x")
    (root / "a/alias").symlink_to("../../outside/x")
    with pytest.raises(ObjectNotFoundError):
        await store.read(key)
    assert await store.keys("") == await store.keys("link/") == []
    assert await store.folders("", after="", limit=9) == ["a"]
    assert await store.folders("link/", after="", limit=9) == []
    await store.purge("link/")
    assert entries(outside) == [outside / "below", outside / "x"]


@pytest.mark.parametrize("key", ["link/new", "link/below/new", "alias"])
async def test_nothing_is_written_through_a_link(root: Path, store: FolderStore, key: str):
    outside = root.parent / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "x").write_bytes(b"theirs")
    (root / "link").symlink_to(outside)
    (root / "alias").symlink_to(outside / "x")
    with pytest.raises(InvalidKeyError):
        await store.create(key, b"ours", media_type=TYPE)
    with pytest.raises(InvalidKeyError):
        await store.swap(key, b"ours", tag=None, media_type=TYPE)
    assert await store.swap(key, b"ours", tag="x", media_type=TYPE) is None
    with suppress(InvalidKeyError):  # the link itself may be replaced
        await store.replace(key, b"ours", media_type=TYPE)
    await store.delete(key)
    assert (outside / "x").read_bytes() == b"theirs"
    assert entries(outside / "below") == []


@pytest.mark.usefixtures("store")
async def test_a_root_that_is_made_is_its_owners_alone(root: Path):
    assert root.stat().st_mode & 0o777 == 0o700


async def test_purge_passes_over_what_is_no_object(root: Path, store: FolderStore):
    await store.create("r/a/x", b"x", media_type=TYPE)
    (root / "r/a/.hidden").write_bytes(b"")
    assert await store.keys("") == ["r/a/x"]
    await store.purge("r/a/")
    assert await store.keys("") == []


async def test_a_file_system_that_takes_two_names_for_one_is_refused(root: Path):
    # What such a system shows of one file: both names are there.
    (root / ".unfinished").mkdir(parents=True)
    (root / ".unfinished/PROBE").touch()
    with pytest.raises(StoreUnavailableError, match="upper from lower case"):
        await FolderStore(root).open()


async def test_a_link_to_nothing_is_no_folder_and_is_not_tried_for_ever(
    root: Path, store: FolderStore
):
    (root / "link").symlink_to(root / "nowhere")
    for key in ("link", "link/a"):
        with pytest.raises(InvalidKeyError):
            await store.create(key, b"x", media_type=TYPE)
    assert entries(root) == [root / ".unfinished", root / "link"]


async def test_folders_too_deep_for_any_key_are_passed_over(root: Path, store: FolderStore):
    await store.create("a/b", b"x", media_type=TYPE)
    folder = os.open(root, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=folder)
        above, folder = folder, os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(above)
    os.close(os.open("x", os.O_CREAT, dir_fd=folder))
    os.close(folder)
    assert await store.keys("") == ["a/b"]
    # Deeper than pytest could clear away.
    await asyncio.to_thread(subprocess.run, ["rm", "-r", root / "d"], check=True)


# --- what is forced to disk, and when ------------------------------------------------------------


@pytest.fixture
def forced(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What is forced to disk, "file" or a folder's name, and the files that then have a name.

    No crash of the machine can be provoked here; which calls went before it is what counts.
    """
    calls = []
    fsync = os.fsync

    def watched(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        what = "file" if path.is_file() else str(path.relative_to(root.parent))
        named = [str(file.relative_to(root)) for file in files(root)]
        calls.append((what, [name for name in named if not name.startswith(".")]))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    return calls


async def test_data_are_on_disk_before_their_name_and_all_names_before_the_call_returns(
    store: FolderStore, forced: list[tuple[str, list[str]]]
):
    await store.create("a/b/c", b"x", media_type=TYPE)
    given = ["a/b/c"]
    assert forced[0] == ("file", [])
    assert sorted(forced[1:]) == [("store", given), ("store/a", given), ("store/a/b", given)]
    forced.clear()
    await store.create("a/b/d", b"x", media_type=TYPE)
    assert forced == [("file", given), ("store/a/b", ["a/b/c", "a/b/d"])]


async def test_what_another_writer_made_is_on_disk_before_create_says_that_it_is_there(
    store: FolderStore, forced: list[tuple[str, list[str]]]
):
    await store.create("a/b", b"x", media_type=TYPE)
    forced.clear()
    assert not await store.create("a/b", b"y", media_type=TYPE)
    assert forced[-1] == ("store/a", ["a/b"])


async def test_replaced_data_are_on_disk_before_their_name_and_that_before_the_call_returns(
    store: FolderStore, forced: list[tuple[str, list[str]]]
):
    await store.replace("a/b", b"x", media_type=TYPE)
    assert forced[0] == ("file", [])
    assert sorted(forced[1:]) == [("store", ["a/b"]), ("store/a", ["a/b"])]
    forced.clear()
    await store.replace("a/b", b"y", media_type=TYPE)
    assert forced == [("file", ["a/b"]), ("store/a", ["a/b"])]


async def test_swapped_data_are_on_disk_before_their_name_and_that_before_the_call_returns(
    store: FolderStore, forced: list[tuple[str, list[str]]]
):
    tag = await store.swap("a/b", b"x", tag=None, media_type=TYPE)
    assert forced[0] == ("file", [])
    assert sorted(forced[1:]) == [("store", ["a/b"]), ("store/a", ["a/b"])]
    for old in (tag, "another"):  # a lost one tells of what is on disk, too
        forced.clear()
        await store.swap("a/b", b"y", tag=old, media_type=TYPE)
        assert forced == [("file", ["a/b"]), ("store/a", ["a/b"])]


async def test_what_is_deleted_is_gone_from_the_disk_before_the_call_returns(
    store: FolderStore, forced: list[tuple[str, list[str]]]
):
    for key in ("a/b/c", "a/b/d", "a/e/f/g"):
        await store.create(key, b"x", media_type=TYPE)
    forced.clear()
    await store.delete("a/b/c")
    assert forced == [("store/a/b", ["a/b/d", "a/e/f/g"])]
    forced.clear()
    await store.delete("a/e/f/g")
    assert forced == [("store/a", ["a/b/d"])]


async def test_copy_that_keeps_its_old_time_of_writing_came_just_now(tmp_path: Path):
    """As `cp --preserve` and `rsync --times` make one."""
    store = FolderStore(tmp_path)
    (tmp_path / "a").write_bytes(b"x")
    os.utime(tmp_path / "a", (0, 0))
    assert (await store.written_at("a")).timestamp() > time.time() - 60
