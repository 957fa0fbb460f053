"""The shelf of messages that callers spoke: telephone-quality sound, kept until the gateway takes it away."""

from __future__ import annotations

import io
import math
import secrets
import struct
import wave
from dataclasses import dataclass, field
from threading import Lock

RATE_HZ = 8000
SAMPLE_BYTES = 2
TONE_HZ = 440
LOUDNESS = 8000
# The shelf serves what it holds under the name asked for. There is no MP3 encoder in the sandbox: the type is true.
CONTENT_TYPE = "audio/x-wav"


class NotSound(ValueError):
    """Bytes that are no WAV file of a telephone's quality (mono, 16 bit, 8 kHz), or hold nothing."""


@dataclass(frozen=True)
class Recording:
    """`seconds` is at least one: the providers round up."""

    name: str
    sound: bytes = field(repr=False)
    seconds: int


class Recordings:
    """Recordings by their name. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[str, Recording] = {}

    def keep(self, sound: bytes, most_s: int) -> Recording:
        """Keep a message, and no more of it than may be spoken. Raises `NotSound`."""
        samples = _samples(sound)[: most_s * RATE_HZ * SAMPLE_BYTES]
        seconds = math.ceil(len(samples) / (RATE_HZ * SAMPLE_BYTES))
        recording = Recording(secrets.token_hex(16), _wav(samples), seconds)
        with self._lock:
            self._kept[recording.name] = recording
        return recording

    def find(self, name: str) -> Recording | None:
        return self._kept.get(name)

    def take_away(self, name: str) -> bool:
        """Whether it was there."""
        with self._lock:
            return self._kept.pop(name, None) is not None


def tone(seconds: int) -> bytes:
    """A WAV file of some seconds of a tone, where nobody speaks."""
    wave_of_a_second = (math.sin(2 * math.pi * TONE_HZ * at / RATE_HZ) for at in range(RATE_HZ))
    return _wav(b"".join(struct.pack("<h", round(LOUDNESS * height)) for height in wave_of_a_second) * seconds)


def _wav(samples: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(SAMPLE_BYTES)
        sound.setframerate(RATE_HZ)
        sound.writeframes(samples)
    return file.getvalue()


def _samples(sound: bytes) -> bytes:
    try:
        with wave.open(io.BytesIO(sound)) as file:
            shape = file.getnchannels(), file.getsampwidth(), file.getframerate()
            samples: bytes = file.readframes(file.getnframes())
    except (wave.Error, EOFError):
        raise NotSound("no WAV file") from None
    if shape != (1, SAMPLE_BYTES, RATE_HZ) or not samples:
        raise NotSound("not mono, 16 bit, 8 kHz, or empty")
    return samples
