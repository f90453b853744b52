"""Logs are JSON lines that say what happened, and never to whom."""

import json
import re
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.http.requests.test_study_request import BAD, png_header
from tests.gateway.observability.printed_log import COMPLAINTS, MARK, lines, printed
from tests.preprocess import pngs
from tests.support import dicom
from tests.support.gateway import (
    client_of,
    files_in,
    metadata,
    multipart,
    running_command,
    until,
)
from tests.support.models import flat_png

# A process of its own: pytest's handlers and structlog's cached loggers would be in the way.
PROGRAM = """
import logging, structlog
from gateway.observability import logs
from gateway.settings import LogSettings
logs.configure(LogSettings(format="json", level="info"))
structlog.get_logger().info("study.completed", images=2)
logging.getLogger("some.library").warning("took %s\\nlines", 2)
logging.getLogger("some.library").debug("too much")
try:
    try:
        int("MUSTERMANN")
    except ValueError as error:
        raise KeyError("MUSTERMANN") from error
except KeyError:
    structlog.get_logger().exception("request.unexpected_error")
    logging.getLogger("some.library").exception("failed with MUSTERMANN")
"""


def test_structlog_and_the_standard_library_speak_one_format():
    first, second, *failures = printed(PROGRAM)
    assert (first["event"], first["level"], first["images"]) == ("study.completed", "info", 2)
    assert (second["event"], second["level"]) == ("library.message", "warning")
    assert second["logger"] == "some.library"
    assert first["timestamp"].endswith("Z")
    assert [line["event"] for line in failures] == ["request.unexpected_error", "library.message"]
    for line in failures:
        assert [place["error"] for place in line["exception"]] == ["KeyError", "ValueError"]
        [frame] = line["exception"][0]["frames"]
        assert re.fullmatch(r"<string>:\d+ <module>", frame)


@pytest.mark.parametrize("raised", ["", "import threading; threading.Thread(target=fail).start()"])
def test_an_error_that_nobody_caught_is_an_event_without_its_words(raised: str):
    program = f"{COMPLAINTS}\ndef fail():\n    int('MUSTERMANN')\n{raised or 'fail()'}"
    [event] = printed(program)
    assert (event["event"], event["level"]) == ("process.unexpected_error", "critical")
    assert event["exception"][0]["error"] == "ValueError"


# A profile's name ends at its first null byte; libpng tells it when it dislikes the profile.
FORGED = b'x\n{"event": "forged", "level": "info"}\n' + MARK.encode()


async def test_no_file_writes_into_the_log(triton: EmbeddedTriton, tmp_path: Path):
    profile = pngs.chunk(b"iCCP", FORGED + b"\0\0" + zlib.compress(b"no profile"))
    named_png = pngs.write(pngs.ramp(64, 64), extra=(profile,))
    standard = "ISO_IR 192"  # as long as what stands in its place: a name that no set has
    dataset = dicom.radiograph(SpecificCharacterSet=standard, StudyDate="20260131")
    dataset.PatientID = dataset.AccessionNumber = "\u00c4"
    named_dicom = dicom.file_of(dataset).replace(standard.encode(), MARK.encode())
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(tmp_path),
    }
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:
            await until(lambda: _is_ready(client))
            for document, file in ((metadata(), named_png), (None, named_dicom)):
                await client.post("/v1/studies", **multipart(document, file))
        await until(lambda: any('"library.output"' in line for line in command.err))
        assert await command.stop() == 0
    assert not [line for line in command.err if MARK in line]
    events = [event["event"] for event in lines("\n".join(command.err))]
    assert "forged" not in events
    assert events.count("library.warnings") <= 1


