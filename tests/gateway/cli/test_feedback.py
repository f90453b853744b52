"""`radstream feedback import`, through a real gateway, and what the report makes of it."""

import asyncio
import datetime as dt
from pathlib import Path

import httpx
from click.testing import CliRunner

from gateway.cli.gateway_client import gateway_client
from gateway.cli.judged_studies import judged_studies
from gateway.cli.main import main
from gateway.report.reader_agreement import reader_agreement
from tests.support.gateway import LiveGateway, metadata, multipart, until
from tests.support.models import flat_png


async def brought(gateway: LiveGateway, file: Path, text: str) -> tuple[int, str, str]:
    file.write_text(text, encoding="utf-8-sig")
    arguments = ["feedback", "import", str(file), "--url", gateway.url]
    result = await asyncio.to_thread(CliRunner().invoke, main, arguments)
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
        "study_id,accession_number,label,judgement,author\n"
        ",A-BRIGHT-4711,bright,absent,Dr. A\n"
        f"{dark},,bright,Agree,\n"
        f"{dark},,dim,present,\n"
        ",A-NONE,bright,present,\n"
        ",,bright,present,\n"
        f"{dark},,bright,perhaps,\n"
        f"../studies/{dark},,bright,absent,\n"  # a way to whatever the key opens
        f",{'A' * 65},bright,present,\n"
    )
    code, out, err = await brought(gateway, tmp_path / "reports.csv", text)
    assert code == 1
    assert out == "judgements brought: 2, left out: 6\n"
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        *("line 4", "line 5", "line 6", "line 7", "line 8", "line 9"),
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
