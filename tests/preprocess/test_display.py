"""Display attributes that a viewer would pass over: absent, with a warning, and never refused."""

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from preprocess import Frame, decode
from tests.preprocess import dicoms

ABSENT = "is not usable and was taken as absent"
NO_UNITS = "is in units of a rescale that is not usable, and was left out"
CENTER, WIDTH = "Window Center (0028,1050)", "Window Width (0028,1051)"
SLOPE, INTERCEPT = "Rescale Slope (0028,1053)", "Rescale Intercept (0028,1052)"
FUNCTION, VOI_LUT = "VOI LUT Function (0028,1056)", "VOI LUT Sequence (0028,3010)"
MODALITY_LUT = "Modality LUT Sequence (0028,3000)"


def shown(values, dtype=np.uint8, **attributes) -> tuple[list[float], tuple[str, ...]]:
    """Share of white of each value, rounded to four places, and the warnings."""
    frame = decode(dicoms.write(dicoms.image(np.array([values], dtype), **attributes)))[0]
    return shares(frame)[0], frame.warnings


def shares(frame: Frame) -> list[list[float]]:
    return (frame.samples / frame.largest).round(4).tolist()


def with_text(keyword: str, text: bytes, **attributes: str) -> bytes:
    """A picture of 0, 51 and 255 whose attribute has this text, which pydicom would not write."""
    attributes = {"WindowCenter": "100", "WindowWidth": "200"} | attributes | {keyword: "77"}
    dataset = dicoms.image(
        np.array([[0, 51, 255]], np.uint8), VOILUTFunction="LINEAR_EXACT", **attributes
    )
    data = dicoms.write(dataset)
    text += b" " * (len(text) % 2)
    tag = dataset[keyword].tag
    head = tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little") + b"DS"
    at = data.index(head)
    return data[: at + 6] + len(text).to_bytes(2, "little") + text + data[at + 10 :]


@pytest.mark.parametrize(
    ("fields", "keywords"),
    [
        ({"WindowCenter": "100", "WindowWidth": "0"}, [WIDTH]),
        ({"WindowCenter": "100", "WindowWidth": "-5"}, [WIDTH]),
        ({"WindowCenter": "100", "WindowWidth": "0.5"}, [WIDTH]),  # LINEAR needs 1 at the least
        (
            {"WindowCenter": "100", "WindowWidth": "0", "VOILUTFunction": "LINEAR_EXACT"},
            [WIDTH],
        ),
        ({"WindowCenter": "100", "WindowWidth": "0", "VOILUTFunction": "SIGMOID"}, [WIDTH]),
        ({"RescaleSlope": "0", "RescaleIntercept": "5"}, [SLOPE]),
        ({"RescaleSlope": "1e308", "RescaleIntercept": "1e308"}, [SLOPE, INTERCEPT]),
        ({"RescaleSlope": "1e-300", "RescaleIntercept": "1e9"}, [SLOPE, INTERCEPT]),
        ({"ModalityLUTSequence": [Dataset()]}, [MODALITY_LUT]),
        ({"VOILUTSequence": [Dataset()]}, [VOI_LUT]),
    ],
)
def test_what_is_not_usable_is_absent(fields, keywords):
    values, warnings = shown([0, 51, 255], **fields)
    assert values == [0, 0.2, 1]
    assert warnings == tuple(f"{keyword} {ABSENT}" for keyword in keywords)


@pytest.mark.parametrize(
    "fields",
    [
        {"WindowCenter": "100"},
        {"WindowWidth": "100"},
        {"WindowCenter": ["1", "2"], "WindowWidth": "4"},
        {"WindowCenter": "1", "WindowWidth": ["2", "4", "8"]},
    ],
)
def test_centers_and_widths_of_other_number_are_absent(fields):
    values, warnings = shown([0, 51, 255], **fields)
    assert values == [0, 0.2, 1]
    assert warnings == (f"{CENTER} has another number of values than Window Width: it {ABSENT}",)


