"""Body parts as DICOM names them: the words of Body Part Examined (0018,0015), and codes for them.

The terms are those of PS3.16, Annex L; the codes those of CID 4009 and CID 4031.
"""

from __future__ import annotations

import re

from gateway.vocabulary.word_lists import by_word, capitals, listed

_TERMS = listed(
    """
    ABDOMEN ABDOMENPELVIS ADRENAL ANKLE AORTA ARM AXILLA BACK BILEDUCT BLADDER BRAIN BREAST BRONCHUS
    BUTTOCK CALCANEUS CALF CAROTID CEREBELLUM CERVIX CHEEK CHEST CHESTABDOMEN CHESTABDPELVIS
    CIRCLEOFWILLIS CLAVICLE COCCYX COLON CORNEA CORONARYARTERY CSPINE CTSPINE DUODENUM EAR ELBOW
    ESOPHAGUS EXTREMITY EYE EYELID FACE FEMUR FIBULA FINGER FOOT FOREARM GALLBLADDER HAND HEAD
    HEADNECK HEART HIP HUMERUS IAC ILEUM ILIUM JAW JEJUNUM KIDNEY KNEE LARYNX LEG LIVER LSPINE
    LSSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE
    ORBIT OVARY PANCREAS PAROTID PATELLA PELVIS PENIS PHARYNX PROSTATE RADIUS RECTUM RIB SCALP
    SCAPULA SCLERA SCROTUM SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH SUBMANDIBULAR TESTIS
    THIGH THUMB THYMUS THYROID TIBIA TLSPINE TMJ TOE TONGUE TRACHEA TSPINE ULNA URETER URETHRA
    UTERUS VAGINA VULVA WHOLEBODY WRIST ZYGOMA
    """
)

# What else the same parts are called in headers: plurals, bones of a part, other languages.
_OTHER_NAMES = by_word(
    {
        "ABDOMEN": "ABD KUB BAUCH ABDOME",
        "ABDOMENPELVIS": "ABDPELVIS PELVISABDOMEN ABDPEL",
        "ANKLE": "ANKLES ANKLEJOINT SPRUNGGELENK CHEVILLE TOBILLO CAVIGLIA TORNOZELO",
        "ARM": "UPPERARM OBERARM",
        "BREAST": "BREASTS MAMMA MAMMO",
        "CHEST": "THORAX TORAX CHESTS THORACIC CXR BRUSTKORB POITRINE PECHO TORACE BORSTKAS "
        "HEMITHORAX",
        "CHESTABDOMEN": "CHESTABD THORAXABDOMEN BABYGRAM ABDOMENCHEST",
        "CLAVICLE": "CLAVICLES CLAVICULA",
        "CSPINE": "CERVICALSPINE CERVICAL HWS",
        "ELBOW": "ELBOWS ELBOWJOINT ELLENBOGEN COUDE CODO GOMITO COTOVELO",
        "FACE": "FACIALBONES FACIAL",
        "FEMUR": "FEMURS",
        "FINGER": "FINGERS",
        "FOOT": "FEET FUSS PIED PIE PIEDE",
        "FOREARM": "FOREARMS UNTERARM",
        "HAND": "HANDS MAIN MANO MAO",
        "HIP": "HIPS HIPJOINT HUEFTE HUFTE HANCHE CADERA ANCA QUADRIL",
        "JAW": "MANDIBLE",
        "KNEE": "KNEES KNEEJOINT KNIE GENOU RODILLA GINOCCHIO JOELHO",
        "LEG": "LEGS LOWERLEG TIBFIB TIBIAFIBULA UNTERSCHENKEL",
        "LSPINE": "LUMBARSPINE LUMBAR LWS",
        "LSSPINE": "LUMBOSACRALSPINE LUMBOSACRAL",
        "LUNG": "LUNGS LUNGE LUNGEN PULMON PULMONES PULMAO PULMOES POUMON POUMONS POLMONE POLMONI",
        "PELVIS": "BECKEN BASSIN",
        "RIB": "RIBS RIBCAGE",
        "SHOULDER": "SHOULDERS SCHULTER EPAULE HOMBRO SPALLA OMBRO",
        "SKULL": "CRANIUM SCHAEDEL SCHADEL CRANE CRANEO",
        "SPINE": "WHOLESPINE FULLSPINE SPINES",
        "SSPINE": "SACRUM SACRAL SACRALSPINE",
        "THIGH": "OBERSCHENKEL",
        "TLSPINE": "THORACOLUMBARSPINE THORACOLUMBAR",
        "TOE": "TOES",
        "TSPINE": "THORACICSPINE DORSALSPINE DSPINE BWS",
        "WHOLEBODY": "BODY ENTIREBODY",
        "WRIST": "WRISTS WRISTJOINT HANDGELENK POIGNET MUNECA POLSO PUNHO",
    }
)

