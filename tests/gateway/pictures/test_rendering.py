"""Previews and heat maps: what a person must be able to trust in them."""

import io

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.pictures.rendering import (
    JPEG,
    PNG,
    RenderedView,
    colour_picture,
    heatmap_png,
    preview_png,
)
from gateway.schemas.result import Finding
from preprocess import (
    Frame,
    FullRange,
    GreyRange,
    InputSpec,
    Percentile,
    Resample,
    Window,
    decode,
    grey_range,
    to_shown_tensor,
)
from tests.preprocess import dicoms

LEGEND_ROWS = 64


def frame(samples: NDArray[np.uint8] | NDArray[np.uint16], bits: int | None = None) -> Frame:
    rows, columns = samples.shape
    return Frame(samples, bits or samples.dtype.itemsize * 8, rows, columns)


def flat(rows: int, columns: int, level: int = 100) -> Frame:
    return frame(np.full((rows, columns), level, np.uint8))


def finding(probability: float, threshold: float = 0.5) -> Finding:
    return Finding(
        label="bright",
        probability=probability,
        threshold=threshold,
        positive=probability >= threshold,
    )


def pixels(png: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return np.asarray(image)


def heat(
    cells: NDArray[np.float32], probability: float = 1.0, size: tuple[int, int] = (320, 320)
) -> NDArray[np.float64]:
    """How far each pixel of the picture lies from its own grey, legend cut off."""
    picture = pixels(heatmap_png(flat(*size), cells, finding(probability)))
    return np.abs(picture[: size[0], : size[1]].astype(np.float64) - 100).sum(axis=2)


def one_hot(row: int, column: int) -> NDArray[np.float32]:
    cells = np.zeros((8, 8), np.float32)
    cells[row, column] = 3.0
    return cells


# --- the preview ---------------------------------------------------------------------------------


def test_preview_of_eight_bits_is_the_picture_itself():
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (pixels(preview_png(frame(samples))) == samples).all()


def test_preview_of_fewer_bits_uses_the_whole_range():
    assert pixels(preview_png(frame(np.array([[0, 15]], np.uint8), 4))).tolist() == [[0, 255]]


@pytest.mark.parametrize("bits", [1, 3, 5, 7, 8, 9, 10, 12, 16])
def test_preview_of_any_depth_shows_black_and_white_where_the_model_has_them(bits: int):
    largest = (1 << bits) - 1
    samples = np.linspace(0, largest, 300).round().astype(np.uint8 if bits <= 8 else np.uint16)
    shown = pixels(preview_png(frame(samples.reshape(15, 20), bits)))
    assert shown.dtype == np.uint8
    expected = samples.reshape(15, 20) / largest * 255
    assert np.abs(shown - expected).max() <= 0.5 + 1e-9


def test_nothing_is_stretched_that_was_not_for_the_model():
    ramp = np.linspace(30_000, 31_000, 10_000).astype(np.uint16).reshape(100, 100)
    shown = pixels(preview_png(frame(ramp)))
    assert (shown.min(), shown.max()) == (117, 121)  # 30,000 and 31,000 of 65,535


def coded(kind: str, picture: NDArray[np.integer]) -> bytes:
    samples = picture.astype(np.uint16 if picture.max() > 255 else np.uint8)
    return cv2.imencode(kind, samples)[1].tobytes()


def dicom(picture: NDArray[np.integer], **attributes: object) -> bytes:
    return dicoms.write(dicoms.image(picture, **attributes))


FILES = {
    "JPEG": lambda picture: coded(".jpg", picture >> 4),
    "PNG, 8 bits": lambda picture: coded(".png", picture >> 4),
    "PNG, 10 bits in 16": lambda picture: coded(".png", picture.astype(np.uint16) >> 2),
    "PNG, 16 bits": lambda picture: coded(".png", picture.astype(np.uint16) * 16),
    "DICOM, 8 bits": lambda picture: dicom((picture >> 4).astype(np.uint8)),
    "DICOM, 10 bits": lambda picture: dicom(picture >> 2, BitsStored=10),
    "DICOM, 12 bits": lambda picture: dicom(picture, BitsStored=12),
    "DICOM, 12 bits in 16": dicom,
    "DICOM, 16 bits": lambda picture: dicom(picture * 16),
    "DICOM, MONOCHROME1": lambda picture: dicom(
        4095 - picture, BitsStored=12, PhotometricInterpretation="MONOCHROME1"
    ),
    "DICOM, windowed": lambda picture: dicom(
        picture, BitsStored=12, WindowCenter="1500", WindowWidth="1000"
    ),
}
RULES = (FullRange(), Window(0.4, 0.5), Percentile(5, 90))


def radiograph(rows: int, columns: int) -> NDArray[np.uint16]:
    """Twelve bits of smooth shades and grain."""
    random = np.random.default_rng(11)
    coarse = random.integers(0, 4096, (6, 5)).astype(np.float32)
    smooth = cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_LINEAR)
    grain = random.integers(-60, 60, (rows, columns))
    return np.clip(smooth + grain, 0, 4095).astype(np.uint16)