@pytest.mark.parametrize(
    "text",
    [
        b"NaN", b"inf", b"-inf", b"\xff\xfe", b"1e999", b"1_0", b"2,048", b"25,5", b"2047,5",
        b"1,0", b"0,000", b"1,2,3", b"1.5,2", b",",
        b"ten", b"0x10", b"5 0", b"--5", b"1e", b"\xd9\xa3", b"9" * 4200,
    ],
)  # fmt: skip
@pytest.mark.parametrize("keyword", ["WindowCenter", "WindowWidth"])
def test_a_window_that_is_no_number_is_absent(keyword, text):
    (frame,) = decode(with_text(keyword, text))
    assert shares(frame) == [[0, 0.2, 1]]
    name = CENTER if keyword == "WindowCenter" else WIDTH
    assert frame.warnings == (f"{name} {ABSENT}",)


@pytest.mark.parametrize("text", [b"1,0", b"1,00", b"1,000000", b"+1,0"])
def test_a_slope_of_one_with_a_decimal_comma_leaves_the_window(text):
    window = {"WindowCenter": "127.5", "WindowWidth": "255"}
    (frame,) = decode(with_text("RescaleSlope", text, RescaleIntercept="0", **window))
    assert shares(frame) == [[0, 0.2, 1]]
    assert frame.warnings == (f"{SLOPE} {ABSENT}",)


@pytest.mark.parametrize("text", [b"0,0", b"0,000", b"-0,0"])
def test_an_intercept_of_nought_with_a_decimal_comma_leaves_slope_and_window(text):
    # 51 becomes 25.5, and the window begins at 0 and ends at 127.5, which 255 becomes.
    window = {"WindowCenter": "63.75", "WindowWidth": "127.5"}
    (frame,) = decode(with_text("RescaleIntercept", text, RescaleSlope="0.5", **window))
    assert shares(frame) == [[0, 0.2, 1]]
    assert frame.warnings == (f"{INTERCEPT} {ABSENT}",)


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("RescaleSlope", b"0,5"),
        ("RescaleSlope", b"2,0"),
        ("RescaleSlope", b"1,024"),
        ("RescaleSlope", b"1,000"),  # a thousand, or 1
        ("RescaleSlope", b"1,0e3"),
        ("RescaleSlope", b"1,2,3"),
        ("RescaleIntercept", b"-1,024"),
        ("RescaleIntercept", b"-1024,0"),
    ],
)
def test_a_window_for_a_rescale_with_a_comma_is_left_out(keyword, text):
    other = "RescaleIntercept" if keyword == "RescaleSlope" else "RescaleSlope"
    fields = {other: "1" if other == "RescaleSlope" else "0"}
    (frame,) = decode(with_text(keyword, text, WindowCenter="9000", WindowWidth="10", **fields))
    assert shares(frame) == [[0, 0.2, 1]]
    name = SLOPE if keyword == "RescaleSlope" else INTERCEPT
    assert frame.warnings == (
        f"{name} {ABSENT}",
        f"{CENTER} {NO_UNITS}",
        f"{WIDTH} {NO_UNITS}",
    )


def test_a_voi_lut_for_a_rescale_with_a_comma_is_left_out():
    table = dicoms.lut([65535, 0], 0, 16)
    data = dicoms.write(
        dicoms.image(
            np.array([[0, 51, 255]], np.uint8),
            RescaleSlope="77",
            RescaleIntercept="0",
            VOILUTSequence=[table],
        )
    ).replace(b"77", b"2,")
    (frame,) = decode(data)
    assert shares(frame) == [[0, 0.2, 1]]
    assert frame.warnings == (f"{SLOPE} {ABSENT}", f"{VOI_LUT} {NO_UNITS}")


