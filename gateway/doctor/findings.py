"""Findings of the doctor's checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """The part of an installation that a finding is about."""

    SETTINGS = "settings"
    MACHINE = "machine"
    CERTIFICATES = "certificates"
    LISTENER = "listener"
    DICOM_LISTENER = "dicom-listener"
    ROUTING = "routing"
    DESTINATION = "destination"
    STORE = "store"
    BUCKET_EVENTS = "bucket-events"
    TRITON = "triton"
    TELEMETRY = "telemetry"
    IDENTITY = "identity-provider"
    CLOCKS = "clocks"


class Outcome(StrEnum):
    """The result of a check; only a fault ends the command with status 1."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


class Side(StrEnum):
    """The side of a connection that is to be changed."""

    GATEWAY = "gateway"
    PEER = "peer"
    EITHER = "either"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    check, target
        The part, and which one of its kind: a destination's name, a bucket, an address.
    detail
        The result in words.
    side, change
        The side that is to change something, and the line to change; None where nothing is wrong.
    """

    check: Check
    target: str
    outcome: Outcome
    detail: str
    side: Side | None = None
    change: str | None = None


class FaultError(Exception):
    """Something is wrong with what a check looks at.

    Parameters
    ----------
    detail, side, change
        See `Finding`.
    outcome
        Fault, or warning.
    """

    def __init__(
        self, detail: str, side: Side, change: str, outcome: Outcome = Outcome.FAULT
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.side = side
        self.change = change
        self.outcome = outcome

    def of(self, check: Check, target: str) -> Finding:
        """Return the finding about this target."""
        return Finding(check, target, self.outcome, self.detail, self.side, self.change)
