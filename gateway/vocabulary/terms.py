"""Words of optional attributes: as headers and documents have them, and as DICOM defines them."""

from __future__ import annotations

import re
import unicodedata

from gateway.vocabulary.body_parts import body_part_named
from gateway.vocabulary.word_lists import by_word, listed

GENERIC_RADIOGRAPHY = "X-RAY"
"""A modality that leaves open which kind of projection radiography is meant."""

# PS3.3 C.7.3.1.1.1, retired terms among them.
_MODALITIES = listed(
    """
    ANN AR AS ASMT AU BDUS BI BMD CD CF CFM CP CR CS CT CTPROTOCOL DD DF DG DM DMS DOC DS DX EC ECG
    EEG EMG EOG EPS ES FA FID FS GM HC HD IO IOL IVOCT IVUS KER KO LEN LP LS MA MG MR MS NM OAM OCT
    OP OPM OPR OPT OPTBSV OPTENF OPV OSS OT PA PLAN POS PR PT PX REG RESP RF RTDOSE RTIMAGE
    RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RWV SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US
    VA VF XA XAPROTOCOL XC
    """
)
_GENERIC = listed("XRAY XRAYS XR RX CXR RG RADIOGRAPH RADIOGRAPHY")
_WRITTEN_OUT = by_word({"DX": "DR DDR DIGITALRADIOGRAPHY", "CR": "COMPUTEDRADIOGRAPHY"})
_LATERALITIES = by_word(
    {
        "R": "R RT RIGHT RECHTS DROIT DROITE DERECHO DERECHA DIREITO DIREITA DESTRO DESTRA",
        "L": "L LT LEFT LINKS GAUCHE IZQUIERDO IZQUIERDA ESQUERDO ESQUERDA SINISTRO SINISTRA",
        "B": "B BOTH BILATERAL BILAT",
        "U": "U UNPAIRED",
    }
)


def modality_named(text: str) -> str | None:
    """Return the modality that a text means plainly; X-RAY for any projection radiography."""
    word = _letters(text)
    if word in _GENERIC:
        return GENERIC_RADIOGRAPHY
    return _WRITTEN_OUT.get(word) or (word if word in _MODALITIES else None)


def laterality_named(text: str) -> str | None:
    """Return R, L, B or U, whichever a text means plainly."""
    return _LATERALITIES.get(_letters(text))


def identifier(text: str) -> str | None:
    """Return an identifier in one form of Unicode and without padding; None if it is empty.

    References
    ----------
    DICOM PS3.5, 6.2: spaces around an LO or SH value do not count.
    """
    return unicodedata.normalize("NFC", text).strip(" \0\t\r\n") or None


def contract_word(kind: str, text: str) -> str:
    """Return the word by which studies of a modality or body part of a contract are known here.

    Raises
    ------
    ValueError
        It is no term of DICOM's, so that no study would ever be taken by it.
    """
    known = modality_named(text) if kind == "modality" else body_part_named(text)
    if known is None:
        raise ValueError(f"no {kind} of DICOM's defined terms")
    return "DX" if known == GENERIC_RADIOGRAPHY else known


def _letters(text: str) -> str:
    return re.sub(r"[^A-Z0-9\\]", "", text.upper())
