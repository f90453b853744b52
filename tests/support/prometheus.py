"""A real Prometheus on the shipped configuration, and Grafana's part in asking it."""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from gateway.triton.embedded.ports import choose_ports
from tests.support.gateway import ROOT, client_of, until
from tests.support.tools import tool


@dataclass(frozen=True)
class Prometheus:
    """A server that scrapes."""

    client: httpx.AsyncClient

    async def ask(self, path: str, **parameters: str | list[str]) -> Any:
        """The data of an answer of the HTTP API."""
        response = await self.client.get(f"/api/v1/{path}", params=parameters)
        answer = response.json()
        assert answer["status"] == "success", (answer, parameters)
        assert "warnings" not in answer, (answer, parameters)
        return answer["data"]

    async def samples(self, query: str, *, instant: bool, began: float) -> list[float]:
        """The finite values that a panel of the time since then would show."""
        now = await self._now()
        if instant:
            found = (await self.ask("query", query=query, time=str(now)))["result"]
            values = [series["value"][1] for series in found]
        else:
            window = {"start": str(began), "end": str(now), "step": "1s"}
            found = (await self.ask("query_range", query=query, **window))["result"]
            values = [value for series in found for _, value in series["values"]]
        return [float(value) for value in values if math.isfinite(float(value))]

    async def _now(self) -> float:
        return float((await self.ask("query", query="time()"))["result"][1])


@asynccontextmanager
async def running_prometheus(folder: Path, targets: Mapping[str, str]) -> AsyncIterator[Prometheus]:
    """A Prometheus as helm/prometheus.yml sets it up, with other targets by job, every second."""
    config = yaml.safe_load((ROOT / "helm/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(ROOT / "helm" / path) for path in config["rule_files"]]
    assert {job["job_name"] for job in config["scrape_configs"]} == set(targets)
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{choose_ports().http}"
    with (folder / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            tool("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
            stdout=log,
            stderr=log,
        )
    try:
        async with client_of(f"http://{address}") as client:

            async def is_ready() -> bool:
                assert process.returncode is None, (folder / "prometheus.log").read_text()
                try:
                    return (await client.get("/-/ready")).is_success
                except httpx.TransportError:
                    return False

            await until(is_ready)
            yield Prometheus(client)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@dataclass(frozen=True)
class Query:
    """One of a panel's, with Grafana's variables filled in."""

    dashboard: str
    panel: str
    legend: str
    text: str
    instant: bool


def queries_of(dashboard: Mapping[str, Any], **variables: str) -> Iterator[Query]:
    """Every query of a dashboard.

    Variables are what is chosen at its top: "All" if not given, or a text's default.
    """
    values = {"__rate_interval": "5s", "__range": "1m"}
    for each in dashboard["templating"]["list"]:
        values[each["name"]] = each["query"] if each["type"] == "textbox" else ".*"
    values |= variables
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            text = re.sub(r"\$(\w+)", lambda name: values[name[1]], target["expr"])
            yield Query(
                dashboard["title"], panel["title"], target["legendFormat"], text, target["instant"]
            )