# Words beside a part that say nothing of which part it is.
_BESIDE = listed(
    """
    AP PA LAT LATERAL LL RL LLAT RLAT OBL OBLIQUE FRONTAL VIEW VIEWS ONE TWO SINGLE PORTABLE PORT
    MOBILE SUPINE ERECT UPRIGHT STANDING PRONE BED BEDSIDE XRAY X RAY XR RX DX CR DR
    RADIOGRAPH RADIOGRAPHY EXAM AND OF THE LEFT RIGHT LT RT BILATERAL BOTH PEDIATRIC PAEDIATRIC PED
    ADULT CHILD INFANT ROUTINE GRID V LIEGEND STEHEND SITZEND DEBOUT COUCHE PROFIL PERFIL
    """
)
_SINGLE_LETTERS = frozenset("APLR")

# SNOMED CT, and the SRT code that it replaced.
_CODES = by_word(
    {
        "ABDOMEN": "818981001 113345001 T-D4000",
        "ABDOMENPELVIS": "818982008 416949008 R-FAB57",
        "ANKLE": "70258002 T-15750 344001 T-D9500",
        "ARM": "40983000 T-D8200",
        "BREAST": "76752008 T-04000",
        "CALCANEUS": "80144004 T-12770",
        "CHEST": "816094009 51185008 T-D3000",
        "CHESTABDOMEN": "416550000 R-FAB55",
        "CHESTABDPELVIS": "416775004 R-FAB56",
        "CLAVICLE": "51299004 T-12310",
        "COCCYX": "64688005 T-11BF0",
        "CSPINE": "122494005 T-11501",
        "CTSPINE": "1217257000 297171002 T-D00F7",
        "ELBOW": "16953009 T-15430 76248009 T-D8300",
        "EXTREMITY": "66019005 T-D0300 53120007 T-D8000 61685007 T-D9000",
        "FACE": "89545001 T-D1200 91397008 T-11196",
        "FEMUR": "71341001 T-12710",
        "FIBULA": "87342007 T-12750",
        "FINGER": "7569003 T-D8800",
        "FOOT": "56459004 T-D9700",
        "FOREARM": "14975008 T-D8500",
        "HAND": "85562004 T-D8700",
        "HEAD": "69536005 T-D1100",
        "HEADNECK": "774007 T-D1000",
        "HEART": "80891009 T-32000",
        "HIP": "29836001 T-D2500 24136001 T-15710",
        "HUMERUS": "85050009 T-12410",
        "JAW": "661005 T-D1213 91609006 T-11180",
        "KNEE": "72696002 T-D9200",
        "LEG": "30021000 T-D9400",
        "LSPINE": "122496007 T-11503",
        "LSSPINE": "1217253001 297173004 T-D00F9",
        "LUNG": "39607008 T-28000 86598002 T-280A0",
        "MEDIASTINUM": "72410000 T-D3300",
        "NECK": "45048000 T-D1600",
        "NECKCHEST": "417437006 R-FAB52",
        "NECKCHESTABDOMEN": "416152001 R-FAB53",
        "NECKCHESTABDPELV": "416319003 R-FAB54",
        "PATELLA": "64234005 T-12730",
        "PELVIS": "816092008 12921003 T-D6000",
        "RIB": "113197003 T-11300",
        "SCAPULA": "79601000 T-12280",
        "SHOULDER": "16982005 T-D2220",
        "SKULL": "89546000 T-11100",
        "SPINE": "421060004 T-D04FF",
        "SSPINE": "54735007 T-11AD0",
        "STERNUM": "56873002 T-11210",
        "THIGH": "68367000 T-D9100",
        "THUMB": "76505004 T-D8810",
        "TLSPINE": "1217256009 297172009 T-D00F8",
        "TMJ": "53620006 T-15290",
        "TOE": "29707007 T-D9800",
        "TSPINE": "122495006 T-11502",
        "WHOLEBODY": "38266002 T-D0010",
        "WRIST": "74670003 T-15460 8205005 T-D8600",
    }
)

