"""
Files of pictures: JPEG, PNG, WebP and BMP. What they are is read from their first bytes; Pillow decodes the pixels.

Pillow is given neither metadata nor more than one picture: it would unpack texts and colour profiles, whose size is not
that of the file, and colour profiles are not applied anyway. Its module for a format is imported with the first file of
that format, and no other module is ever tried.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BytesIO
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from snooze.bundle.errors import MissingExtra

Format = Literal["JPEG", "PNG", "WebP", "BMP"]

FORMATS: Final[dict[Format, tuple[str, str]]] = {  # Pillow's module and class
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WebP": ("WebPImagePlugin", "WebPImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
}
OTHERS: Final = (  # first bytes of what people send instead
    (b"GIF8", "a GIF file"),
    (b"II*\0", "a TIFF file"),
    (b"MM\0*", "a TIFF file"),
    (b"%PDF", "a PDF file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 file"),
    (b"PK\3\4", "a zip file"),
    (b"<", "a text such as SVG or HTML"),
)
ISO_BRANDS: Final = {b"avif": "an AVIF file", b"heic": "a HEIC file", b"mif1": "a HEIF file"}
MAX_SIDE: Final = 65_535  # pixels; Pillow makes an intermediate picture of the target's width and the source's height
MAX_SEGMENTS: Final = 1_000  # before the pixels of a JPEG file: 64 MB of metadata
MAX_CHUNKS: Final = 65_536  # of a PNG or WebP file: a loop in Python
MAX_SCANS: Final = 64  # of a JPEG file: each may cost as much as the whole picture, and takes a few bytes
START_OF_SCAN: Final = 0xDA
END_OF_FILE: Final = 0xD9
PROGRESSIVE: Final = frozenset((0xC2, 0xC6, 0xCA, 0xCE))
SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # segments that state the size
DROPPED: Final = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))  # metadata; APP0 and APP14 tell how colours are stored
MARKER: Final = rb"\xff[^\x00\x01\xd0-\xd8\xff]"  # among the pixels, and followed by a length
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
PNG_CHUNKS: Final = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
PIXEL_BYTES: Final = 4  # that Pillow takes for each pixel of a picture in colour
WEBP_BYTES: Final = 20  # for each pixel: libwebp's canvases, and copies

Sizes: TypeAlias = tuple[int, int, int]  # width and height in pixels, and the bytes of memory for each


class Header(NamedTuple):
    """What a file's first bytes say: its format, its size in pixels, and the bytes that decoding takes at its peak."""

    format: Format
    width: int
    height: int
    memory: int

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height


def import_pillow(module: str = "Image") -> Any:
    """Return a module of Pillow. Raises MissingExtra."""
    try:
        return import_module(f"PIL.{module}")
    except ModuleNotFoundError as error:
        if error.name not in ("PIL", f"PIL.{module}"):  # installed but broken: show the real cause
            raise
        raise MissingExtra("PIL", "image") from None


def recognize(data: bytes) -> Format | None:
    """Return the format of a file by its first 12 bytes, None if it is not one of the four."""
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith(PNG_SIGNATURE):
        return "PNG"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    return "BMP" if data.startswith(b"BM") else None


def read_header(data: bytes) -> Header:
    """
    Return what a file is, in a time that does not grow with it.

    Raises:
        ValueError: it is of another format, damaged, or of a variant that is not read.
    """
    kind = recognize(data)
    if kind is None:
        raise ValueError(f"expected a JPEG, PNG, WebP or BMP file, got {_name(data)}")
    try:
        width, height, memory = _READERS[kind](data)
    except IndexError:
        raise ValueError(f"the {kind} file is truncated") from None
    if not width or not height:
        raise ValueError(f"the {kind} file is damaged: it has {width} x {height} pixels")
    if max(width, height) > MAX_SIDE:
        raise ValueError(f"it has {width} x {height} pixels, a side may have {MAX_SIDE}")
    return Header(kind, width, height, memory * width * height + 2 * len(data))