@pytest.mark.parametrize("shape", [(90, 70), (1500, 1180)], ids=["small", "reduced"])
@pytest.mark.parametrize("intensity", RULES, ids=lambda rule: type(rule).__name__)
@pytest.mark.parametrize("name", FILES)
def test_preview_and_underlay_are_the_models_picture(
    name: str, intensity: FullRange | Window | Percentile, shape: tuple[int, int]
):
    (decoded,) = decode(FILES[name](radiograph(*shape)))
    scale = min(1.0, 1024 / max(shape))
    spec = InputSpec(
        rows=round(shape[0] * scale),
        columns=round(shape[1] * scale),
        resample=Resample.AREA,
        intensity=intensity,
    )
    tensor, shown = to_shown_tensor(decoded, spec)
    preview = pixels(preview_png(decoded, shown))
    assert np.abs(preview / 255 - tensor[0]).max() <= 1 / 255
    assert grey_range(decoded, spec) == shown
    # No evidence, no colour: what lies below the heat map is the same picture.
    nothing = np.zeros((8, 8), np.float32)
    mapped = pixels(heatmap_png(decoded, nothing, finding(0.5), shown=shown))
    rows, columns = preview.shape
    for channel in range(3):
        assert (mapped[:rows, :columns, channel] == preview).all()


def test_a_model_that_had_no_contrast_saw_black():
    samples = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert not pixels(preview_png(frame(samples), GreyRange(0.5, 0.5))).any()


@pytest.mark.parametrize("level", [0, 40_000, 65_535])
def test_preview_of_one_grey_level_is_one_grey_level(level: int):
    shown = pixels(preview_png(frame(np.full((5, 5), level, np.uint16))))
    assert len(np.unique(shown)) == 1


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1, 1), (1, 1)),
        ((1024, 10), (1024, 10)),
        ((2048, 1024), (1024, 512)),
        ((3, 9000), (1, 1024)),
        ((9000, 1), (1024, 1)),
    ],
)
def test_longer_side_is_at_most_1024(size: tuple[int, int], shown: tuple[int, int]):
    picture = pixels(preview_png(flat(*size)))
    assert picture.shape == shown
    assert (picture == 100).all()


# --- the heat map --------------------------------------------------------------------------------


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 7), (7, 0), (7, 7), (2, 5)])
def test_hottest_cell_is_hottest_where_it_lies(row: int, column: int):
    strength = heat(one_hot(row, column))
    y, x = np.unravel_index(strength.argmax(), strength.shape)
    assert (y // 40, x // 40) == (row, column)  # a cell is 40x40 pixels
    far = strength[(7 - row) // 4 * 160 :, :][:160, (7 - column) // 4 * 160 :][:, :160]
    assert far.max() == 0


def test_cells_spread_over_a_picture_of_other_proportions():
    strength = heat(one_hot(1, 6), size=(80, 640))
    y, x = np.unravel_index(strength.argmax(), strength.shape)
    assert (y // 10, x // 80) == (1, 6)


@pytest.mark.parametrize(
    ("size", "covers", "place"),
    [
        # A wide picture of which the model saw the middle square.
        ((320, 640), (0.0, 0.25, 1.0, 0.75), (slice(120, 160), slice(320, 360))),
        # The same picture between bars above and below: the map reaches beyond the picture.
        ((320, 640), (-0.5, 0.0, 1.5, 1.0), (slice(80, 160), slice(320, 400))),
        # A tall picture between bars at its sides.
        ((640, 320), (0.0, -0.5, 1.0, 1.5), (slice(240, 320), slice(160, 240))),
    ],
)
def test_cells_lie_over_what_the_model_saw(
    size: tuple[int, int],
    covers: tuple[float, float, float, float],
    place: tuple[slice, slice],
):
    png = heatmap_png(flat(*size), one_hot(3, 4), finding(1.0), covers)
    picture = pixels(png)[: size[0], : size[1]].astype(np.float64)
    strength = np.abs(picture - 100).sum(axis=2)
    y, x = np.unravel_index(strength.argmax(), strength.shape)
    assert place[0].start <= y < place[0].stop
    assert place[1].start <= x < place[1].stop


def test_what_the_model_did_not_see_stays_clear():
    cells = np.full((8, 8), 3.0, np.float32)
    png = heatmap_png(flat(320, 640), cells, finding(1.0), (0.0, 0.25, 1.0, 0.75))
    picture = pixels(png)[:320]
    assert (picture[:, :160] == 100).all()
    assert (picture[:, 480:] == 100).all()
    assert (picture[:, 160:480] != 100).any(axis=2).all()


@pytest.mark.parametrize("value", [0.0, -5.0])
def test_what_speaks_against_a_finding_stays_clear(value: float):
    assert heat(np.full((8, 8), value, np.float32)).max() == 0


def test_evidence_against_beside_evidence_for_stays_clear():
    cells = np.full((8, 8), -4.0, np.float32)
    cells[0, 0] = 4.0
    strength = heat(cells)
    assert strength[:40, :40].max() > 0
    assert strength[160:, 160:].max() == 0


def test_unit_of_the_evidence_does_not_matter():
    assert (heat(one_hot(2, 2)) == heat(one_hot(2, 2) * 1000)).all()


def test_colours_fade_below_the_threshold_and_not_above():
    strongest = [heat(one_hot(3, 3), probability).max() for probability in (0.1, 0.3, 0.5, 0.9)]
    assert strongest[0] < strongest[1] < strongest[2] == strongest[3]
    assert heat(one_hot(3, 3), 0.0).max() == 0


def test_threshold_of_zero_is_always_reached():
    zero = pixels(heatmap_png(flat(64, 64), one_hot(3, 3), finding(0.2, threshold=0.0)))
    full = pixels(heatmap_png(flat(64, 64), one_hot(3, 3), finding(1.0)))
    assert (zero[:64, :64] == full[:64, :64]).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 5000), (5000, 2), (512, 400)])
