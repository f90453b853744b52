"""Errors as they may occur, for the examples of the API's documentation."""

from __future__ import annotations

from gateway import errors
from gateway.errors import Fault


def example_of(error: type[errors.RadStreamError]) -> errors.RadStreamError:
    """Return an error of this class, as a sender may meet it."""
    return _EXAMPLES[error] if error in _EXAMPLES else error()


_EXAMPLES: dict[type[errors.RadStreamError], errors.RadStreamError] = {
    type(example): example
    for example in (
        errors.MalformedRequestError("The multipart body ends before its closing boundary."),
        errors.RequestMediaTypeError("text/plain"),
        errors.NotAcceptableError("application/dicom+json or application/dicom+xml"),
        errors.ContentCodingError("gzip"),
        errors.BodyTooLargeError(64 * 2**20),
        errors.TooManyPartsError(16),
        errors.RequestTooSlowError("body"),
        errors.OverloadedError("studies"),
        errors.QuotaExceededError("north", "studies_per_minute", 600, retry_after_s=1),
        errors.StudyBacklogFullError(400),
        errors.InvalidPartsError((Fault("image", "is needed at least once"),)),
        errors.InvalidMetadataError(
            (
                Fault("/view", "must be 'PA', 'AP', 'LATERAL', 'OBLIQUE' or 'OTHER'"),
                Fault("/timestamp", "is required"),
            )
        ),
        errors.InvalidAcceptanceError(
            (Fault("/page", "is about another contract than the one that is served"),)
        ),
        errors.InvalidFeedbackError(
            (Fault("/label", "is no label of the study's findings: pneumonia"),)
        ),
        errors.InvalidQueryError((Fault("query/limit", "must be greater than or equal to 1"),)),
        errors.InvalidCallbackError("it does not begin with https://"),
        errors.CallbackUnansweredError("its status was 503"),
        errors.ReportUnansweredError("it rejected the association"),
        errors.StudyIncompleteError(("1 instance", "view LATERAL")),
        errors.DeliveryRefusedError("it answered C-STORE with status 0122"),
        errors.RenderingNotConformantError(("PatientID is missing",)),
        errors.DeliveryUnansweredError("it rejected the association"),
        errors.CredentialsInvalidError(errors.Refusal.UNKNOWN_KEY),
        errors.ScopeMissingError("studies:read"),
        errors.TenancyError("The routing document names no tenant for this caller."),
        errors.IssuerUnavailableError("it does not answer"),
        errors.AuditUnavailableError("the disk is full"),
        errors.UnsupportedImagesError(
            (Fault("image[0]", "the bytes are neither a JPEG, a PNG nor a DICOM file"),)
        ),
        errors.UnreadableImagesError(
            (Fault("image[1]", "the file ends before all of its pixels have been given"),)
        ),
        errors.ImagesWithoutContrastError(
            (
                Fault(
                    "image[0]",
                    "as shown, 99 in 100 pixels lie within 2 of 255 grey levels",
                ),
            )
        ),
        errors.ImagesTooLargeError(
            (Fault("image[0]", "60000 rows x 60000 columns exceed the limit of 100000000 pixels"),)
        ),
        errors.StudyConflictError(
            (Fault("/patient_id", "differs from what is stored under this study_id"),)
        ),
        errors.GivenUpError(5),
        errors.ImageNotFoundError(number=3, images=2),
        errors.InstanceNotFoundError(),
        errors.NoHeatMapError("my_model"),
        errors.NoDicomContextError(),
        errors.InvalidEventError((Fault("/detail/object/key", "is required"),)),
        errors.DeliveryUnfinishedError("its study is under way in another delivery"),
        errors.NoModelAcceptsError(
            modality="CR",
            body_part="HIP",
            view="AP",
            accepted=("cxr_pneumonia: CR/DX, CHEST, AP",),
        ),
        errors.UnknownModelError("my_model:7", ("cxr_pneumonia:1", "cxr_pneumonia:2")),
        errors.KeptOutError(("secondary-captures",)),
        errors.NoRuleError(),
        errors.InferenceFailedError("cxr_pneumonia", "INTERNAL"),
        errors.ModelNotLoadedError("cxr_pneumonia", "INTERNAL: version 3 has no file"),
        errors.InferenceUnavailableError("Triton does not answer"),
        errors.InferenceOverloadedError("cxr_pneumonia"),
        errors.DeadlineExceededError("inference"),
        errors.UnreadableDocumentError("results/*/result.json", "it is not JSON"),
    )
}