def decode(data: bytes, header: Header) -> Any:
    """
    Return the first picture of a file as Pillow's `Image`, and the EXIF orientation (1 to 8) as its `info`.

    Of 16 bits a channel, the upper 8 are kept. Raises ValueError if the file is damaged.
    """
    file, orientation = _CLEANERS[header.format](data)
    module, name = FORMATS[header.format]
    plugin = import_pillow(module)
    try:
        image = getattr(plugin, name)(file)
        if image.size != (header.width, header.height):
            raise ValueError("it states two different sizes")
        image.load()
        if image.mode == "P" and image.palette is None:
            raise ValueError("its palette is missing")
    except MemoryError:
        raise
    except Exception as error:  # a damaged file leads Pillow to almost any
        raise ValueError(f"the {header.format} file is damaged: {_first_line(error)}") from None
    if image.mode.startswith("I"):
        image.info.pop("transparency", None)  # in 16 bits
        image = image.point(lambda value: value / 256).convert("L")
    image.info["orientation"] = orientation
    return image


def read_orientation(data: bytes) -> int:
    """Return the EXIF orientation of a picture, 1 to 8. Raises ValueError if the file is damaged."""
    return _CLEANERS[read_header(data).format](data)[1]


def write_png(pixels: Any) -> bytes:
    """Return an array of shape [height, width, 3] and type uint8 as a PNG file."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    chunks = (len(part).to_bytes(4, "big") + kind + part + _checksum(kind + part) for kind, part in parts)
    return PNG_SIGNATURE + b"".join(chunks)


def _checksum(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def _name(data: bytes) -> str:
    if not data:
        return "an empty file"
    if data[4:8] == b"ftyp" and data[8:12] in ISO_BRANDS:
        return ISO_BRANDS[data[8:12]]
    return next((name for start, name in OTHERS if data.startswith(start)), "something else")


def _read_jpeg(data: bytes) -> Sizes:
    size = None
    for kind, begin, _ in _segments(data):
        if kind in SIZES:
            if data[begin + 4] != 8:
                raise ValueError(f"its JPEG values have {data[begin + 4]} bits, only 8 are read")
            channels = data[begin + 9]
            size = _big(data, begin + 7, 2), _big(data, begin + 5, 2)
            several = kind in PROGRESSIVE
        elif kind == START_OF_SCAN and size is not None:
            # A decoder of several scans keeps the coefficients of the whole picture, 2 bytes for each value.
            several |= data[begin + 4] < channels
            return *size, PIXEL_BYTES + 2 * channels * several
    raise ValueError("the JPEG file is damaged: it states no size")


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the marker, the begin and the end of each segment of a JPEG file, up to the one before its pixels."""
    begin, kind = 2, 0
    for _ in range(MAX_SEGMENTS):
        if data[begin] != 0xFF or data[begin + 1] == 0xFF:  # junk, or padding
            begin = data.find(b"\xff", begin + (data[begin] == 0xFF))
            if begin < 0:
                raise IndexError
            continue
        kind = data[begin + 1]
        if kind <= 1 or 0xD0 <= kind <= 0xD8:  # nothing follows
            begin += 2
            continue
        end = begin + 2 + (data[begin + 2] << 8 | data[begin + 3])
        if kind == END_OF_FILE:
            break
        yield kind, begin, end
        if kind == START_OF_SCAN:
            return
        begin = end
    raise ValueError(f"the JPEG file is damaged: there are no pixels after at most {MAX_SEGMENTS} segments")


def _clean_jpeg(data: bytes) -> tuple[BytesIO, int]:
    """Return a JPEG file without metadata, and its EXIF orientation. Raises ValueError for too many scans."""
    clean, orientation, view = BytesIO(), 1, memoryview(data)
    clean.write(view[:2])
    for kind, begin, end in _segments(data):
        if kind == START_OF_SCAN:
            _check_scans(data, end)
            clean.write(view[begin:])
        elif kind not in DROPPED:
            clean.write(view[begin:end])
        elif data[begin + 4 : begin + 10] == b"Exif\0\0":
            orientation = _read_orientation(data[begin + 4 : end])
    clean.seek(0)
    return clean, orientation


def _check_scans(data: bytes, place: int) -> None:
    """Check the number of scans, of which the first one's pixels begin at `place`."""
    if data.count(b"\xff\xda", place) < MAX_SCANS:
        return  # at most so many; what follows the picture in the file may look like scans
    search, scans = re.compile(MARKER).search, 1
    while (found := search(data, place)) and data[found.start() + 1] != END_OF_FILE:
        scans += data[found.start() + 1] == START_OF_SCAN
        if scans > MAX_SCANS:
            raise ValueError(f"the JPEG file has more than {MAX_SCANS} scans; save it as a baseline JPEG")
        place = found.end() + max(2, _big(data, found.end(), 2, 0))


