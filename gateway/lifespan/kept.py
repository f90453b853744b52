"""Makes what is kept of studies: all of it lies in the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.lifespan.dropfolder import make_inbox, open_watched
from gateway.lifespan.stores import open_presence, open_stores
from gateway.problems import problem_of
from gateway.services.callbacks import ROOT as CALLBACKS
from gateway.services.claims import CLOCK_SKEW_S
from gateway.services.deletion import Deletion
from gateway.services.parked_images import ParkedImages
from gateway.services.parking import Parking
from gateway.services.results import ROOT as RESULTS
from gateway.services.results import ResultStore
from gateway.services.submissions import ROOT as PENDING
from gateway.services.waiting import WaitingRoom

if TYPE_CHECKING:
    from gateway.clients.dropfolder import WatchedFolder
    from gateway.clients.presence import Presence
    from gateway.clients.protocols import ObjectStore
    from gateway.lifespan.basis import Basis
    from gateway.services.inbox import Inbox


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of studies, and the drop folder that they come from.

    Parameters
    ----------
    objects
        The store that all of it lies in.
    presence
        Tells which gateways on the store run, where it can be told.
    watched
        The drop folder, where it is one that this gateway watches.
    """

    objects: ObjectStore
    results: ResultStore
    parking: Parking
    parked_images: ParkedImages
    waiting: WaitingRoom
    inbox: Inbox
    deletion: Deletion
    presence: Presence | None
    watched: WatchedFolder | None


async def open_kept(basis: Basis) -> Kept:
    """What is kept, in the store that the settings name.

    Raises
    ------
    StoreUnavailableError
    """
    objects, dropped = await open_stores(basis)
    watched = open_watched(basis)
    parking, waiting = Parking(objects, problem_of), WaitingRoom(objects)
    inbox = make_inbox(basis.settings, dropped)
    deletion = Deletion(
        objects,
        roots=(RESULTS, PENDING, CALLBACKS),
        parking=parking,
        waiting=waiting,
        inbox=inbox,
        closed_s=basis.settings.http.request_timeout_s + CLOCK_SKEW_S,
        metrics=basis.metrics,
        pseudonyms=basis.pseudonyms,
    )
    results = ResultStore(objects)
    return Kept(
        objects,
        results,
        parking,
        ParkedImages(parking, results, deletion),
        waiting,
        inbox,
        deletion,
        presence=open_presence(basis),
        watched=watched,
    )