def test_picture_of_any_form_has_its_legend_below(size: tuple[int, int]):
    picture = pixels(heatmap_png(flat(*size), one_hot(0, 0), finding(0.75)))
    rows, columns = pixels(preview_png(flat(*size))).shape
    assert picture.shape == (rows + LEGEND_ROWS, max(columns, 320), 3)
    assert picture[rows:].max() > 200  # there are words in it


def test_legend_tells_findings_apart():
    legends = {
        pixels(heatmap_png(flat(64, 64), one_hot(0, 0), each))[64:].tobytes()
        for each in (
            finding(0.75),
            finding(0.25),
            finding(0.75).model_copy(update={"label": "other"}),
            finding(0.75).model_copy(update={"positive": None}),
        )
    }
    assert len(legends) == 4


def test_the_map_of_a_model_that_is_not_applicable_is_grey():
    without_verdict = finding(0.75).model_copy(update={"positive": None})
    coloured, grey = (
        pixels(heatmap_png(flat(64, 64), one_hot(3, 4), each)).astype(int)
        for each in (finding(0.75), without_verdict)
    )
    assert (np.ptp(grey, axis=2) == 0).all()
    assert np.ptp(coloured[:64, :64], axis=2).max() > 50
    assert len(np.unique(grey[:64, :64])) > 2  # the evidence is drawn still


def test_colour_bar_rises_evenly_in_lightness():
    picture = pixels(heatmap_png(flat(64, 64), one_hot(0, 0), finding(1.0)))
    row = picture[64 + 45].astype(float) @ [0.2126, 0.7152, 0.0722]  # its lightness
    bar = row[100:240]  # words stand at either end
    assert (np.diff(bar) >= -1).all()
    assert bar[-1] - bar[0] > 150


def test_words_stand_beside_the_colour_bar_and_not_on_it():
    picture = pixels(heatmap_png(flat(64, 64), one_hot(0, 0), finding(1.0)))
    bar = picture[64 + 40 : 64 + 50]
    whole = [x for x in range(320) if (bar[:, x] == bar[0, x]).all() and bar[0, x].any()]
    assert whole == list(range(whole[0], whole[-1] + 1))
    assert len(whole) > 150


def test_sixteen_bits_and_an_activation_map_of_another_grid():
    samples = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    cells = np.zeros((14, 10), np.float32)
    cells[13, 9] = 1.0
    picture = pixels(heatmap_png(frame(samples), cells, finding(1.0)))
    colour = np.ptp(picture[:64, :64].astype(int), axis=2)  # grey has none
    y, x = np.unravel_index(colour.argmax(), colour.shape)
    assert y >= 58
    assert x >= 56


def test_a_fixed_scale_is_the_same_for_every_picture():
    cells = np.full((8, 8), 10.0, np.float32)
    half = pixels(heatmap_png(flat(64, 64), cells, finding(0.1), full=20.0))
    assert (half == pixels(heatmap_png(flat(64, 64), cells / 2, finding(0.1), full=10.0))).all()
    more = pixels(heatmap_png(flat(64, 64), cells, finding(0.1), full=10.0))
    assert (more == pixels(heatmap_png(flat(64, 64), cells * 3, finding(0.1), full=10.0))).all()
    assert (half != more).any()


@pytest.mark.parametrize("media_type", [PNG, JPEG])
def test_a_picture_in_colour_keeps_its_colours_in_the_size_that_is_asked_for(media_type: str):
    picture = np.zeros((40, 80, 3), np.uint8)
    picture[:, :40] = (200, 20, 20)

    def drawn(size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        made = colour_picture(picture, RenderedView(media_type, size=size))
        with Image.open(io.BytesIO(made)) as image:
            assert image.get_format_mimetype() == media_type
            return np.asarray(image)

    whole = drawn()
    assert whole.shape == (40, 80, 3)
    assert np.allclose(whole[20, 10], (200, 20, 20), atol=6)
    assert np.allclose(whole[20, 70], 0, atol=6)
    assert drawn((20, 100)).shape == (10, 20, 3)
    assert drawn((800, 800)).shape == (40, 80, 3)
