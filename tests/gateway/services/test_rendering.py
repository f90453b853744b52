"""Previews and heat maps: what a person must be able to trust in them."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gateway.schemas.result import Code, Finding
from gateway.services.rendering import heatmap_png, preview_png
from preprocess import Frame

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


def test_preview_of_sixteen_bits_shows_the_range_that_is_used():
    ramp = np.linspace(30_000, 31_000, 10_000).astype(np.uint16).reshape(100, 100)
    shown = pixels(preview_png(frame(ramp)))
    assert (shown.dtype, shown.min(), shown.max()) == (np.uint8, 0, 255)
    assert (np.diff(shown.reshape(-1).astype(int)) >= 0).all()


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
    code = Code(system="http://snomed.info/sct", code="233604007", display="Pneumonia")
    legends = {
        pixels(heatmap_png(flat(64, 64), one_hot(0, 0), each))[64:].tobytes()
        for each in (
            finding(0.75),
            finding(0.25),
            finding(0.75).model_copy(update={"code": code}),
        )
    }
    assert len(legends) == 3


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
