"""Storage classes of still images, and transfer syntaxes, as the listener negotiates them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pynetdicom import sop_class
from pynetdicom.presentation import build_context

from preprocess import TAKEN_TRANSFER_SYNTAXES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pynetdicom import evt
    from pynetdicom.pdu_primitives import A_ASSOCIATE
    from pynetdicom.presentation import PresentationContext

VERIFICATION = sop_class.Verification  # type: ignore[attr-defined]  # made at run time
STORAGE_COMMITMENT = sop_class.StorageCommitmentPushModel  # type: ignore[attr-defined]

# PS3.4, B.5: by the names that PS3.6 gives them. No video, waveforms, reports, presentation states,
# segmentations or plans: none of them is a picture that a model could be given.
STILL_IMAGES = frozenset(
    str(getattr(sop_class, name))
    for name in (
        "ComputedRadiographyImageStorage",
        "DigitalXRayImageStorageForPresentation",
        "DigitalXRayImageStorageForProcessing",
        "DigitalMammographyXRayImageStorageForPresentation",
        "DigitalMammographyXRayImageStorageForProcessing",
        "DigitalIntraOralXRayImageStorageForPresentation",
        "DigitalIntraOralXRayImageStorageForProcessing",
        "CTImageStorage",
        "EnhancedCTImageStorage",
        "LegacyConvertedEnhancedCTImageStorage",
        "UltrasoundMultiFrameImageStorage",
        "MRImageStorage",
        "EnhancedMRImageStorage",
        "EnhancedMRColorImageStorage",
        "LegacyConvertedEnhancedMRImageStorage",
        "UltrasoundImageStorage",
        "EnhancedUSVolumeStorage",
        "SecondaryCaptureImageStorage",
        "MultiFrameSingleBitSecondaryCaptureImageStorage",
        "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
        "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
        "MultiFrameTrueColorSecondaryCaptureImageStorage",
        "XRayAngiographicImageStorage",
        "EnhancedXAImageStorage",
        "XRayRadiofluoroscopicImageStorage",
        "EnhancedXRFImageStorage",
        "XRay3DAngiographicImageStorage",
        "XRay3DCraniofacialImageStorage",
        "BreastTomosynthesisImageStorage",
        "BreastProjectionXRayImageStorageForPresentation",
        "BreastProjectionXRayImageStorageForProcessing",
        "NuclearMedicineImageStorage",
        "PositronEmissionTomographyImageStorage",
        "EnhancedPETImageStorage",
        "LegacyConvertedEnhancedPETImageStorage",
        "VLEndoscopicImageStorage",
        "VLMicroscopicImageStorage",
        "VLSlideCoordinatesMicroscopicImageStorage",
        "VLPhotographicImageStorage",
        "OphthalmicPhotography8BitImageStorage",
        "OphthalmicPhotography16BitImageStorage",
        "OphthalmicTomographyImageStorage",
        "VLWholeSlideMicroscopyImageStorage",
        "ConfocalMicroscopyImageStorage",
        "ConfocalMicroscopyTiledPyramidalImageStorage",
        "DermoscopicPhotographyImageStorage",
        "WideFieldOphthalmicPhotographyStereographicProjectionImageStorage",
        "WideFieldOphthalmicPhotography3DCoordinatesImageStorage",
        "OphthalmicOpticalCoherenceTomographyEnFaceImageStorage",
        "IntravascularOpticalCoherenceTomographyImageStorageForPresentation",
        "IntravascularOpticalCoherenceTomographyImageStorageForProcessing",
        "PhotoacousticImageStorage",
        "RTImageStorage",
        "EnhancedRTImageStorage",
        "EnhancedContinuousRTImageStorage",
    )
)
_UNCOMPRESSED = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
)
TRANSFER_SYNTAXES = (
    *_UNCOMPRESSED,
    *sorted(UID(uid) for uid in TAKEN_TRANSFER_SYNTAXES if uid not in _UNCOMPRESSED),
)


def supported_contexts(proposed: Iterable[str], *, commitment: bool) -> list[PresentationContext]:
    """Return the presentation contexts that are supported, of abstract syntaxes as proposed.

    Parameters
    ----------
    proposed
        Abstract syntaxes.
    commitment
        True if the peer may ask for storage commitment, or reports on it.

    Notes
    -----
    Of those alone: to go through every class with every transfer syntax takes 50 ms for each
    association.
    """
    contexts = []
    for uid in set(proposed):
        if uid in STILL_IMAGES:
            contexts.append(build_context(uid, list(TRANSFER_SYNTAXES)))
        elif uid == VERIFICATION or (commitment and uid == STORAGE_COMMITMENT):
            context = build_context(uid, list(_UNCOMPRESSED[:3]))
            if uid == STORAGE_COMMITMENT:  # whoever reports proposes the role of its provider
                context.scu_role = context.scp_role = True
            contexts.append(context)
    return contexts


def offer_contexts(event: evt.Event, commitment: bool) -> None:
    """Have what is supported of a requested association accepted.

    Parameters
    ----------
    commitment
        True if the peer may ask for storage commitment. Whoever proposes the role of its provider
        may report on it in any case.
    """
    requestor = event.assoc.requestor
    request = cast("A_ASSOCIATE", requestor.primitive)
    proposed = [
        str(context.abstract_syntax) for context in request.presentation_context_definition_list
    ]
    role = requestor.role_selection.get(STORAGE_COMMITMENT)
    reports = role is not None and bool(role.scp_role)
    event.assoc.acceptor.supported_contexts = supported_contexts(
        proposed, commitment=commitment or reports
    )
