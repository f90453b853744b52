"""Errors of the embedded Triton."""


class SidecarError(Exception):
    """The embedded Triton cannot serve."""


class UnsupportedPlatformError(SidecarError):
    """A part that the embedded Triton needs is missing on this machine or in this Python.

    The message names the missing part and the way round it.
    """

    def __init__(self, missing: str) -> None:
        super().__init__(
            f"the embedded Triton cannot run here: {missing}. "
            "Run the published server instead: docker compose up"
        )


class TritonStartError(SidecarError):
    """The server process ended, or did not answer in time, before it was live.

    Attributes
    ----------
    log_tail : tuple of str
        The server's last log lines, oldest first.
    """

    def __init__(self, reason: str, log_tail: tuple[str, ...]) -> None:
        super().__init__("\n".join([f"Triton did not start: {reason}", *log_tail]))
        self.log_tail = log_tail
