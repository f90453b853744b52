"""What every object store keeps to: one suite, run against each."""

import asyncio
import datetime as dt

import pytest

from gateway.errors import InvalidKeyError, ObjectNotFoundError, ObjectTooLargeError
from gateway.storage.protocol import ObjectStore, Tagged

TYPE = "application/octet-stream"
LONGEST = "/".join(["é" * 127, "b" * 255, "c" * 255, "d" * 255, "e"])  # 1,024 bytes


@pytest.fixture(params=["folder_store", "memory_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    opened: ObjectStore = request.getfixturevalue(request.param)
    return opened


async def put(store: ObjectStore, *keys: str) -> None:
    for key in keys:
        await store.replace(key, key.encode(), media_type=TYPE)


async def test_created_object_reads_back(store: ObjectStore):
    assert await store.create("results/a", b"\x00\xff", media_type=TYPE)
    assert await store.read("results/a") == b"\x00\xff"


async def test_memoryview_and_no_bytes_at_all_are_bytes_too(store: ObjectStore):
    await store.create("view", memoryview(b"abcdef")[1:3], media_type=TYPE)
    await store.create("empty", b"", media_type=TYPE)
    assert (await store.read("view"), await store.read("empty")) == (b"bc", b"")


async def test_key_that_is_taken_keeps_what_it_holds(store: ObjectStore):
    await store.create("a", b"first", media_type=TYPE)
    assert not await store.create("a", b"second", media_type=TYPE)
    assert await store.read("a") == b"first"


async def test_of_many_creators_one_wins_and_its_bytes_stay(store: ObjectStore):
    created = await asyncio.gather(
        *(store.create("a/b", str(i).encode(), media_type=TYPE) for i in range(50))
    )
    assert created.count(True) == 1
    assert await store.read("a/b") == str(created.index(True)).encode()


async def test_replace_writes_over_an_object_and_where_there_is_none(store: ObjectStore):
    await store.replace("a", b"a longer text", media_type=TYPE)
    await store.replace("a", b"short", media_type=TYPE)
    assert await store.read("a") == b"short"


async def test_swap_writes_only_where_the_object_is_as_it_was_read(store: ObjectStore):
    await put(store, "a")
    first = await store.read_tagged("a")
    assert first.data == b"a"
    second = await store.swap("a", memoryview(b"second"), tag=first.tag, media_type=TYPE)
    assert second is not None
    assert await store.swap("a", b"third", tag=first.tag, media_type=TYPE) is None
    assert await store.read_tagged("a") == Tagged(b"second", second)
    assert await store.swap("a", b"third", tag=second, media_type=TYPE) not in {None, second}
    assert await store.read("a") == b"third"


async def test_swap_without_a_tag_writes_only_where_there_is_nothing(store: ObjectStore):
    tag = await store.swap("r/a/b", b"first", tag=None, media_type=TYPE)
    assert tag is not None
    assert await store.swap("r/a/b", b"second", tag=None, media_type=TYPE) is None
    assert await store.read_tagged("r/a/b") == Tagged(b"first", tag)


async def test_swap_of_what_is_gone_writes_nothing(store: ObjectStore):
    await put(store, "r/a/b")
    tag = (await store.read_tagged("r/a/b")).tag
    await store.delete("r/a/b")
    for key in ("r/a/b", "r/a", "r/a/b/c"):
        assert await store.swap(key, b"new", tag=tag, media_type=TYPE) is None
    assert await store.keys("") == []
    assert await store.folders("", after="", limit=9) == []
    assert await store.swap("r/a/b", b"new", tag=None, media_type=TYPE)


async def test_swap_may_be_made_again_with_the_same_bytes(store: ObjectStore):
    made = await store.swap("a", b"first", tag=None, media_type=TYPE)
    assert await store.swap("a", b"first", tag=None, media_type=TYPE) == made
    swapped = await store.swap("a", b"second", tag=made, media_type=TYPE)
    assert await store.swap("a", b"second", tag=made, media_type=TYPE) == swapped
    assert await store.swap("a", b"longer than that", tag=made, media_type=TYPE) is None


async def test_tagged_read_keeps_to_the_limit_and_finds_only_what_is_there(store: ObjectStore):
    await put(store, "a/b")
    assert (await store.read_tagged("a/b", limit_bytes=3)).data == b"a/b"
    with pytest.raises(ObjectTooLargeError):
        await store.read_tagged("a/b", limit_bytes=2)
    for key in ("a", "a/b/c", "b"):
        with pytest.raises(ObjectNotFoundError):
            await store.read_tagged(key)


async def test_object_that_has_a_tag_still_is_not_read_again(store: ObjectStore):
    await put(store, "a/b")
    first = await store.read_changed("a/b", tag=None)
    assert first == Tagged(b"a/b", (await store.read_tagged("a/b")).tag)
    assert first is not None
    assert await store.read_changed("a/b", tag=first.tag, limit_bytes=3) is None
    await store.replace("a/b", b"other", media_type=TYPE)
    second = await store.read_changed("a/b", tag=first.tag)
    assert second is not None
    assert (second.data, second.tag != first.tag) == (b"other", True)
    with pytest.raises(ObjectTooLargeError):
        await store.read_changed("a/b", tag=first.tag, limit_bytes=2)
    with pytest.raises(ObjectNotFoundError):
        await store.read_changed("a", tag=second.tag)


async def test_of_eight_swaps_of_one_state_one_wins_and_its_bytes_stay(store: ObjectStore):
    tag = None
    for _ in range(10):
        written = await asyncio.gather(
            *(store.swap("a/b", str(i).encode() * 9, tag=tag, media_type=TYPE) for i in range(8))
        )
        (winner,) = (i for i, new in enumerate(written) if new is not None)
        found = await store.read_tagged("a/b")
        assert found == Tagged(str(winner).encode() * 9, written[winner])
        # Its own bytes would count as written in the next round, whoever wrote them.
        tag = await store.swap("a/b", b"between", tag=found.tag, media_type=TYPE)


async def test_no_swap_is_lost_among_many_writers(store: ObjectStore):
    async def add(number: int) -> None:
        line = f"{number}\n".encode()
        while True:
            try:
                found = await store.read_tagged("a/b")
            except ObjectNotFoundError:
                data, tag = line, None
            else:
                data, tag = found.data + line, found.tag
            if await store.swap("a/b", data, tag=tag, media_type=TYPE):
                return

    await asyncio.gather(*(add(number) for number in range(8)))
    assert sorted((await store.read("a/b")).split()) == [str(i).encode() for i in range(8)]


async def test_swap_beside_a_replace_or_a_deletion_does_not_undo_it(store: ObjectStore):
    for _ in range(10):
        await put(store, "a/b", "c")
        tags = [(await store.read_tagged(key)).tag for key in ("a/b", "c")]
        await asyncio.gather(
            store.swap("a/b", b"swapped", tag=tags[0], media_type=TYPE),
            store.delete("a/b"),
            store.swap("c", b"swapped", tag=tags[1], media_type=TYPE),
            store.replace("c", b"replaced", media_type=TYPE),
        )
        assert await store.keys("") == ["c"]
        assert await store.read("c") == b"replaced"


async def test_object_of_the_limit_is_read_and_a_longer_one_is_not(store: ObjectStore):
    await store.create("a", b"12345", media_type=TYPE)
    assert await store.read("a", limit_bytes=5) == b"12345"
    with pytest.raises(ObjectTooLargeError) as caught:
        await store.read("a", limit_bytes=4)
    assert caught.value.limit_bytes == 4


async def test_beginning_of_an_object_is_read_alone(store: ObjectStore):
    await store.create("a", b"12345", media_type=TYPE)
    await store.create("empty", b"", media_type=TYPE)
    assert await store.beginning("a", 2) == b"12"
    assert await store.beginning("a", 9) == b"12345"
    assert await store.beginning("empty", 9) == b""
    with pytest.raises(ObjectNotFoundError):
        await store.beginning("b", 9)
    with pytest.raises(InvalidKeyError):
        await store.beginning("../a", 9)


async def test_deleted_object_is_gone_and_its_key_is_free(store: ObjectStore):
    await put(store, "a/b", "a/c")
    await store.delete("a/b")
    with pytest.raises(ObjectNotFoundError):
        await store.read("a/b")
    assert await store.keys("") == ["a/c"]
    assert await store.create("a/b", b"again", media_type=TYPE)


@pytest.mark.parametrize("key", ["nothing", "a", "a/b/c"])
async def test_deleting_what_is_not_there_changes_nothing(store: ObjectStore, key: str):
    await put(store, "a/b")
    await store.delete(key)
    assert await store.keys("") == ["a/b"]


async def test_object_is_deleted_only_while_it_has_the_tag(store: ObjectStore):
    await put(store, "a/b")
    before = (await store.read_tagged("a/b")).tag
    await store.replace("a/b", b"another", media_type=TYPE)
    await store.delete("a/b", tag=before)
    assert await store.read("a/b") == b"another"
    await store.delete("a/b", tag=(await store.read_tagged("a/b")).tag)
    assert await store.keys("a/") == []
    await store.delete("a/b", tag=before)


async def test_purge_of_the_past_leaves_what_is_there(store: ObjectStore):
    await put(store, "a/b")
    await store.replace("a/b", b"another", media_type=TYPE)
    assert await store.purge("a/", past_only=True)
    assert await store.read("a/b") == b"another"


async def test_purge_removes_all_below_a_prefix_and_nothing_beside_it(store: ObjectStore):
    await put(store, "r/a/x/1", "r/a/x/2", "r/a/y", "r/ab", "r/b/x")
    assert await store.purge("r/a/")
    assert await store.keys("") == ["r/ab", "r/b/x"]
    assert await store.purge("r/ab")
    assert await store.purge("nothing/")
    assert await store.keys("") == ["r/b/x"]
    assert await store.create("r/a/y", b"again", media_type=TYPE)


async def test_writers_beside_a_purge_fail_for_no_want_of_a_folder(store: ObjectStore):
    async def write(number: int) -> None:
        for i in range(20):
            key = f"r/a/{number}-{i}"
            await store.create(key, b"x", media_type=TYPE)
            await store.delete(key)

    await asyncio.gather(*(write(number) for number in range(4)))
    assert await store.keys("") == []


async def test_readers_beside_a_writer_see_a_whole_object(store: ObjectStore):
    versions = [bytes([i]) * 200_000 for i in range(8)]
    await store.replace("a", versions[0], media_type=TYPE)

    async def write() -> None:
        for version in versions:
            await store.replace("a", version, media_type=TYPE)

    writing = asyncio.create_task(write())
    while not writing.done():
        assert await store.read("a") in versions
    await writing


@pytest.mark.parametrize("key", ["b", "a/b/c", "a/other", "a"])
async def test_reading_what_was_never_written_is_not_found(store: ObjectStore, key: str):
    await put(store, "a/b")
    with pytest.raises(ObjectNotFoundError):
        await store.read(key)


@pytest.mark.parametrize(
    "key",
    [
        "with space/and+plus/100%25.json",
        "Röntgen/胸部/🫁",
        "a\u0301",  # not the same as the one character á
        "~/-rf/*?[x]$(id)`id`;'\"|&<>#!",
        "back\\slash",
        "C:",
        LONGEST,
    ],
)
async def test_any_text_may_be_a_key(store: ObjectStore, key: str):
    assert await store.create(key, b"data", media_type=TYPE)
    assert await store.read(key) == b"data"
    assert await store.keys("") == [key]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/etc/passwd",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../../b",
        "a/./b",
        ".hidden",
        "a/.hidden",
        ".unfinished/a",
        "nul\0",
        "half a pair \ud800",
        "x" * 256,
        LONGEST + "f",
    ],
)
async def test_key_that_some_store_could_not_hold_is_refused(store: ObjectStore, key: str):
    with pytest.raises(InvalidKeyError):
        await store.read(key)
    with pytest.raises(InvalidKeyError):
        await store.create(key, b"data", media_type=TYPE)
    with pytest.raises(InvalidKeyError):
        await store.replace(key, b"data", media_type=TYPE)
    with pytest.raises(InvalidKeyError):
        await store.read_tagged(key)
    with pytest.raises(InvalidKeyError):
        await store.swap(key, b"data", tag=None, media_type=TYPE)
    with pytest.raises(InvalidKeyError):
        await store.delete(key)
    assert await store.keys("") == []


