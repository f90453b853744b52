"""Names that leave the process stay as they were published, whatever classes are called."""

from collections.abc import Iterator

from gateway import errors
from gateway.errors import RadStreamError
from gateway.work.periodic import Sweep


def _below(kind: type[RadStreamError]) -> Iterator[type[RadStreamError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _below(subclass)


def test_errors_keep_the_labels_that_dashboards_ask_for():
    labels = [
        kind.label for kind in set(_below(RadStreamError)) if kind.__module__ == errors.__name__
    ]
    assert sorted(labels) == sorted(LABELS)


def test_sweeps_keep_their_names_in_the_audit_trail():
    assert set(Sweep) == {
        *("completion", "deletions", "drop folder", "monitoring", "parked", "probes"),
        "retention",
    }


LABELS = (
    "AuditUnavailableError",
    "BackendDiedError",
    "BodyTooLargeError",
    "CallbackUnansweredError",
    "CallerGoneError",
    "ContentCodingError",
    "ContractError",
    "CredentialsAmbiguousError",
    "CredentialsInvalidError",
    "CredentialsMissingError",
    "DeadlineExceededError",
    "DeliveryRefusedError",
    "QuotaExceededError",
    "StudyIncompleteError",
    "DeliveryUnansweredError",
    "DeliveryUnfinishedError",
    "ForeignBucketError",
    "ForeignOriginError",
    "GivenUpError",
    "HeadTooLargeError",
    "ImageNotFoundError",
    "ImagesTooLargeError",
    "ImagesWithoutContrastError",
    "InferenceFailedError",
    "InferenceOverloadedError",
    "InferenceUnavailableError",
    "InstanceNotFoundError",
    "InvalidAcceptanceError",
    "InvalidCallbackError",
    "InvalidEventError",
    "InvalidFeedbackError",
    "InvalidKeyError",
    "InvalidMetadataError",
    "InvalidPartsError",
    "InvalidQueryError",
    "KeptOutError",
    "ModelNotLoadedError",
    "ModelSilentError",
    "NoRuleError",
    "IssuerUnavailableError",
    "MalformedRequestError",
    "MissingHalfError",
    "NoDicomContextError",
    "NoHeatMapError",
    "NoModelAcceptsError",
    "NotAcceptableError",
    "ObjectNotFoundError",
    "ObjectNotReadableError",
    "ObjectTooLargeError",
    "OverloadedError",
    "ParkedItemNotFoundError",
    "RenderingNotConformantError",
    "ReportUnansweredError",
    "RequestMediaTypeError",
    "RequestTooSlowError",
    "ScopeMissingError",
    "StaleFormError",
    "StoreError",
    "StoreUnavailableError",
    "StudyBacklogFullError",
    "StudyBeingDeletedError",
    "StudyConflictError",
    "StudyDeletedError",
    "StudyNotFoundError",
    "TenancyError",
    "TooManyPartsError",
    "TooManyPicturesError",
    "UnknownModelError",
    "UnreadableDocumentError",
    "UnreadableImagesError",
    "UnsupportedImagesError",
)
