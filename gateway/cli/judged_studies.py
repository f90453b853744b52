"""Studies with feedback, asked of a running gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.cli.gateway_client import ask

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    import httpx


def judged_studies(client: httpx.Client, first: dt.date, last: dt.date) -> Iterator[dict[str, Any]]:
    """Yield the results of the studies with feedback that were received on these days (UTC).

    One that is deleted meanwhile ends the command, as any problem does.
    """
    days = {"from": first.isoformat(), "to": last.isoformat()}
    query = days | {"feedback": "true", "limit": "200"}
    page = ask(client, "GET", "/v1/studies", params=query).json()
    while True:
        for study in page["studies"]:
            yield ask(client, "GET", f"/v1/studies/{study['study_id']}").json()
        if "next" not in page:
            return
        page = ask(client, "GET", page["next"]).json()
