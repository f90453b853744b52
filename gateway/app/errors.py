"""Faults that keep the gateway from starting."""

from __future__ import annotations


class StartError(Exception):
    """The gateway did not come up; the message says why, and what to do."""


class AddressUnavailableError(Exception):
    """The gateway cannot listen where it is to; the message says what to do."""