@pytest.mark.parametrize("text", [b"-1,0", b"-1,024"])
def test_a_negative_slope_with_a_comma_turns_black_and_white_round(text):
    (frame,) = decode(with_text("RescaleSlope", text, RescaleIntercept="255"))
    assert shares(frame) == [[1, 0.8, 0]]
    assert frame.warnings == (f"{SLOPE} {ABSENT}", f"{CENTER} {NO_UNITS}", f"{WIDTH} {NO_UNITS}")


def test_rescale_with_a_comma_and_no_window_has_no_further_warning():
    values = np.array([[0, 51, 255]], np.uint8)
    data = dicoms.write(dicoms.image(values, RescaleSlope="7777", RescaleIntercept="0"))
    (frame,) = decode(data.replace(b"7777", b"0,50"))
    assert (shares(frame), frame.warnings) == ([[0, 0.2, 1]], (f"{SLOPE} {ABSENT}",))


def test_a_slope_that_is_no_number_leaves_the_intercept():
    (frame,) = decode(with_text("RescaleSlope", b"NaN", RescaleIntercept="100", WindowCenter="200"))
    assert shares(frame) == [[0, 0.255, 1]]
    assert frame.warnings == (f"{SLOPE} {ABSENT}",)


def test_the_first_window_that_is_usable_is_taken():
    fields = {"WindowCenter": ["9", "100"], "WindowWidth": ["0", "200"]}
    values, warnings = shown([0, 50, 200], VOILUTFunction="LINEAR_EXACT", **fields)
    assert values == [0, 0.25, 1]
    assert warnings == (f"{WIDTH} {ABSENT}",)


def test_values_that_are_not_needed_are_not_looked_at():
    fields = {"WindowCenter": ["100", ""], "WindowWidth": ["200", ""], "RescaleSlope": ["1", ""]}
    values, warnings = shown([0, 50, 200], VOILUTFunction="LINEAR_EXACT", **fields)
    assert (values, warnings) == ([0, 0.25, 1], ())


def test_an_unknown_voi_function_is_linear():
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    values, warnings = shown([0, 51, 255], VOILUTFunction="SPLINE", **window)
    assert values == [0, 0.2, 1]
    assert warnings == (f"{FUNCTION} {ABSENT}",)


def test_an_unknown_voi_function_without_window_is_nobodys_concern():
    assert shown([0, 51, 255], VOILUTFunction="SPLINE") == ([0, 0.2, 1], ())


def test_a_voi_function_may_be_written_small():
    data = with_text("WindowCenter", b"100").replace(b"LINEAR_EXACT", b"linear_exact")
    (frame,) = decode(data)
    assert (shares(frame), frame.warnings) == ([[0, 0.255, 1]], ())


def test_an_empty_voi_item_beside_a_window_leaves_the_window():
    fields = {"VOILUTFunction": "LINEAR_EXACT", "WindowCenter": "100", "WindowWidth": "200"}
    values, warnings = shown([0, 50, 200], VOILUTSequence=[Dataset()], **fields)
    assert values == [0, 0.25, 1]
    assert warnings == (f"{VOI_LUT} {ABSENT}",)


def test_an_empty_voi_sequence_is_absent_and_right():
    window = {"WindowCenter": "128", "WindowWidth": "256"}
    assert shown([0, 51, 255], VOILUTSequence=[], **window) == ([0, 0.2, 1], ())


@pytest.mark.parametrize("descriptor", [[3], [3, 0], [3, 0, 16, 1], [4, 0, 16], [0, 0, 16]])
def test_a_malformed_voi_lut_leaves_the_next_one(descriptor):
    broken, sound = dicoms.lut([9, 9, 9], 0, 16), dicoms.lut([65535, 0], 0, 16)
    broken.LUTDescriptor = descriptor
    values, warnings = shown([0, 1, 255], VOILUTSequence=[broken, sound])
    assert values == [1, 0, 0]
    assert warnings == (f"{VOI_LUT} {ABSENT}",)


