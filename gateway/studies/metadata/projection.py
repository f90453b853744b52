"""The patient's attitude to the beam, by the three attributes of a data set that tell it.

Each of them leaves some of the document's five views open. What all leave open, and what one of
them names, is the view; where nothing is left open the attributes disagree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.schemas.metadata import View
from gateway.vocabulary.word_lists import by_word, capitals, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from preprocess import Code

Views = frozenset[View]

ANY: Views = frozenset(View)
FRONTAL: Views = frozenset((View.AP, View.PA))
_FRONTAL_PLANE: Views = FRONTAL | {View.OBLIQUE, View.OTHER}
_LATERAL_PLANE: Views = frozenset((View.LATERAL, View.OBLIQUE, View.OTHER))

# View Position (0018,5101): the defined terms of PS3.3 C.8.1.1, C.8.11.5 and C.8.11.7, and what
# public headers say in their place.
_WORDS: dict[str, Views] = by_word(
    {
        frozenset((View.AP,)): "AP VD",
        frozenset((View.PA,)): "PA DV",
        FRONTAL: "FRONTAL FRONTALE FRONT FACE FRENTE",
        frozenset((View.LATERAL,)): "LL RL LAT LATERAL LLAT RLAT LATL LATR LLATERAL RLATERAL ML LM "
        "SWIMMER SWIMMERS XTLAT LATERALE SEITLICH SEITL PERFIL PROFIL PROFILO",
        frozenset(
            (View.OBLIQUE,)
        ): "OBL OBLIQUE OBLIQ OBLICUA OBLIQUA RLO LLO RAO LAO RPO LPO MLO LMO SIO",
        frozenset((View.OTHER,)): "AXIAL AXILLARY CC CRANIOCAUDAL CAUDOCRANIAL XCC XCCL XCCM FB "
        "DORSOPLANTAR PLANTODORSAL MERCHANT OCCLUSAL SKYLINE SMV SUBMENTOVERTICAL SUNRISE TAN "
        "TANGENTIAL",
    }
)
# The patient lies on the side, whatever the beam does.
_DECUBITUS = listed("LLD RLD DECUB DECUBITUS DECUBITIS LLDECUB RLDECUB LLDECUBITUS RLDECUBITUS")
_LIES = "says that the patient lay on the side (decubitus): look at the picture"
# Words beside a view that change nothing of it.
_BESIDE = listed(
    """
    SUPINE PRONE PORTABLE PORT MOBILE UPRIGHT ERECT STANDING STAND SITTING SIT SEMI SEMIERECT
    SEMIUPRIGHT RECUMBENT LYING BED BEDSIDE VIEW VIEWS PROJECTION SINGLE CHEST THORAX TORAX XRAY RX
    INSP INSPIRATION INSPIRATORY EXP EXPIRATION EXPIRATORY GRID LORDOTIC LEFT RIGHT LT RT L R
    HORIZONTAL VERTICAL STRETCHER TROLLEY WHEELCHAIR CHAIR SEMISUPINE HALF DX CR DR XR
    STEHEND LIEGEND SITZEND STEHEN LIEGEN SITZEN STRAHLENGANG LINKS RECHTS DEBOUT COUCHE ASSIS
    GAUCHE DROIT DROITE IZQUIERDO IZQUIERDA IZQ DERECHO DERECHA ESQUERDO ESQUERDA DIREITO DIREITA
    SINISTRO SINISTRA DESTRO DESTRA SIN IM DE EN IN SUP CROSS TABLE CROSSTABLE XTABLE X
    WEIGHTBEARING WEIGHT BEARING WB STRESS OR AND TO V
    """
)
# ERIOR, and in other languages ERIEUR, ERIEURE, ERIORE.
_FROM, _TO = r"(ERO|ERI(OR|EUR)E?)?\W*(TO\W+)?", r"(ERI(OR|EUR)E?)?"
_TOWARDS = tuple(
    (re.compile(rf"(?<![A-Z])({words})(?![A-Z])"), view)
    for words, view in (
        (rf"POST{_FROM}ANT{_TO}", "PA"),
        (rf"ANT{_FROM}POST{_TO}", "AP"),
        (r"DORSO\W*VENTRAL(E[RN]?)?", "PA"),
        (r"VENTRO\W*DORSAL(E[RN]?)?", "AP"),
        (r"(LATERO|MEDIO)\W*(MEDIAL|LATERAL)E?", "LATERAL"),
    )
)
_DIRECTED = FRONTAL | {View.LATERAL}

# View Code Sequence (0054,0220): PS3.16 CID 4010 and CID 4014, SNOMED CT and the SRT code that it
# replaced. What the sagittal plane holds is the lateral views, by the order of CID 4010.
_CODES: dict[str, Views] = by_word(
    {
        frozenset((View.AP,)): "399348003 R-10206",
        frozenset((View.PA,)): "272479007 R-10214 R-40888",
        FRONTAL: "399033003 R-10202",
        frozenset((View.LATERAL,)): "399067008 R-102CD 399173006 R-10236 399198007 R-10232 "
        "399260004 R-10224 399352003 R-10228 30730003 R-10222 G-A145",
        frozenset((View.OBLIQUE,)): "399182000 R-102C1 399160007 R-10204 399312000 R-10208 "
        "399059000 R-10216 399038007 R-10210 399006002 R-10212 399356000 R-10218 R-40985 "
        "399135007 R-10220 399236003 R-10234 399184004 R-10238 399368009 R-10226 399099002 R-10230 "
        "260426006 R-40782 260427002 R-40783 399188001 R-102D0 441555000 R-40AAA "
        "399132005 R-10252 399325008 R-10254 399004004 R-10246 399288005 R-10248 399225005 R-10250",
        frozenset((View.OTHER,)): "399061009 R-10241 399162004 R-10242 399196006 R-10244 "
        "399110001 R-102C2 399255003 R-10256 399360002 R-10257 399071006 R-102C3 "
        "399335002 R-102C4 399272005 R-102C5 399242004 R-102C6 399351005 R-102C7 "
        "399316002 R-102C8 260499007 R-40810 399192008 R-1024A 399101009 R-1024B "
        "119376003 G-8300 127457009 G-8310",
    }
)
_SNOMED = frozenset(("SCT", "SRT", "SNM3", "99SDM"))
_URNS = ("http://snomed.info/id/", "http://snomed.info/sct/", "urn:oid:2.16.840.1.113883.6.96.")

# Patient Orientation (0020,0020), C.7.6.1.1.1: the axis along which each letter points.
_AXES = dict.fromkeys("LR", "x") | dict.fromkeys("AP", "y") | dict.fromkeys("HF", "z")
_ORIENTATION = re.compile("[LRAPHF]{1,3}")


ON_ITS_SIDE = "says that the picture lies on its side"
UPSIDE_DOWN = "says that the picture is upside down"


@dataclass(frozen=True, slots=True)
class Evidence:
    """The testimony of one attribute on the view.

    Parameters
    ----------
    named
        The views it names; none where it cannot be understood.
    open
        The views it speaks for or says nothing against.
    doubts
        Clauses about the attribute, of interest to a sender who does not tell the view.
    remarks
        Clauses about the attribute, of interest to every sender.
    """

    named: Views = frozenset()
    open: Views = ANY
    doubts: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def view(self) -> View | None:
        """The view it names, if it is one alone."""
        return next(iter(self.named)) if len(self.named) == 1 else None


NOT_UNDERSTOOD = Evidence(doubts=("is not understood and left out",))


def by_view_position(text: str) -> Evidence:
    """Return what the words of View Position (0018,5101) say."""
    words = _words(text)
    telling = [word for word in words if word not in _BESIDE]
    lies = not _DECUBITUS.isdisjoint(telling)
    views = {_WORDS[word] for word in telling if word in _WORDS}
    if lies:  # LATERAL DECUBITUS: the patient lies so, the view is another matter
        views -= {frozenset((View.LATERAL,))}
    named = _prevailing(views)
    remarks = (_LIES,) if lies else ()
    if not named:
        return Evidence(frozenset((View.OTHER,)), ANY, remarks=remarks) if lies else NOT_UNDERSTOOD
    known = all(word in _WORDS or word in _DECUBITUS for word in telling)
    return Evidence(named, named, () if known else ("is understood in part",), remarks)


def by_view_codes(codes: Sequence[Code]) -> Evidence:
    """Return what View Code Sequence (0054,0220) says."""
    known = [_CODES[value] for code in codes if (value := snomed_value(code)) in _CODES]
    if not known:
        return NOT_UNDERSTOOD
    named = frozenset[View]().union(*known)
    return Evidence(named, named)


def by_patient_orientation(directions: Sequence[str]) -> Evidence:
    """Return what Patient Orientation (0020,0020) says: the plane, and how the picture lies.

    It tells frontal from lateral; between AP and PA the patient's left and right do not decide.
    """
    letters = [direction.upper() for direction in directions]
    if len(letters) != 2 or not all(map(_ORIENTATION.fullmatch, letters)):  # noqa: PLR2004 - rows and columns
        return NOT_UNDERSTOOD
    row, column = (direction[0] for direction in letters)
    axes = {_AXES[row], _AXES[column]}
    if len(axes) == 1:
        return NOT_UNDERSTOOD
    remarks = _attitude(row, column)
    if axes == {"x", "z"}:
        return Evidence(FRONTAL, _FRONTAL_PLANE, remarks=remarks)
    if axes == {"y", "z"}:
        return Evidence(frozenset((View.LATERAL,)), _LATERAL_PLANE, remarks=remarks)
    return Evidence()


def snomed_value(code: Code) -> str | None:
    """Return a code of SNOMED CT or SRT, in whichever form it was sent; None for another's."""
    for urn in _URNS:
        if code.value.startswith(urn):
            return code.value.removeprefix(urn)
    return code.value.upper() if (code.scheme or "").upper() in _SNOMED else None


