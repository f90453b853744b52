"""A file that asks the entry point of Triton's container to end its server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger()


class RestartFlag:
    """The restart of a Triton in a container of its own, through a volume that both share.

    The entry point takes the file away and ends the server with its container, which is then
    started anew by its supervisor. The gateway's own process goes on.

    Parameters
    ----------
    path
        The file; its folder is there.
    """

    # A server that does not answer may be loading its models: its own probes watch over that.
    restarts_silent = False

    def __init__(self, path: Path) -> None:
        self._path = path

    def lost_backends(self) -> frozenset[int]:
        """See `TritonHost.lost_backends`; those of another container are not to be seen."""
        return frozenset()

    def backends_of(self, model_name: str) -> frozenset[int]:  # noqa: ARG002 - the protocol's
        """See `TritonHost.backends_of`; those of another container are not to be seen."""
        return frozenset()

    def end_backends(self, model_name: str, pids: frozenset[int]) -> None:
        """See `TritonHost.end_backends`; there are none to be seen."""

    def restart(self) -> bool:
        """See `TritonHost.restart`."""
        try:
            self._path.touch()
        except OSError as error:
            log.error("triton.restart_flag_failed", reason=str(error))  # noqa: TRY400 - no fault here
            return False
        return True
