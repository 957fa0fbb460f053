"""Audio: what a file of sound is by its own header, and how long it lasts.

WAV: RIFF with PCM samples. MP3: MPEG-1, 2 and 2.5 audio, layer III (ISO/IEC 11172-3 and 13818-3, section 2.4.2.3),
with ID3 tags before and behind. Both are what providers of telephony play.
"""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

LONGEST_S = 60
LARGEST = 16 * 1024 * 1024

# By the two bits of the version: its rates in Hz, its bit rates in kbit/s from index 1, its samples a frame.
LOW_KBIT = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
HIGH_KBIT = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
VERSIONS = {
    0: ((11_025, 12_000, 8_000), LOW_KBIT, 576),
    2: ((22_050, 24_000, 16_000), LOW_KBIT, 576),
    3: ((44_100, 48_000, 32_000), HIGH_KBIT, 1_152),
}
LAYER_III = 1
ID3_HEADER, ID3_TAIL = 10, 128


class NotASound(ValueError):
    """This file cannot be played to a caller. The message is the reason, for whoever made the file."""


@dataclass(frozen=True)
class Sound:
    """A file that can be played. `sha256` is that of the whole file."""

    seconds: float
    size: int
    sha256: str


def sound(file: Path) -> Sound:
    """Read it whole. Raises `NotASound`, and `OSError` where it cannot be read."""
    if file.stat().st_size > LARGEST:
        raise NotASound(f"larger than {LARGEST // 1024 // 1024} MB")
    data = file.read_bytes()
    read = {".wav": _wav_seconds, ".mp3": _mp3_seconds}.get(file.suffix)
    if read is None:
        raise NotASound("neither .mp3 nor .wav")
    seconds = read(data)
    if seconds <= 0:
        raise NotASound("holds no sound")
    if seconds > LONGEST_S:
        raise NotASound(f"lasts {seconds:.0f} s; {LONGEST_S} s is the most")
    return Sound(round(seconds, 2), len(data), sha256(data).hexdigest())


def _wav_seconds(data: bytes) -> float:
    try:
        with wave.open(io.BytesIO(data)) as read:
            rate, held = read.getframerate(), read.getnframes()
            whole = len(read.readframes(held)) == held * read.getsampwidth() * read.getnchannels()
    except (wave.Error, EOFError) as error:
        raise NotASound(f"no WAV of PCM samples by its header ({error or 'it ends early'})") from None
    if not rate or not whole:
        raise NotASound("the WAV ends before its header says")
    return float(held / rate)


def _mp3_seconds(data: bytes) -> float:
    frames = list(_frames(data, _first_frame(data)))
    if not frames:
        raise NotASound("no MP3 by its header")
    end, _ = frames[-1]
    if len(data) - end > ID3_TAIL or (end < len(data) and data[end:end + 3] != b"TAG"):
        raise NotASound("the MP3 is broken off or damaged")
    return sum(seconds for _, seconds in frames)


def _first_frame(data: bytes) -> int:
    """Behind an ID3v2 tag, whose length has seven bits a byte."""
    if data[:3] != b"ID3" or len(data) < ID3_HEADER:
        return 0
    length = 0
    for byte in data[6:10]:
        length = length << 7 | byte & 0x7F
    return ID3_HEADER + length


def _frames(data: bytes, start: int) -> Iterator[tuple[int, float]]:
    """The end of each whole frame, and its seconds, until something else comes."""
    while start + 4 <= len(data) and data[start] == 0xFF and data[start + 1] >> 5 == 0b111:
        version, layer = data[start + 1] >> 3 & 3, data[start + 1] >> 1 & 3
        kbit, rate, padding = data[start + 2] >> 4, data[start + 2] >> 2 & 3, data[start + 2] >> 1 & 1
        if version not in VERSIONS or layer != LAYER_III or kbit in (0, 15) or rate == 3:
            return
        rates, kbits, samples = VERSIONS[version]
        start += samples // 8 * kbits[kbit - 1] * 1000 // rates[rate] + padding
        if start > len(data):
            return
        yield start, samples / rates[rate]
