"""Waits of studies for a model that is being reloaded: bounded in number and in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from gateway.errors import BackendDiedError, InferenceUnavailableError
from gateway.models.selection import ModelState, State

if TYPE_CHECKING:
    from gateway.models.recovery import Recovery
    from gateway.models.served_model import ServedModel
    from gateway.models.states import ModelStates
    from gateway.runtime.deadline import Deadline

# Of a study's time, the part left for its second try and for the answer that it is too late.
_KEPT_S = 2.0


class ReloadWaits:
    """The waits of studies whose model is being reloaded.

    Parameters
    ----------
    states
        The states of the models.
    recovery
        Knows which models are reloaded.
    limit
        Frames that may wait at once.
    """

    def __init__(self, states: ModelStates, recovery: Recovery, limit: int) -> None:
        self._states = states
        self._recovery = recovery
        self._limit = limit
        self._waiting = 0

    async def outlast_reload(
        self, model: ServedModel, error: InferenceUnavailableError, deadline: Deadline
    ) -> None:
        """Wait until the model is proved again; see `ModelRegistry.outlast_reload`."""
        key = model.name, model.version
        if not (isinstance(error, BackendDiedError) or self._recovery.names()):
            return
        if self._waiting >= self._limit and not self._states.is_ready(key):
            raise error
        self._waiting += 1
        try:
            async with asyncio.timeout(max(0.0, deadline.remaining_s() - _KEPT_S)):
                while (state := self._states.get(key)) is not None and state.sick:
                    await self._states.wait_for_look()
        except TimeoutError:
            raise error from None
        finally:
            self._waiting -= 1
        if state is None or state.state is not State.READY or state.served != model:
            raise error

    async def outlast_loss(
        self,
        state: ModelState,
        error: InferenceUnavailableError,
        deadline: Deadline,
        *,
        known_after_s: float,
    ) -> None:
        """Wait for a model that was found dead this moment.

        Parameters
        ----------
        known_after_s
            Seconds after which senders could know that it is dead.

        Raises
        ------
        InferenceUnavailableError
            As `outlast_reload`, and where it has been known for longer that the model is dead.
        """
        just_lost = self._states.lost_for_s((state.name, state.version)) <= known_after_s
        if state.served is None or not (just_lost and self._recovery.names()):
            raise error
        await self.outlast_reload(state.served, error, deadline)
