"""What the commands that speak to a running gateway have in common."""

from __future__ import annotations

import click
import httpx

from gateway.settings import CLIENT_KEY

api_key_option = click.option(
    "--api-key",
    envvar=CLIENT_KEY,
    help=f"The key to send, where the gateway asks for one. Better given as {CLIENT_KEY}: other "
    "users of the machine see the options of a command.",
)


def gateway_client(url: str, api_key: str | None) -> httpx.Client:
    """A client of the gateway, to be closed, that no proxy of the environment gets between."""
    headers = {"X-API-Key": api_key} if api_key else None
    return httpx.Client(base_url=url, timeout=60.0, trust_env=False, headers=headers)
