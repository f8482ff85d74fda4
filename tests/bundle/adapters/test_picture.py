"""Files of pictures: what is read, what is refused, and what a hostile file may cost."""

import subprocess
import sys
import tracemalloc
import zlib
from io import BytesIO
from time import process_time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from tests.bundle.adapters.conftest import Save, same, save_picture

from snooze.bundle.adapters.picture import (
    FORMATS,
    MAX_SCANS,
    Header,
    decode,
    read_header,
    read_orientation,
    recognize,
    write_png,
)


def decoded(data: bytes) -> Any:
    return decode(data, read_header(data))


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def segment(kind: int, data: bytes) -> bytes:
    return b"\xff" + bytes([kind]) + (len(data) + 2).to_bytes(2, "big") + data


def test_pictures_are_those_of_pillow(save: Save, pattern: Any) -> None:
    for kind in FORMATS:
        data = save(pattern, kind)
        header = read_header(data)

        assert recognize(data) == kind
        assert header[:3] == (kind, 40, 30)
        assert same(decode(data, header), Image.open(BytesIO(data)))


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"progressive": True, "subsampling": 0}),
        ("JPEG", {"quality": 100, "icc_profile": b"x" * 200_000}),
        ("JPEG", {"comment": b"taken by hand"}),
        ("PNG", {"icc_profile": b"x" * 1000}),
        ("PNG", {"dpi": (300, 300)}),
        ("WebP", {"lossless": True}),
        ("WebP", {"quality": 10, "icc_profile": b"x" * 1000}),
    ],
)
def test_variants_and_metadata_change_nothing(save: Save, pattern: Any, kind: str, options: dict[str, Any]) -> None:
    data = save(pattern, kind, **options)

    assert same(decoded(data), Image.open(BytesIO(data)))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_modes_are_those_of_pillow(save: Save, pattern: Any, mode: str) -> None:
    for kind in FORMATS:
        if (kind, mode) in {("JPEG", "LA"), ("JPEG", "P"), ("JPEG", "RGBA"), ("PNG", "CMYK"), ("WebP", "CMYK")}:
            continue
        if kind == "BMP" and mode in ("LA", "CMYK"):
            continue
        data = save(pattern.convert(mode), kind)
        expected = Image.open(BytesIO(data))
        got = decoded(data)

        assert got.mode == expected.mode
        assert same(got.convert("RGB"), expected.convert("RGB"))


def test_of_sixteen_bits_the_upper_eight_are_kept(save: Save) -> None:
    values = np.arange(0, 65536, 13, dtype=np.uint16)[:5000].reshape(50, 100)

    assert same(decoded(save(Image.fromarray(values), "PNG")), values >> 8)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("order", ["II", "MM"])
def test_reads_the_orientation(save: Save, pattern: Any, kind: str, orientation: int, order: str) -> None:
    exif = Image.Exif()
    exif.endian = "<" if order == "II" else ">"
    exif[0x010F] = "a camera"
    exif[0x0112] = orientation
    data = save(pattern, kind, exif=exif)

    assert decoded(data).info["orientation"] == orientation
    assert ImageOps.exif_transpose(Image.open(BytesIO(data))).size == ((30, 40) if orientation > 4 else (40, 30))


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\x63\0\0",
    ],
)
def test_damaged_exif_data_says_nothing(save: Save, pattern: Any, exif: bytes) -> None:
    assert decoded(save(pattern, "JPEG", exif=exif)).info["orientation"] == 1


def test_of_an_animation_the_first_picture_counts(save: Save, pattern: Any) -> None:
    others = [ImageOps.invert(pattern), ImageOps.flip(pattern)]
    for kind, options in (("PNG", {}), ("WebP", {"lossless": True})):
        data = save(pattern, kind, save_all=True, append_images=others, **options)

        assert same(decoded(data).convert("RGB"), pattern), kind


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "an empty file"),
        (b"GIF89a" + bytes(20), "a GIF file"),
        (b"II*\0" + bytes(20), "a TIFF file"),
        (b"%PDF-1.7", "a PDF file"),
        (b"<svg>", "a text such as SVG or HTML"),
        (b"\0\0\0\x1cftypavif", "an AVIF file"),
        (b"\0\0\0\x1cftypheic", "a HEIC file"),
        (b"[[1.0]]", "something else"),
    ],
)
def test_other_formats_are_refused_by_name(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=f"^expected a JPEG, PNG, WebP or BMP file, got {problem}$"):
        read_header(data)


@pytest.mark.process
def test_only_the_decoder_of_the_format_is_imported(save: Save, pattern: Any) -> None:
    code = (
        "import sys; from snooze.bundle.adapters import picture; data = sys.stdin.buffer.read();"
        "picture.decode(data, picture.read_header(data));"
        "print(*sorted(name for name in sys.modules if name.endswith('Plugin')))"
    )
    for kind, (module, _) in FORMATS.items():
        done = subprocess.run([sys.executable, "-c", code], input=save(pattern, kind), check=True, capture_output=True)
        assert done.stdout.decode().split() == [f"PIL.{module}"]