def test_a_voi_lut_without_data_is_absent():
    table = dicoms.lut([1, 2], 0, 16)
    del table.LUTData
    assert shown([0, 51, 255], VOILUTSequence=[table]) == (
        [0, 0.2, 1],
        (f"{VOI_LUT} {ABSENT}",),
    )


@pytest.mark.parametrize(
    ("entries", "declared", "used"),
    [
        ([0, 1365, 4095], 8, 12),
        ([0, 1365, 4095], 10, 12),
        ([0, 21845, 65535], 12, 16),
        ([0, 85, 255], 0, 8),
        ([0, 85, 255], 7, 8),
        ([0, 5461, 16383], 40, 14),
        ([0, 1365, 4095], 16, 12),  # the usual fault: what was allocated stands for what is used
    ],
)
def test_a_voi_lut_is_scaled_by_the_bits_its_entries_use(entries, declared, used):
    values, warnings = shown([0, 1, 2], VOILUTSequence=[dicoms.lut(entries, 0, declared)])
    assert values == [0, 0.3333, 1]
    fault = f"declares {declared} bits for entries of {used} and was scaled by these"
    assert warnings == (f"{VOI_LUT} {fault}",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_voi_lut_may_begin_below_all_unsigned_values(dtype):
    entries = [0] * 100 + [0, 1365, 4095]
    table = dicoms.lut(entries, -100, 12, signed_first=True)
    assert shown([0, 1, 2], dtype, VOILUTSequence=[table]) == ([0, 0.3333, 1], ())


def test_a_voi_lut_of_implicit_vr_may_begin_below_all_unsigned_values():
    table = dicoms.lut([0] * 100 + [0, 1365, 4095], -100, 12, signed_first=True)
    values = np.array([[0, 1, 2]], np.uint16)
    dataset = dicoms.image(values, BitsStored=12, VOILUTSequence=[table])
    (frame,) = decode(dicoms.write(dataset, ImplicitVRLittleEndian))
    np.testing.assert_allclose(frame.samples[0] / frame.largest, [0, 0.3333, 1], atol=5e-5)


@pytest.mark.parametrize(("top", "declared"), [(511, 9), (1500, 11), (8191, 13), (40_000, 16)])
def test_a_voi_lut_that_keeps_to_its_bits_is_scaled_by_them(top, declared):
    values, warnings = shown([0, 1], VOILUTSequence=[dicoms.lut([0, top], 0, declared)])
    assert values == [0, round(top / ((1 << declared) - 1), 4)]
    assert warnings == ()


# Functional groups of enhanced objects.


def voi_group(center: str, width: str, function: str | None = "LINEAR_EXACT") -> Dataset:
    voi, group = Dataset(), Dataset()
    voi.WindowCenter, voi.WindowWidth = center, width
    if function:
        voi.VOILUTFunction = function
    group.FrameVOILUTSequence = [voi]
    return group


def rescale_group(slope: str, intercept: str) -> Dataset:
    rescale, group = Dataset(), Dataset()
    rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, intercept, "US"
    group.PixelValueTransformationSequence = [rescale]
    return group


def frames(*rows: list[int], **attributes: object) -> tuple[Frame, ...]:
    pixels = np.array(rows, np.uint8)
    return decode(
        dicoms.write(dicoms.image(pixels, NumberOfFrames=len(rows), Rows=1, **attributes))
    )


def test_functional_groups_of_a_frame_come_first():
    shared = voi_group("1", "2")
    shared.update(rescale_group("2", "0"))
    first, second = frames(
        [0, 25, 50],
        [0, 25, 50],
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[voi_group("50", "100"), voi_group("100", "200")],
    )
    assert shares(first) == [[0, 0.5, 1]]
    assert shares(second) == [[0, 0.25, 0.5]]


def test_a_frames_own_window_comes_before_a_voi_lut_of_the_data_set():
    table = dicoms.lut([65535, 0], 0, 16)
    window = {"WindowCenter": "1", "WindowWidth": "2", "VOILUTFunction": "SIGMOID"}
    own, without = frames(
        [0, 25, 50],
        [0, 1, 50],
        VOILUTSequence=[table],
        PerFrameFunctionalGroupsSequence=[voi_group("50", "100"), Dataset()],
        **window,
    )
    assert shares(own) == [[0, 0.25, 0.5]]
    assert shares(without) == [[1, 0, 0]]


def test_a_shared_window_comes_before_a_voi_lut_of_the_data_set():
    (frame,) = frames(
        [0, 25, 50],
        VOILUTSequence=[dicoms.lut([65535, 0], 0, 16)],
        SharedFunctionalGroupsSequence=[voi_group("50", "100")],
    )
    assert shares(frame) == [[0, 0.25, 0.5]]


def test_a_frames_own_rescale_comes_before_a_modality_lut_of_the_data_set():
    (frame,) = frames(
        [0, 25, 50],
        ModalityLUTSequence=[dicoms.lut([65535, 0], 0, 16)],
        SharedFunctionalGroupsSequence=[voi_group("50", "100")],
        PerFrameFunctionalGroupsSequence=[rescale_group("2", "0")],
    )
    assert shares(frame) == [[0, 0.5, 1]]


def test_a_frames_own_voi_lut_comes_before_the_window_beside_it_and_above():
    group = voi_group("50", "100")
    group.FrameVOILUTSequence[0].VOILUTSequence = [dicoms.lut([65535, 0], 0, 16)]
    (frame,) = frames(
        [0, 1, 50],
        PerFrameFunctionalGroupsSequence=[group],
        WindowCenter="128",
        WindowWidth="256",
    )
    assert shares(frame) == [[1, 0, 0]]


def test_the_function_of_another_group_does_not_bend_a_frames_own_window():
    (frame,) = frames(
        [0, 50, 99],
        VOILUTFunction="SIGMOID",
        PerFrameFunctionalGroupsSequence=[voi_group("50", "100", function=None)],
    )
    assert shares(frame) == [[0, 0.505, 1]]  # LINEAR: (50 - 49.5) / 99 + 0.5


def test_a_frames_own_window_that_is_not_usable_leaves_the_next_group():
    first, second = frames(
        [0, 50, 200],
        [0, 50, 200],
        SharedFunctionalGroupsSequence=[voi_group("100", "200")],
        PerFrameFunctionalGroupsSequence=[voi_group("100", "0"), voi_group("100", "400")],
    )
    assert shares(first) == [[0, 0.25, 1]]
    assert shares(second) == [[0.25, 0.375, 0.75]]
    # What is said of a file is said of all its frames.
    assert first.warnings == second.warnings == (f"{WIDTH} {ABSENT}",)


# Number of Frames.


@pytest.mark.parametrize("text", [b"0 ", b"-1", b"1\\2 ", b"one ", b"1.5 ", b"1,0 ", b"\xff\xfe"])
def test_a_number_of_frames_that_is_none_is_one(text):
    data = dicoms.write(dicoms.image(np.array([[0, 51, 255]], np.uint8), NumberOfFrames="77"))
    at = data.index(b"\x28\x00\x08\x00IS")
    data = data[: at + 6] + len(text).to_bytes(2, "little") + text + data[at + 10 :]
    (frame,) = decode(data)
    assert shares(frame) == [[0, 0.2, 1]]
    assert frame.warnings == ("Number of Frames (0028,0008) is not usable and was taken as 1",)


def test_a_sound_file_has_no_warnings():
    window = {"WindowCenter": "128", "WindowWidth": "256", "RescaleSlope": "1"}
    assert shown([0, 51, 255], RescaleIntercept="0", NumberOfFrames="1", **window) == (
        [0, 0.2, 1],
        (),
    )
