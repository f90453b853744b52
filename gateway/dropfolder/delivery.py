"""Deliveries: objects that come to the drop folder, in any order and more than once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from gateway.dropfolder.outcome import Taken
from gateway.errors import ObjectNotReadableError, QuotaExceededError
from gateway.schemas.events import Outcome
from gateway.schemas.parked import Half

if TYPE_CHECKING:
    from gateway.dropfolder.lone_halves import LoneHalves
    from gateway.dropfolder.objects import Inbox
    from gateway.dropfolder.outcome import Outcomes
    from gateway.dropfolder.pair_records import PairRecords
    from gateway.dropfolder.pair_turns import PairTurns
    from gateway.dropfolder.pairing import Pairing
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.events import Delivery


log = structlog.get_logger()

_OVER_QUOTA = "Its tenant's quota is used up; it is taken once there is room."


@dataclass(frozen=True, slots=True)
class DropFolder:
    """Parts of the drop folder that deliveries, retries and sweeps work with.

    Parameters
    ----------
    inbox
        Reads the halves.
    pairing
        Takes each image that an object makes complete.
    turns
        Turns of the deliveries of each pair.
    records, lone_halves
        Keep halves that wait, and parked objects.
    outcomes
        Tells the outcome of each delivery.
    """

    inbox: Inbox
    pairing: Pairing
    turns: PairTurns
    records: PairRecords
    lone_halves: LoneHalves
    outcomes: Outcomes


class Deliveries:
    """The intake of objects, each as it is delivered."""

    def __init__(self, folder: DropFolder) -> None:
        self._folder = folder

    async def deliver(
        self,
        key: str,
        version_id: str | None = None,
        deadline: Deadline | None = None,
        *,
        tag: str | None = None,
    ) -> Delivery:
        """Return the outcome of an object that came to the drop folder.

        Parameters
        ----------
        key, version_id
            Key and version of the object; without a version the current one is meant.
        deadline, tag
            See `Pairing.take`.

        Raises
        ------
        DeliveryUnfinishedError, InferenceUnavailableError, InferenceOverloadedError,
        OverloadedError, StoreUnavailableError
            The delivery is to be repeated.
        """
        folder = self._folder
        dropped = folder.inbox.find(key)
        if dropped is None or await folder.inbox.is_left_alone(dropped, version_id):
            return folder.outcomes.tell(key, [Taken(Outcome.IGNORED)])
        if dropped.half is Half.SIDECAR:
            version_id = None  # the latest word counts
        take, waiting = folder.pairing.take, folder.records.waiting
        try:
            taken = await take(dropped, version_id, deadline, tag=tag)
            if not taken:
                await waiting.add(dropped, version_id, needs_other=True)
                taken = await folder.pairing.take_up(dropped, version_id, deadline)
            parked = None
            if not taken:
                parked = await folder.lone_halves.park_hopeless(dropped, version_id)
            if parked is not None:
                taken = await take(dropped, version_id) or [parked]
        except ObjectNotReadableError:
            await waiting.add(dropped, version_id)
            taken = []
        except QuotaExceededError as error:
            await waiting.add(dropped, version_id)
            log.info("dropfolder.over_quota", quota=error.quota)
            return folder.outcomes.tell(dropped.stem, [Taken(Outcome.WAITING)], detail=_OVER_QUOTA)
        return folder.outcomes.tell(dropped.stem, taken or [Taken(Outcome.WAITING)])
