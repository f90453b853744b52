"""Mutated radiographs: what a broken writer, a bad line or an enemy makes of a sound file."""

from hypothesis import strategies as st

INTERESTING = (
    *(b"\x00", b"\xff", b"\x7f", b"\x80", b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"),
    *(b"\xff\xd9", b"\xff\xda", b"\xff\xc0", b"\xff\x4f\xff\x51", b"\xff\x90"),
    *(b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0", b"\xe0\x7f\x10\x00", b"IDAT", b"NaN "),
)


@st.composite
def mutated(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """One of the samples with one to eight changes."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 8))):
        # Headers are short and decide much: half of all changes fall into the first kilobyte.
        end = draw(st.sampled_from((min(len(data), 1024), len(data))))
        at = draw(st.integers(0, max(end - 1, 0)))
        match draw(st.integers(0, 5)):
            case 0:
                data[at : at + 1] = bytes((draw(st.integers(0, 255)),))
            case 1:
                piece = draw(st.sampled_from(INTERESTING))
                data[at : at + len(piece)] = piece
            case 2:
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case 3:
                del data[at : at + draw(st.integers(1, 64))]
            case 4:
                del data[max(at, 1) :]
            case 5:
                piece = data[at : at + draw(st.integers(1, 256))]
                there = draw(st.integers(0, len(data)))
                data[there:there] = piece * draw(st.integers(1, 4))
        if not data:
            return b""
    return bytes(data)
