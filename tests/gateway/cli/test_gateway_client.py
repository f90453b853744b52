"""Commands find the gateway by the settings it listens by."""

import click
import pytest

from gateway.cli.gateway_client import default_url


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://127.0.0.1:8080"),
        ({"RADSTREAM_HTTP__PORT": "9090"}, "http://127.0.0.1:9090"),
        ({"radstream_http__port": "9090"}, "http://127.0.0.1:9090"),
        ({"RADSTREAM_HTTP__HOST": "10.1.2.3"}, "http://10.1.2.3:8080"),
        ({"RADSTREAM_HTTP__HOST": "0.0.0.0"}, "http://127.0.0.1:8080"),  # noqa: S104
        ({"RADSTREAM_HTTP__HOST": "::"}, "http://[::1]:8080"),
        (
            {"RADSTREAM_HTTP__TLS_CERTIFICATE": "/c.pem", "RADSTREAM_HTTP__TLS_KEY": "/k.pem"},
            "https://127.0.0.1:8080",
        ),
    ],
)
def test_the_gateway_is_where_the_settings_say(variables: dict[str, str], url: str):
    assert default_url(variables) == url


def test_a_port_that_is_left_to_chance_has_to_be_given():
    with pytest.raises(click.UsageError, match="give --url"):
        default_url({"RADSTREAM_HTTP__PORT": "0"})
