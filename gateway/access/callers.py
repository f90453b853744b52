"""Callers, their kinds and their scopes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """A permission of a caller; each scope stands alone, none includes another."""

    STUDIES_WRITE = "studies:write"
    STUDIES_CORRECT = "studies:correct"
    STUDIES_READ = "studies:read"
    STUDIES_FEEDBACK = "studies:feedback"
    EVENTS_WRITE = "events:write"
    OPERATE = "operate"


class CallerKind(StrEnum):
    """The means by which a caller was identified."""

    ANONYMOUS = "anonymous"
    KEY = "key"
    TOKEN = "token"  # noqa: S105 - no secret
    GATEWAY = "gateway"
    SENDER = "sender"


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request, once that is proven.

    Parameters
    ----------
    name
        The key's name, the token's subject, or the DICOM sender's name; unique among callers of its
        kind. It may be a person's: it goes to the audit trail, never into a log.
    scopes
        The acts that are allowed.
    kind
        The kind of credential: key, token or none.
    """

    name: str
    scopes: frozenset[Scope]
    kind: CallerKind

    @property
    def label(self) -> str:
        """The caller in metrics and telemetry: the name that the operator gave the key or sender.

        Only the operator gives such names; all callers with a token have one label.
        """
        named = self.kind in {CallerKind.KEY, CallerKind.SENDER}
        return self.name if named else _LABELS[self.kind]


_LABELS = {
    CallerKind.ANONYMOUS: "anonymous",
    CallerKind.TOKEN: "oidc",
    CallerKind.GATEWAY: "gateway",
}
# All that write to the drop folder: its files name no caller.
DROP_FOLDER_LABEL = "dropfolder"

# Nobody is asked on loopback, and a slip is to be told from a correction there, too.
ANONYMOUS = Caller("anonymous", frozenset(Scope) - {Scope.STUDIES_CORRECT}, CallerKind.ANONYMOUS)
