"""The faults a picture can have, as types with fields.

Every error carries values that may be shown to the sender: sizes, limits and short reasons written
in this package. What a codec says is never passed on, since its words may quote the file.
"""


class PreprocessError(Exception):
    """Base of every error this package raises about its input.

    Attributes
    ----------
    reason : str
        One short clause, fit for the sender's eyes, that says what is wrong.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class UnrecognisedImageError(PreprocessError):
    """The bytes are neither JPEG, PNG nor DICOM.

    Attributes
    ----------
    format_name : str or None
        The format that they are in, where it is known.
    """

    def __init__(self, format_name: str | None = None) -> None:
        reason = "the bytes are neither a JPEG, a PNG nor a DICOM file"
        super().__init__(f"{reason}, but {format_name}" if format_name else reason)
        self.format_name = format_name


class UnsupportedImageError(PreprocessError):
    """The picture is well formed as far as was read, but of a kind that is not taken."""


class CorruptImageError(PreprocessError):
    """The picture breaks the rules of its own format."""


class TruncatedImageError(CorruptImageError):
    """The picture ends before all of its pixels have been given."""

    def __init__(
        self, reason: str = "the file ends before all of its pixels have been given"
    ) -> None:
        super().__init__(reason)


class NoContrastError(PreprocessError):
    """The picture is blank, or holds nothing but stray pixels.

    Attributes
    ----------
    blank_frames : list of int
        Numbers of the blank frames, from 1.
    """

    def __init__(self, blank_frames: list[int], frames: int = 1) -> None:
        where = ""
        if frames > 1:
            where = "frame " if len(blank_frames) == 1 else "frames "
            where += ", ".join(map(str, blank_frames[:10]))
            where += " and more: " if len(blank_frames) > 10 else ": "
        super().__init__(f"{where}as shown, 99 in 100 pixels lie within 2 of 255 grey levels")
        self.blank_frames = blank_frames


class TooManyPixelsError(PreprocessError):
    """The picture is larger than the limit.

    Attributes
    ----------
    rows, columns, frames, samples_per_pixel : int
        The size as the file declares it.
    limit_pixels : int
        The most pixels, times samples per pixel, times frames, that are taken.
    """

    def __init__(
        self,
        rows: int,
        columns: int,
        limit_pixels: int,
        *,
        frames: int = 1,
        samples_per_pixel: int = 1,
    ) -> None:
        size = f"{rows} rows x {columns} columns"
        if frames > 1:
            size += f" x {frames} frames"
        if samples_per_pixel > 1:
            size += f" x {samples_per_pixel} samples per pixel"
        super().__init__(f"{size} exceed the limit of {limit_pixels} pixels")
        self.rows = rows
        self.columns = columns
        self.frames = frames
        self.samples_per_pixel = samples_per_pixel
        self.limit_pixels = limit_pixels


class TooManyFramesError(PreprocessError):
    """The object has more frames than are taken.

    Attributes
    ----------
    frames, limit_frames : int
    """

    def __init__(self, frames: int, limit_frames: int) -> None:
        super().__init__(f"{frames} frames exceed the limit of {limit_frames}")
        self.frames = frames
        self.limit_frames = limit_frames


class TooManyScansError(PreprocessError):
    """The JPEG would have to be decoded in more passes than are taken.

    Attributes
    ----------
    limit_scans : int
    """

    def __init__(self, limit_scans: int) -> None:
        super().__init__(f"the JPEG has more than {limit_scans} scans")
        self.limit_scans = limit_scans


class DecodeTimeoutError(PreprocessError):
    """Decoding took longer than its budget and was stopped.

    Attributes
    ----------
    limit_s : float
        The budget in seconds.
    """

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"decoding was stopped after {limit_s:g} s")
        self.limit_s = limit_s


class TooMuchMemoryError(PreprocessError):
    """Decoding would have needed more memory than its budget.

    Attributes
    ----------
    limit_bytes : int
    """

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"decoding needs more than {limit_bytes} bytes of memory")
        self.limit_bytes = limit_bytes