@pytest.mark.parametrize("kind", FORMATS)
def test_truncated_files_are_refused(save: Save, pattern: Any, kind: str) -> None:
    data = save(pattern, kind)
    for length in {*range(0, len(data) - 40, 7), len(data) // 2}:
        with pytest.raises(ValueError, match=r"damaged|truncated|expected a JPEG"):
            decoded(data[:length])


@given(st.sampled_from(list(FORMATS)), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8))
def test_damaged_files_are_refused_or_read(kind: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(save_picture(Image.linear_gradient("L").resize((20, 16)), kind))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        header = read_header(bytes(data))
        if header.pixels < 10**6:
            assert decode(bytes(data), header).size == (header.width, header.height)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)), "has 0 x 0 pixels"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"tEXt", bytes(13)), "does not begin with IHDR"),
        (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\1\0\0\0\0\0\1" + bytes(5)), "a side may have 65535"),
        (
            b"BM" + bytes(12) + (40).to_bytes(4, "little") + bytes(12) + b"\1\0\0\0" + bytes(24),
            "compressed; save it as",
        ),
        (b"\xff\xd8" + segment(0xC0, b"\x0c\0\1\0\1\1\1\x11\0"), "12 bits, only 8 are read"),
        (b"\xff\xd8" + segment(0xE1, b"") * 2000, "at most 1000 segments"),
        (b"\xff\xd8\xff\xd9" + bytes(20), "damaged"),
        (b"\xff\xd8\xff\xd8" + bytes(20), "the JPEG file is truncated"),
        (b"RIFF\0\0\0\0WEBPWXYZ" + bytes(20), "does not begin with a picture"),
    ],
)
def test_says_what_is_wrong(data: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_header(data)


def test_a_palette_is_needed(save: Save, pattern: Any) -> None:
    data = save(pattern.quantize(9), "PNG")
    place = data.index(b"PLTE") - 4
    length = int.from_bytes(data[place : place + 4], "big")

    with pytest.raises(ValueError, match="its palette is missing"):
        decoded(data[:place] + data[place + 12 + length :])


def test_texts_and_profiles_in_a_file_are_not_unpacked(save: Save, pattern: Any) -> None:
    """Ten megabytes of zeros in each of forty chunks of ten kilobytes."""
    data = save(pattern, "PNG")
    packed = zlib.compress(bytes(10_000_000))
    bombs = chunk(b"zTXt", b"a\0\0" + packed) * 40 + chunk(b"iCCP", b"a\0\0" + packed)
    hostile = data[:33] + bombs + data[33:-12] + bombs + data[-12:]

    tracemalloc.start()
    try:
        assert same(decoded(hostile), pattern)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(hostile)
    finally:
        tracemalloc.stop()


def test_exif_data_is_not_unpacked(save: Save, pattern: Any) -> None:
    """Five thousand entries that each claim the same sixty kilobytes."""
    entry = b"".join(
        tag.to_bytes(2, "little") + b"\x07\0" + (60_000).to_bytes(4, "little") + bytes(4) for tag in range(5000)
    )
    exif = b"Exif\0\0II*\0\x08\0\0\0" + (5000).to_bytes(2, "little") + entry
    data = save(pattern, "JPEG", exif=exif)

    tracemalloc.start()
    try:
        decoded(data)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(data)
    finally:
        tracemalloc.stop()


def test_pixels_beyond_the_picture_are_not_unpacked() -> None:
    """A hundred megabytes behind the one row that the picture has."""
    header = chunk(b"IHDR", (8).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"\x08\0\0\0\0")
    pixels = chunk(b"IDAT", zlib.compress(bytes(100_000_000), 9))
    data = b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")

    begin = process_time()
    decoded(data)
    assert process_time() - begin < 2


def test_a_jpeg_file_has_few_scans(save: Save, pattern: Any) -> None:
    data = save(pattern, "JPEG", progressive=True)
    scan = data.rindex(b"\xff\xda")
    hostile = data[:-2] + data[scan:-2] * MAX_SCANS + data[-2:]

    with pytest.raises(ValueError, match="more than 64 scans"):
        decoded(hostile)

    hidden = data[:-2] + segment(0xFE, b"\xff\xd9") + data[scan:-2] * MAX_SCANS + data[-2:]
    with pytest.raises(ValueError, match="more than 64 scans"):
        decoded(hidden)


def test_a_png_file_has_not_too_many_chunks(save: Save, pattern: Any) -> None:
    data = save(pattern, "PNG")
    for kind in (b"IDAT", b"tEXt"):
        with pytest.raises(ValueError, match="more than 65536 chunks"):
            decoded(data[:33] + chunk(kind, b"") * 100_000 + data[33:])


def test_metadata_of_a_webp_file_is_read_as_far_as_it_is_short(save: Save, pattern: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = save(pattern, "WebP", exif=exif, lossless=True)
    place = data.index(b"EXIF")
    many = data[:place] + b"ABCD\0\0\0\0" * 100_000 + data[place:]
    many = many[:4] + (len(many) - 8).to_bytes(4, "little") + many[8:]

    assert read_orientation(data) == 6
    assert read_orientation(many) == 1


def test_a_second_size_is_refused(save: Save, pattern: Any) -> None:
    """The first states the memory, and the second is what Pillow would allocate."""
    data = save(pattern, "JPEG")
    place = data.index(b"\xff\xc0")
    larger = segment(0xC0, b"\x08\x40\0\x40\0\3\1\x22\0\2\x11\1\3\x11\1")

    with pytest.raises(ValueError, match=r"two different sizes|damaged"):
        decode(data[:place] + larger + data[place:], Header("JPEG", 64, 64, 0))


def test_writes_png_files(pattern: Any) -> None:
    pixels = np.asarray(pattern)

    assert same(Image.open(BytesIO(write_png(pixels))), pixels)
