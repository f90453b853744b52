"""`radstream feedback import`, through a real gateway, and what the report makes of it."""

import asyncio
import csv
import datetime as dt
import json
from collections import Counter
from functools import partial
from pathlib import Path

import httpx
from click.testing import CliRunner

from gateway.cli.gateway_client import gateway_client
from gateway.cli.judged_studies import judged_studies
from gateway.cli.main import main
from gateway.report.reader_agreement import reader_agreement
from gateway.triton.embedded import EmbeddedTriton
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import (
    LiveGateway,
    metadata,
    multipart,
    running_gateway,
    settings_for,
    until,
)
from tests.support.models import flat_png


async def brought(gateway: LiveGateway, file: Path, text: str) -> tuple[int, str, str]:
    file.write_text(text, encoding="utf-8-sig")
    return await command("feedback", "import", file, "--url", gateway.url)


async def command(*arguments: object, **environment: str) -> tuple[int, str, str]:
    invoked = partial(CliRunner().invoke, main, list(map(str, arguments)), env=environment)
    result = await asyncio.to_thread(invoked)
    return result.exit_code, result.stdout, result.stderr


async def sent(client: httpx.AsyncClient, level: int, **fields: str) -> str:
    document = metadata(**fields)
    answer = await client.post("/v1/studies", **multipart(document, flat_png(level)))
    assert answer.status_code == 200, answer.text
    study_id: str = document["study_id"]
    return study_id


async def test_reports_are_brought_by_study_or_order_and_agreement_follows(
    gateway: LiveGateway, tmp_path: Path
):
    client = gateway.client
    bright = await sent(client, 204, accession_number="A-BRIGHT-4711")
    dark = await sent(client, 51)

    async def is_found() -> bool:
        query = {"accession_number": "A-BRIGHT-4711"}
        return bool((await client.get("/v1/studies", params=query)).json()["studies"])

    await until(is_found)
    text = (
        "study_id,accession_number,label,judgement,author,model\n"
        ",A-BRIGHT-4711,bright,absent,Dr. A\n"
        f"{dark},,bright,Agree,,brightness:1\n"
        f"{dark},,dim,present,\n"
        ",A-NONE,bright,present,\n"
        ",,bright,present,\n"
        f"{dark},,bright,perhaps,\n"
        f"../studies/{dark},,bright,absent,\n"  # a way to whatever the key opens
        f",{'A' * 65},bright,present,\n"
        f"{dark},,bright,agree,,darkness\n"
    )
    code, out, err = await brought(gateway, tmp_path / "reports.csv", text)
    assert code == 1
    assert out == "judgements brought: 2, left out: 7\n"
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        *("line 4", "line 5", "line 6", "line 7", "line 8", "line 9", "line 10"),
    ]
    [item] = (await client.get(f"/v1/studies/{bright}")).json()["feedback"]
    assert (item["author"], item["source"], item["present"]) == ("Dr. A", "report", False)

    def found() -> list[dict[str, object]]:
        today = dt.datetime.now(dt.UTC).date()
        with gateway_client(gateway.url, None) as of_command:
            studies = list(judged_studies(of_command, today - dt.timedelta(days=1), today))
        mine = [each for each in studies if each["study_id"] in {bright, dark}]
        answers = reader_agreement(mine)
        return answers["discordant_studies"].records() if len(mine) == 2 else []

    async def is_reported() -> bool:
        rows = await asyncio.to_thread(found)
        return [row["study_id"] for row in rows] == [bright]

    await until(is_reported)


