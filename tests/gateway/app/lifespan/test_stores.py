"""The store and the drop folder: a folder each, or a bucket each."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.app.lifespan.stores import make_inbox, open_presence, open_stores, open_watched
from gateway.errors import StoreUnavailableError
from gateway.settings import DropFolderSettings, StoreSettings
from gateway.storage.folder import FolderStore
from gateway.studies.study import Route
from tests.gateway.app.lifespan.conftest import InContext
from tests.support.s3 import make_buckets, s3, store_settings

BUCKETS = StoreSettings(kind="s3", images_bucket="images", results_bucket="results")


async def test_the_drop_folder_is_its_senders_and_not_made(in_context: InContext, tmp_path: Path):
    folder = DropFolderSettings(folder=tmp_path / "drop")
    objects, _ = await open_stores(in_context(dropfolder=folder))
    assert isinstance(objects, FolderStore)
    assert (tmp_path / "store").is_dir()
    assert not (tmp_path / "drop").exists()


async def test_buckets_are_both_asked_for_at_the_start(in_context: InContext, s3_url: str):
    store = store_settings(s3_url)
    with pytest.raises(StoreUnavailableError, match="NoSuchBucket"):
        await open_stores(in_context(store=store))
    async with s3(s3_url) as client:
        await make_buckets(client, store)
    results, images = await open_stores(in_context(store=store))
    assert await results.keys("results/") == await images.keys("images/") == []


def test_studies_are_dropped_below_a_prefix_of_the_bucket(in_context: InContext):
    objects = FolderStore(Path("unused"))
    in_bucket = make_inbox(in_context(store=BUCKETS).settings, objects)
    in_folder = make_inbox(in_context().settings, objects)
    assert (in_bucket.route, in_folder.route) == (Route.EVENT, Route.FOLDER)
    assert in_bucket.find("S1/front.png") is None
    assert in_bucket.find("images/S1/front.png") is not None
    assert in_folder.find("S1/front.png") is not None


async def test_gateways_are_present_in_a_folder_alone(in_context: InContext):
    assert open_presence(in_context(store=BUCKETS)) is None
    context = in_context()
    await open_stores(context)
    assert open_presence(context) is not None
    assert len(list((context.settings.store.folder / ".gateways").iterdir())) == 1


def test_a_folder_without_locks_is_used_without_presence(in_context: InContext, tmp_path: Path):
    (tmp_path / "store").write_text("")  # stands for a file server that makes no lock
    with capture_logs() as logs:
        assert open_presence(in_context()) is None
    assert [entry["event"] for entry in logs] == ["store.without_locks"]


@pytest.mark.parametrize(
    ("store", "watch", "watched"),
    [(None, True, True), (None, None, False), (BUCKETS, True, False)],
)
async def test_a_folder_is_watched_where_that_is_asked_for(
    in_context: InContext,
    tmp_path: Path,
    store: StoreSettings | None,
    *,
    watch: bool | None,
    watched: bool,
):
    groups = {} if store is None else {"store": store}
    dropfolder = DropFolderSettings(folder=tmp_path / "drop", watch=watch)
    context = in_context(dropfolder=dropfolder, **groups)
    if store is None:
        await open_stores(context)
    assert (open_watched(context) is not None) is watched
