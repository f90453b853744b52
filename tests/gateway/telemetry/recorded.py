"""Telemetry records of any number and size."""

import secrets

from gateway.telemetry.records import TelemetryRecord


def records(count: int, data_bytes: int = 40) -> list[TelemetryRecord]:
    return [
        TelemetryRecord(secrets.token_hex(16), b'{"n":"%0*d"}\n' % (data_bytes - 9, number))
        for number in range(count)
    ]
