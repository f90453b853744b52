"""The intake of one tenant's DICOM senders, or of all where there are no tenants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.delivery.storage_commitment import Commitments
    from gateway.dimse.commitment_requests import CommitmentRequests
    from gateway.dimse.instances import InstanceStore


@dataclass(frozen=True, slots=True)
class DicomIntake:
    """Intake of instances, and of storage commitment, on the event loop.

    Parameters
    ----------
    store, commitments
        Takes the instances, and the requests for storage commitment.
    archives
        Takes reports of archives that the gateway has asked for it.
    """

    store: InstanceStore
    commitments: CommitmentRequests
    archives: Commitments