async def test_keys_are_those_that_start_with_the_prefix(store: ObjectStore):
    await put(store, "r/a/images/1/x.json", "r/a/images/2", "r/a/result.json", "r/ab/y", "ra")
    assert await store.keys("r/a/images/") == ["r/a/images/1/x.json", "r/a/images/2"]
    assert await store.keys("r/a/images") == ["r/a/images/1/x.json", "r/a/images/2"]
    assert await store.keys("r/a/im") == ["r/a/images/1/x.json", "r/a/images/2"]
    assert await store.keys("r/a/result.json") == ["r/a/result.json"]
    assert await store.keys("r/a") == [
        "r/a/images/1/x.json",
        "r/a/images/2",
        "r/a/result.json",
        "r/ab/y",
    ]
    assert len(await store.keys("")) == 5


@pytest.mark.parametrize("prefix", ["nothing/", "nothing/below/", "r/b/", "r/a/", "q"])
async def test_prefix_of_nothing_gives_nothing(store: ObjectStore, prefix: str):
    await put(store, "r/a")
    assert await store.keys(prefix) == []
    assert await store.folders("r/a/", after="", limit=10) == []
    assert await store.folders("nothing/", after="", limit=10) == []


@pytest.mark.parametrize("prefix", ["../", "/", "a/../", "a//", "./"])
async def test_prefix_that_no_key_can_have_is_refused(store: ObjectStore, prefix: str):
    with pytest.raises(InvalidKeyError):
        await store.keys(prefix)
    with pytest.raises(InvalidKeyError):
        await store.folders(prefix, after="", limit=10)


