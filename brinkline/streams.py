"""Byte streams: packed ones, two in a row, and what the first bytes say of the kind."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import Any, BinaryIO, cast

_SIGNATURES = (
    (rb"%PDF-", "a PDF"),
    (rb"(?s)PK\x03\x04.*word/", "a Word document (docx)"),
    (rb"(?s)PK\x03\x04.*xl/", "an Excel workbook (xlsx)"),
    (rb"PK\x03\x04|PK\x05\x06", "a zip archive or an Office document"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (doc, xls)"),
    (rb"\{\\rtf\d", "a rich text document (RTF)"),
    (rb"\x1f\x8b\x08", "gzip"),
    (rb"\x89PNG\r\n\x1a\n", "a PNG image"),
    (rb"\xff\xd8\xff", "a JPEG image"),
    # Parquet's four letters are text too; its first page header never goes without a zero byte or two.
    (rb"(?s)PAR1.*\x00", "a Parquet table"),
)

_PACKED = 1 << 14  # bytes unpacked at a time: little, because they may become very many


class Joined(io.RawIOBase):
    """The bytes read ahead and then the rest of a stream, which need not be seekable."""

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._parts = (io.BytesIO(head), rest)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and return how many bytes of it."""
        view = memoryview(buffer)
        chunk = next((chunk for part in self._parts if (chunk := part.read(len(view)))), b"")
        view[: len(chunk)] = chunk
        return len(chunk)


def signature(head: bytes) -> str | None:
    """Say what a file is that is no text, by its first bytes, or None."""
    return next((look for pattern, look in _SIGNATURES if re.match(pattern, head)), None)


def open_stream(path: Path) -> tuple[BinaryIO, str]:
    """Open a file for reading, unpacked.

    :param path: a file, packed with gzip or zstd if its suffix says so.
    :return: its bytes, and the suffix that tells the kind, in lower case.
    :raises OSError: where it cannot be opened; reading raises it too, or EOFError, where it is damaged.
    :raises ImportError: for zstd without zstandard (extra ``[archive]``).
    """
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(BinaryIO, gzip.open(path)), Path(path.stem).suffix.lower()
    if suffix == ".zst":
        return _open_zst(path), Path(path.stem).suffix.lower()
    return path.open("rb"), suffix


def _open_zst(path: Path) -> BinaryIO:
    """Open one or more zstd frames.

    :raises ImportError: without zstandard (extra ``[archive]``).
    """
    try:
        import zstandard
    except ImportError as error:
        raise ImportError(".zst files need zstandard: pip install 'brinkline[archive]'") from error
    return cast(BinaryIO, io.BufferedReader(_Zst(path.open("rb"), zstandard)))


class _Zst(io.RawIOBase):
    """Unpacks frame after frame; zstandard's own reader takes a frame that breaks off for its end."""

    def __init__(self, packed: BinaryIO, zstandard: Any) -> None:
        self._packed = packed
        self._zstandard = zstandard
        self._frame: Any = None
        self._rest = b""  # bytes behind the end of a frame
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._packed.fileno()

    def close(self) -> None:
        self._packed.close()
        super().close()

    def readinto(self, buffer: Any) -> int:
        while not self._ready and self._unpack():
            pass
        view = memoryview(buffer)
        count = min(len(view), len(self._ready))
        view[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _unpack(self) -> bool:
        """Make bytes ready; False at the end of the file."""
        data = self._rest or self._packed.read(_PACKED)
        if not data:
            if self._frame is not None:
                raise OSError("corrupt zstd: it ends too early")
            return False
        if self._frame is None:
            self._frame = self._zstandard.ZstdDecompressor().decompressobj()
        try:
            self._ready = memoryview(self._frame.decompress(data))
        except self._zstandard.ZstdError as error:
            raise OSError(f"corrupt zstd, or not zstd at all ({error})") from None
        self._rest = b""
        if self._frame.eof:
            self._rest, self._frame = self._frame.unused_data, None
        return True
