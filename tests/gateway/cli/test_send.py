"""`radstream send` with many files: folders, order, and runs that go on where one ended."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from tests.support.gateway import LiveGateway, run_command
from tests.support.models import flat_png


async def send(gateway: LiveGateway, *arguments: object) -> tuple[int, str, str]:
    return await run_command("send", "--url", gateway.url, *map(str, arguments))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures in two folders, and files that are none."""
    below = tmp_path / "pictures" / "below"
    below.mkdir(parents=True)
    for number in range(6):
        at = below if number > 2 else below.parent
        (at / f"{number}.png").write_bytes(flat_png(40 * number))
    (below / ".hidden").write_bytes(b"")
    (below / "note.json").write_text("{}")
    return below.parent


def sent(out: str) -> list[str]:
    return [line.partition(":")[0] for line in out.splitlines() if ": study " in line]


async def test_a_folder_is_sent_in_order_however_many_are_on_their_way(
    gateway: LiveGateway, folder: Path
):
    code, out, err = await send(gateway, folder, "--at-once", 3)
    assert (code, err) == (0, "")
    assert sent(out) == [f"{number}.png" for number in range(6)]


async def test_a_run_goes_on_where_one_ended(gateway: LiveGateway, folder: Path):
    journal = folder.parent / "journal"
    (folder / "1.png").write_bytes(b"no picture")
    code, out, err = await send(gateway, folder, "--resume", journal)
    assert code == 1
    assert "1.png: " in err
    assert len(sent(out)) == 5
    (folder / "1.png").write_bytes(flat_png(90))
    code, out, _ = await send(gateway, folder, "--resume", journal)
    assert code == 0
    assert sent(out) == ["1.png"]
    assert (await send(gateway, folder, "--resume", journal))[:2] == (0, "")


async def test_a_folder_may_be_one_study(gateway: LiveGateway, folder: Path):
    code, out, _ = await send(gateway, folder, "--study-id", f"S-{folder.stat().st_ino}", "--json")
    assert code == 0
    assert len(json.loads(out)["images"]) == 6


async def test_what_was_not_processed_and_warnings_have_a_line_each(
    gateway: LiveGateway, folder: Path
):
    (folder / "1.png").write_bytes(b"no picture")
    (folder / "0.json").write_text('{"note": "unknown here"}')
    code, out, _ = await send(gateway, folder, "--study-id", f"S-{folder.stat().st_ino}")
    assert code == 0
    assert "\n  not processed: image[1]: Unsupported image format. Send JPEG, PNG or DICOM" in out
    assert "\n  warning: /note unknown field, kept with the study" in out


@pytest.mark.server
async def test_a_folder_without_images_and_a_gateway_that_is_away(tmp_path: Path):
    code, _, err = await run_command("send", "--url", "http://127.0.0.1:9", str(tmp_path))
    assert (code, err) == (1, "Error: there are no images in these folders")
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(flat_png(number))
    code, _, err = await run_command("send", "--url", "http://127.0.0.1:9", str(tmp_path))
    assert code == 1
    assert "does not answer" in err


def test_a_journal_that_cannot_be_written_ends_the_run_before_anything_is_sent(tmp_path: Path):
    picture = tmp_path / "a.png"
    picture.write_bytes(flat_png(9))
    for journal, reason in ((tmp_path / "no/j", "No such file"), (picture / "j", "Not a dir")):
        result = CliRunner().invoke(main, ["send", "--resume", str(journal), str(picture)])
        assert result.exit_code == 1
        assert f"Error: {journal} cannot be written: {reason}" in result.output
