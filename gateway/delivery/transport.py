"""Ways to the systems that take results: what is brought, and how each way answers for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.result import RenderingKind
    from gateway.work.keys import WorkId


@dataclass(frozen=True, slots=True)
class Rendering:
    """A study's results in the form of one standard, as one object.

    Parameters
    ----------
    kind
        Form of the results.
    uid
        Identifier by which a receiver knows the object again: the SOP Instance UID (0008,0018), the
        message's control ID (MSH-10), or the FHIR identifier.
    media_type
        Of the data.
    data
        The object, the same bytes however often it is sent.
    sop_class_uid
        Of an object in DICOM.
    work, revision
        The delivery that brings it, where one does, and the state of the study that it brings.
    """

    kind: RenderingKind
    uid: str
    media_type: str
    data: bytes
    sop_class_uid: str | None = None
    work: WorkId | None = None
    revision: str = ""


class Transport(Protocol):
    """The way to one destination. It keeps no connection beyond a time-out."""

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Send the object; return once the destination has acknowledged it.

        Raises
        ------
        DeliveryRefusedError
            It will never take this object.
        DeliveryUnansweredError
            It may take the object when it is sent again.
        """
        ...

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return True if the destination holds the object; None where it cannot be asked.

        Raises
        ------
        DeliveryUnansweredError
            It could be asked, and did not answer.
        """
        ...

    async def check(self, deadline: Deadline) -> str:
        """Ask the destination something that changes nothing there; return its answer in words.

        Raises
        ------
        DeliveryRefusedError
            It answers, and would take no results as it is set up.
        DeliveryUnansweredError
        """
        ...