async def test_keys_come_in_the_order_of_their_utf8_bytes(store: ObjectStore):
    ordered = ["B", "a", "a b", "a+b", "a-b", "a0", "az", "é", "\ufb01", "🫁"]
    await put(store, *reversed(ordered))
    assert await store.keys("") == ordered
    assert ordered == sorted(ordered, key=str.encode)


async def test_the_slash_takes_part_in_the_order(store: ObjectStore):
    await put(store, "a0", "a/b", "a-b", "a.c/d")  # - 2d, . 2e, / 2f, 0 30
    assert await store.keys("") == ["a-b", "a.c/d", "a/b", "a0"]


async def test_folders_are_the_names_that_a_slash_follows(store: ObjectStore):
    await put(store, "r/b/x/y", "r/a/1", "r/a/2", "r/file", "other/c/d")
    assert await store.folders("r/", after="", limit=10) == ["a", "b"]
    assert await store.folders("", after="", limit=10) == ["other", "r"]


async def test_pages_of_folders_join_to_the_whole_list_in_the_order_of_the_keys(
    store: ObjectStore,
):
    names = ["-a", "A", "a-b", "a.b", "a", "a0", "b", "é"]
    await put(store, *(f"r/{name}/x" for name in reversed(names)))
    pages, after = [], ""
    while page := await store.folders("r/", after=after, limit=3):
        pages.append(page)
        after = page[-1]
    assert pages == [names[:3], names[3:6], names[6:]]


async def test_page_may_begin_after_a_name_that_is_not_there(store: ObjectStore):
    await put(store, "r/a/x", "r/c/x")
    assert await store.folders("r/", after="b", limit=10) == ["c"]


async def test_object_tells_when_it_came_to_lie_there(store: ObjectStore):
    second = dt.timedelta(seconds=1)  # S3 tells no less
    before = dt.datetime.now(dt.UTC) - second
    await put(store, "a")
    assert before <= await store.written_at("a") <= dt.datetime.now(dt.UTC) + second
    with pytest.raises(ObjectNotFoundError):
        await store.written_at("b")