def view_named(text: str) -> View | None:
    """Return the view that a text means plainly, or None."""
    evidence = by_view_position(text)
    return None if evidence.doubts or evidence.remarks else evidence.view


def _attitude(row: str, column: str) -> tuple[str, ...]:
    """Return clauses on a picture that is not shown as the patient stands before its viewer."""
    if row in "HF":
        return (ON_ITS_SIDE,)
    remarks = []
    if column == "H":
        remarks.append(UPSIDE_DOWN)
    if row == "R" and column in "HF":
        remarks.append("says that left and right are exchanged in the picture")
    return tuple(remarks)


def _prevailing(views: Iterable[Views]) -> Views:
    """Return the views that several words name together: AP OBLIQUE is oblique, AP AXIAL is AP."""
    named = frozenset[View]().union(*views)
    if View.OBLIQUE in named:
        return frozenset((View.OBLIQUE,))
    if not named.isdisjoint(_DIRECTED):
        named &= _DIRECTED
    exact = {choice for choice in views if len(choice) == 1 and choice <= FRONTAL}
    if exact and named >= FRONTAL:  # FRONTAL PA
        named = (named - FRONTAL).union(*exact)
    return named


def _words(text: str) -> list[str]:
    plain = capitals(text).replace("_", " ")
    for pattern, view in _TOWARDS:
        plain = pattern.sub(f" {view} ", plain)
    words: list[str] = []
    letters = ""
    for word in [*re.findall("[A-Z]+", plain), ""]:
        if len(word) == 1:
            letters += word  # A.P., L-L
            continue
        words += [letters] if letters in _WORDS else list(letters)
        letters = ""
        words += _parted(word)
    return words[:-1] if words and not words[-1] else words


def _parted(word: str) -> list[str]:
    """Divide a view from the word that it is written together with: APSUPINE, CHESTAP."""
    if word not in _WORDS and word not in _DECUBITUS and word not in _BESIDE:
        for view in ("AP", "PA", "LAT"):
            for rest in (word.removeprefix(view), word.removesuffix(view)):
                if rest != word and rest in _BESIDE:
                    return [view, rest]
    return [word]
