"""File formats that are not read, by the bytes that they begin with."""

import re

HEAD_BYTES = 352
"""As many bytes of a file as `name_of` looks at."""

_ISO_MEDIA = {  # brands of ISO/IEC 14496-12, box "ftyp"
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIF",
    b"heix": "HEIF",
    b"heim": "HEIF",
    b"heis": "HEIF",
    b"hevc": "HEIF",
    b"hevx": "HEIF",
    b"mif1": "HEIF",
    b"msf1": "HEIF",
    b"crx ": "Canon raw",
    b"qt  ": "QuickTime",
    b"jxl ": "JPEG XL",
    b"jp2 ": "JPEG 2000",
}
# The longer beginning before the shorter one that it contains.
_BEGINNINGS = (
    (rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (rb"\xff\x4f\xff\x51|\0\0\0\x0cjP(?:  |\x1a\x1a)\r\n\x87\n", "JPEG 2000"),
    (rb"II\xbc", "JPEG XR"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"RIFF....AVI ", "AVI"),
    (rb"(?:II[*+]\0|MM\0[*+])", "TIFF"),
    (rb"GIF8[79]a", "GIF"),
    (rb"BM.{4}\0\0\0\0.{4}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", "BMP"),
    (rb"\0\0[\x01\x02]\0.\0", "Windows icon"),
    (rb"[\x8a\x8b][MJ]NG\r\n\x1a\n", "MNG or JNG"),
    (rb"\s*%PDF-", "PDF"),
    (rb"%!PS", "PostScript"),
    (rb"8BPS", "Photoshop"),
    (rb"gimp xcf", "GIMP"),
    (rb"P[1-7]\s", "Netpbm"),
    (rb"P[Ff]\n", "Netpbm"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"#\?RADIANCE|#\?RGBE", "Radiance HDR"),
    (rb"DDS ", "DDS"),
    (rb"qoif", "QOI"),
    (rb"BPG\xfb", "BPG"),
    (rb"AT&TFORM", "DjVu"),
    (rb".{344}n(?:\+|i)1\0", "NIfTI"),
    (rb"(?:\x1c\x02\0\0|\0\0\x02\x1c)n(?:\+|i)2\0", "NIfTI"),
    (rb"NRRD000", "NRRD"),
    (rb"ObjectType\s*=|NDims\s*=", "MetaImage"),
    (rb"\x89HDF\r\n\x1a\n", "HDF5"),
    (rb"CDF[\x01\x02\x05]", "NetCDF"),
    (rb"SIMPLE  =", "FITS"),
    (rb"\x93NUMPY", "NumPy"),
    (rb"MATLAB 5\.0 MAT", "MATLAB"),
    (rb"\0\0\x01\xba|\0\0\x01\xb3", "MPEG"),
    (rb"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (rb"PK(?:\x03\x04|\x05\x06|\x07\x08)", "ZIP"),
    (rb"\x1f\x8b", "gzip"),
    (rb"BZh[1-9]", "bzip2"),
    (rb"\xfd7zXZ\0", "xz"),
    (rb"\x28\xb5\x2f\xfd", "Zstandard"),
    (rb"7z\xbc\xaf\x27\x1c", "7-Zip"),
    (rb"Rar!\x1a\x07", "RAR"),
    (rb".{257}ustar", "tar"),
    (rb"MSH\|", "HL7 version 2"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Microsoft Office"),
    (rb"\{\\rtf", "RTF"),
    (rb"(?:\xef\xbb\xbf)?\s*<svg[\s>]", "SVG"),
    (rb"(?:\xef\xbb\xbf)?\s*<(?i:!doctype html|html)[\s>]", "HTML"),
    (rb"(?:\xef\xbb\xbf)?\s*<\?xml", "XML"),
    (rb"(?:\xef\xbb\xbf)?\s*[{\[]\s*[\"{\[}\]]", "JSON"),
    # As JPEG and PNG begin in it; the zeros that DICOM begins with say nothing.
    (rb"data:[a-z]+/[a-z0-9.+-]+;base64,|/9j/[A-Za-z0-9+/]{8}|iVBORw0KGgo", "Base64"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), name) for pattern, name in _BEGINNINGS)


def name_of(head: bytes) -> str | None:
    """Return the name of a format that is not read; None if the bytes are of no known kind.

    Parameters
    ----------
    head : bytes
        The first `HEAD_BYTES` of a file, or all of a shorter one.
    """
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    return next((name for pattern, name in _PATTERNS if pattern.match(head)), None)


def _iso_media(head: bytes) -> str:
    """Return the format of an ISO base media file: its major brand, else the first compatible."""
    end = min(int.from_bytes(head[:4]), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))]
    return next((_ISO_MEDIA[brand] for brand in brands if brand in _ISO_MEDIA), "MP4")