def _read_png(data: bytes) -> Sizes:
    if data[12:16] != b"IHDR":
        raise ValueError("the PNG file is damaged: it does not begin with IHDR")
    return _big(data, 16, 4), _big(data, 20, 4), PIXEL_BYTES


def _clean_png(data: bytes) -> tuple[BytesIO, int]:
    """Return a PNG file without metadata and the further pictures of an animation, and its EXIF orientation."""
    clean, orientation, view, place = BytesIO(), 1, memoryview(data), 8
    clean.write(PNG_SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            break
        kind, end = data[place + 4 : place + 8], place + 12 + _big(data, place, 4)
        if kind in PNG_CHUNKS:
            clean.write(view[place:end])
        elif kind == b"eXIf":
            orientation = _read_orientation(data[place + 8 : end - 4])
        place = end
    else:
        raise ValueError(f"the PNG file has more than {MAX_CHUNKS} chunks; save it again")
    clean.seek(0)
    return clean, orientation


def _read_webp(data: bytes) -> Sizes:
    kind = data[12:16]
    if kind == b"VP8X":
        return 1 + _little(data, 24, 3), 1 + _little(data, 27, 3), WEBP_BYTES
    if kind == b"VP8L":
        bits = _little(data, 21, 4)
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), WEBP_BYTES
    if kind == b"VP8 ":
        return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF, WEBP_BYTES
    raise ValueError("the WebP file is damaged: it does not begin with a picture")


def _read_bmp(data: bytes) -> Sizes:
    size = _little(data, 14, 4)
    if size == 12:
        return _little(data, 18, 2), _little(data, 20, 2), PIXEL_BYTES
    if _little(data, 30, 4) not in (0, 3):  # Pillow unpacks the others in Python
        raise ValueError("its BMP pixels are compressed; save it as PNG")
    height = _little(data, 22, 4)
    return _little(data, 18, 4), min(height, 2**32 - height), PIXEL_BYTES  # from top to bottom if it is negative


def _clean_webp(data: bytes) -> tuple[BytesIO, int]:
    """Return the file as it is, for libwebp unpacks no metadata, and its EXIF orientation."""
    orientation, place = 1, 12
    for _ in range(MAX_CHUNKS):
        if place + 8 > len(data):
            break
        size = _little(data, place + 4, 4)
        if data[place : place + 4] == b"EXIF":
            orientation = _read_orientation(data[place + 8 : place + 8 + size])
        place += 8 + size + size % 2
    return BytesIO(data), orientation


_READERS: Final = {"JPEG": _read_jpeg, "PNG": _read_png, "WebP": _read_webp, "BMP": _read_bmp}
_CLEANERS: Final[dict[Format, Callable[[bytes], tuple[BytesIO, int]]]] = {
    "JPEG": _clean_jpeg,
    "PNG": _clean_png,
    "WebP": _clean_webp,
    "BMP": lambda data: (BytesIO(data), 1),
}


def _read_orientation(exif: bytes) -> int:
    """Return the orientation in EXIF data, 1 if it is missing or invalid."""
    exif = exif.removeprefix(b"Exif\0\0")
    order: Literal["big", "little"] = "big" if exif.startswith(b"MM") else "little"
    begin = int.from_bytes(exif[4:8], order)
    count = int.from_bytes(exif[begin : begin + 2], order)
    for place in range(begin + 2, min(begin + 2 + 12 * count, len(exif)), 12):
        if int.from_bytes(exif[place : place + 2], order) == 0x0112:
            value = int.from_bytes(exif[place + 8 : place + 10], order)
            return value if 1 <= value <= 8 else 1
    return 1


def _big(data: bytes, place: int, size: int, default: int | None = None) -> int:
    """Return a number of the file. Raises IndexError if the file ends before it, unless there is a default."""
    if place + size > len(data):
        if default is None:
            raise IndexError
        return default
    return int.from_bytes(data[place : place + size], "big")


def _little(data: bytes, place: int, size: int) -> int:
    if place + size > len(data):
        raise IndexError
    return int.from_bytes(data[place : place + size], "little")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