async def test_a_file_of_a_report_system_is_brought_twice_and_reported_once(
    triton: EmbeddedTriton, tmp_path: Path
):
    settings = settings_for(triton.grpc_url, tmp_path / "store")
    async with running_gateway(settings) as gateway:
        await until(gateway.is_ready)
        client = gateway.client
        # Twenty orders: of ten bright pictures the reports confirm eight, of ten dark ones nine.
        studies = [
            await sent(client, 255 if number < 10 else 1, accession_number=f"A-CANARY-{number:02}")
            for number in range(20)
        ]
        for study_id in ("TWIN-1", "TWIN-2"):
            await sent(client, 255, study_id=study_id, accession_number="A-CANARY-TWIN")
        names = dict.fromkeys(("PatientName", "PatientID", "AccessionNumber"), "A-CANARY-99")
        dicom = file_of(radiograph(StudyInstanceUID="1.2.3.99", **names))
        assert (await client.post("/v1/studies", **multipart(None, dicom))).status_code == 200

        async def are_found() -> bool:
            found = (await client.get("/v1/studies", params={"state": "completed"})).json()
            return len(found["studies"]) == 23

        await until(are_found)
        verdicts = ["present"] * 8 + ["absent"] * 2 + ["absent"] * 9 + ["present"]
        rows = [f"A-CANARY-{n:02};;bright;{v}" for n, v in enumerate(verdicts)]
        rows[7:7] = [
            *("A-CANARY-TWIN;;bright;present", "A-CANARY-NONE;;bright;present"),
            *("A-CANARY-01;;brigth;present", "A-CANARY-01;1.2.3.99;bright;present"),
        ]
        rows += [";1.2.3.99;bright;agree"]
        text = "\r\n".join(("Accession Number;Study Instance UID;Label;Judgement", *rows, ""))
        first = await brought(gateway, tmp_path / "reports.csv", text)
        code, out, err = first
        assert (code, out) == (1, "judgements brought: 21, left out: 4\n")
        assert err.splitlines() == [
            "line 9: 2 studies have this accession_number",
            "line 10: no studies have this accession_number",
            "line 11: Invalid feedback. /label is no label of the study's findings: bright",
            "line 12: no studies have this study_instance_uid and accession_number",
        ]
        results = [(await client.get(f"/v1/studies/{each}")).json() for each in studies]
        assert await brought(gateway, tmp_path / "reports.csv", text) == first
        assert [(await client.get(f"/v1/studies/{each}")).json() for each in studies] == results

        async def are_judged() -> bool:
            found = (await client.get("/v1/studies", params={"feedback": "true"})).json()
            return len(found["studies"]) == 21

        await until(are_judged)
        page = tmp_path / "report.html"
        rows_file = tmp_path / "examinations.csv"
        of_report = ("--folder", settings.telemetry.folder, "--url", gateway.url, "--json")
        of_report += ("--html", page, "--examinations", rows_file)
        key_in = {"RADSTREAM_TELEMETRY__SPOOL_FOLDER": str(settings.telemetry.spool_folder)}
        code, out, err = await command("report", "--feedback", *of_report, **key_in)
        assert f'<a href="{gateway.url}/console/studies/{studies[8]}">' in page.read_text()
    told = f"{rows_file} has 23 rows of examinations\n\nThe page is {page}\n"
    assert (code, err) == (0, told)
    examinations = list(csv.DictReader(rows_file.read_text().splitlines()))
    assert Counter(each["concordant"] for each in examinations) == {"true": 18, "false": 3, "": 2}
    assert {each["truth_source"] for each in examinations} == {"report", ""}
    found = json.loads(out)
    [row] = found["reader_agreement"]
    assert (row["studies"], row["disputed"]) == (21, 0)
    assert row["concordance"].startswith("0.857 (")  # 18 of 21
    discordant = {row["study_id"] for row in found["discordant_studies"]}
    assert discordant == {studies[8], studies[9], studies[19]}
    assert "CANARY" not in f"{first}"
    watched = [
        rows_file,
        *(tmp_path / "store/monitoring").rglob("*.json"),
        *settings.telemetry.folder.iterdir(),
    ]
    assert any("true_positive" in file.read_text() for file in watched)
    assert not [file.name for file in watched if "CANARY" in file.read_text()]


async def test_a_file_that_is_no_list_of_judgements_is_refused(
    gateway: LiveGateway, tmp_path: Path
):
    for text, message in (
        ("study_id,label\n", "needs the columns"),
        ("study_id,label,judgement,patient\n", "not known: patient"),
    ):
        code, _, err = await brought(gateway, tmp_path / "reports.csv", text)
        assert code == 1
        assert message in err
    file = tmp_path / "reports.csv"
    file.write_bytes("study_id,label,judgement,author\nx,y,agree,Jäger\n".encode("cp1252"))
    result = CliRunner().invoke(main, ["feedback", "import", str(file), "--url", gateway.url])
    assert result.exit_code == 1
    assert "is no CSV in UTF-8" in result.stderr