async def test_nothing_that_names_a_patient_leaves_the_store(
    triton: EmbeddedTriton, tmp_path: Path
):
    study_id = f"{MARK}-1"
    named = metadata(
        study_id=study_id,
        patient_id=MARK,
        accession_number=MARK,
        body_part=MARK,  # dropped with a warning, which must not quote it
        annotations=[{"by": MARK}],
        **{f"{MARK}_name": MARK},
    )
    bad = [
        named | {"patient_id": "ANOTHER"},
        named | {"view": MARK},
        named | {"study_id": MARK, "timestamp": MARK},
        named | {"study_id": MARK, "model": MARK},
        named | {"study_id": MARK, "image_size": {"width": 1, "height": 1}},
    ]
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(tmp_path),
        "RADSTREAM_LOGS__LEVEL": "debug",
    }
    async with running_command("serve", **variables) as command:
        async with client_of(await command.url()) as client:
            for _ in range(2):
                answer = await client.post("/v1/studies", **multipart(named, flat_png(1)))
                assert answer.status_code == 200
            problems = [
                await client.post("/v1/studies", **multipart(document, flat_png(2)))
                for document in bad
            ]
            problems.append(
                await client.post(
                    "/v1/studies", files={"metadata": MARK, MARK: (MARK, MARK), "image": MARK}
                )
            )
            heatmap = await client.get(f"/v1/studies/{study_id}/images/1/heatmap.png")
            assert heatmap.status_code == 200
            problems.append(await client.get(f"/v1/studies/{study_id}/images/1/{MARK}"))
            # A store that broke: what its documents hold must not come out with the failure.
            stored = tmp_path / "results" / study_id / "result.json"
            document = json.loads(stored.read_text())
            [reading] = document["record"]["readings"]
            [frame] = reading["frames"]
            reading["frames"] = [{MARK: MARK}]
            stored.write_text(json.dumps(document))
            damaged = await client.get(f"/v1/studies/{study_id}/images/1/preview.png")
            # A bug: no model answers without any finding, so nobody looks for that.
            reading["frames"] = [frame | {"findings": [], MARK: MARK}]
            stored.write_text(json.dumps(document))
            broken = await client.get(f"/v1/studies/{study_id}/images/1/heatmap.png")
            problems += [damaged, broken]
            metrics = (await client.get("/metrics")).text
        assert await command.stop() == 0
    assert all(problem.is_client_error for problem in problems[:-2])
    assert damaged.status_code == 502
    assert not any(MARK in problem.text for problem in problems)
    assert MARK not in metrics
    assert not [line for line in command.err if MARK in line]
    events = lines("\n".join(command.err))
    [completed, *_] = [event for event in events if event["event"] == "study.completed"]
    assert len(completed["study_ref"]) == 32
    assert {"request_id", "trace_id", "total_ms", "images", "image_bytes"} <= completed.keys()
    unexpected = [event for event in events if event["event"] == "request.unexpected_error"]
    assert broken.status_code == 500
    assert [event["exception"][0]["error"] for event in unexpected] == ["ValueError"]


async def test_bad_requests_leave_memory_flat_and_the_store_empty(
    triton: EmbeddedTriton, tmp_path: Path
):
    variables = {
        "RADSTREAM_HTTP__PORT": "0",
        "RADSTREAM_TRITON__URL": triton.grpc_url,
        "RADSTREAM_STORE__FOLDER": str(tmp_path),
        "RADSTREAM_LIMITS__BODY_BYTES": "1000000",
    }
    bombs = [
        multipart(metadata(), png_header(60_000, 60_000)),
        multipart(metadata(), b"\0" * 2_000_000),
        multipart(b'{"x":' + b"[" * 200_000, flat_png(1)),
    ]
    requests = [*(bad[0] for bad in BAD.values()), *bombs]
    async with running_command("serve", **variables) as command:
        process = psutil.Process(command.pid)
        async with client_of(await command.url()) as client:

            async def send_all(times: int) -> None:
                for _ in range(times):
                    for request in requests:
                        answer = await client.post("/v1/studies", **request)
                        assert answer.is_client_error, answer.text

            await until(lambda: _is_ready(client))
            await send_all(2)
            before = process.memory_info().rss
            await send_all(200 // len(requests) + 1)
            growth = process.memory_info().rss - before
    # One 60000x60000 picture decoded would be 3.6 GB.
    assert growth < 48 * 2**20
    assert files_in(tmp_path) == []


async def _is_ready(client: Any) -> bool:
    return bool((await client.get("/readyz")).is_success)