# Parts of one area may be named side by side: the chest, and the ribs in it.
_AREAS = {
    "thorax": "CHEST CHESTABDOMEN CHESTABDPELVIS CLAVICLE HEART LUNG MEDIASTINUM NECKCHEST "
    "NECKCHESTABDOMEN NECKCHESTABDPELV RIB SCAPULA STERNUM TLSPINE CTSPINE TSPINE",
    "abdomen": "ABDOMEN ABDOMENPELVIS CHESTABDOMEN CHESTABDPELVIS LSPINE LSSPINE NECKCHESTABDOMEN "
    "NECKCHESTABDPELV TLSPINE",
    "pelvis": "ABDOMENPELVIS CHESTABDPELVIS COCCYX HIP LSSPINE NECKCHESTABDPELV PELVIS SSPINE",
    "head": "FACE HEAD HEADNECK JAW SKULL TMJ",
    "neck": "CSPINE CTSPINE HEADNECK NECK NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV",
    "breast": "BREAST",
    "spine": "COCCYX CSPINE CTSPINE LSPINE LSSPINE SPINE SSPINE TLSPINE TSPINE",
    "upper limb": "ARM CLAVICLE ELBOW EXTREMITY FINGER FOREARM HAND HUMERUS SCAPULA SHOULDER THUMB "
    "WRIST",
    "lower limb": "ANKLE CALCANEUS EXTREMITY FEMUR FIBULA FOOT HIP KNEE LEG PATELLA THIGH TOE",
}


def body_part_named(text: str) -> str | None:
    """Return the defined term that a text means plainly, or None."""
    words = _words(text)
    telling = [word for word in words if word not in _BESIDE]
    for chosen in (words, telling, [word for word in telling if word not in _SINGLE_LETTERS]):
        terms = {_term("".join(chosen))} if chosen else set()
        if terms == {None}:
            terms = {_term(word) for word in chosen}
        if len(terms) == 1 and None not in terms:
            return terms.pop()
    return None


def body_parts_among(text: str) -> tuple[str, ...]:
    """Return the defined terms of a text that has several, or words that are not understood.

    They stand as in the text. To leave a knee out for a word beside it, were it a hand, would send
    its picture to whatever model is there.
    """
    terms = (term for word in _words(text) if (term := _term(word)) is not None)
    return tuple(dict.fromkeys(terms))


def body_part_coded(code: str) -> str | None:
    """Return the defined term of a SNOMED CT or SRT code; None where it has none."""
    return _CODES.get(code)


def differ(one: str, other: str) -> bool:
    """Return True if two terms name parts of areas that have nothing in common."""
    areas, others = _areas(one), _areas(other)
    return bool(areas and others) and areas.isdisjoint(others)


def _words(text: str) -> list[str]:
    return re.findall("[A-Z]+", capitals(text))


def _term(name: str) -> str | None:
    if name in _TERMS:
        return name
    if name in _OTHER_NAMES:
        return _OTHER_NAMES[name]
    for view in ("AP", "PA", "LAT"):  # CHESTAP
        stem = name.removesuffix(view)
        if stem != name and (stem in _TERMS or stem in _OTHER_NAMES):
            return _term(stem)
    return None


def _areas(term: str) -> frozenset[str]:
    return frozenset(area for area, terms in _AREAS.items() if term in terms.split())
