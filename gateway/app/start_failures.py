"""Faults that keep the gateway from starting, in a sentence for the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import structlog

from gateway.access.api_keys import KeyFileError
from gateway.app.errors import StartError
from gateway.dimse.listener import DicomListenerError
from gateway.dropfolder.watched_folder.folder import WatchedFolderError
from gateway.errors import RadStreamError, StoreUnavailableError, log_fields
from gateway.routing.document import RoutingFileError
from gateway.routing.sources import place_of
from gateway.settings import DELIMITER, PREFIX

if TYPE_CHECKING:
    from gateway.settings import Settings


log = structlog.get_logger()


def not_started(error: Exception, settings: Settings) -> StartError:
    """Return the error that ends the command, and log why."""
    log.error("gateway.not_started", **logged(error))
    return StartError(told(error, settings))


def told(error: Exception, settings: Settings) -> str:
    """Return a sentence on why the gateway did not come up; nothing was sent to it by then."""
    match error:
        case StoreUnavailableError():
            return _store_told(error.reason, settings)
        case DicomListenerError() | WatchedFolderError():
            return str(error)
        case KeyFileError():
            return f"the key file {settings.access.key_file} cannot be used: {error}"
        case RoutingFileError():
            return f"the routing document {place_of(settings.routing)} cannot be used: {error}"
        case OSError(filename=str() as name, strerror=str() as reason):
            return f"{name} cannot be used: {reason}"
        case _:
            return f"the gateway did not start: {type(error).__name__}; the log has the place"


def logged(error: Exception) -> dict[str, Any]:
    """Return the fields for the log: a fault that is told in words needs no place."""
    match error:
        case RadStreamError():
            return dict(log_fields(error))
        case OSError(filename=str(), strerror=str() as reason):
            return {"error": type(error).__name__, "reason": reason}
        case DicomListenerError() | WatchedFolderError() | KeyFileError() | RoutingFileError():
            return {"error": type(error).__name__, "reason": str(error)}
        case _:
            return {"exc_info": error}


def _store_told(reason: str, settings: Settings) -> str:
    store = settings.store
    if store.kind == "s3":
        return (
            f"the buckets {store.results_bucket} and {store.images_bucket} cannot be used: {reason}"
        )
    return (
        f"the store {store.folder.absolute()} cannot be written: {reason}. Let this user write "
        f"there; {PREFIX}STORE{DELIMITER}FOLDER chooses another folder"
    )
