"""Audio: a file is what its header says, or it is refused with a reason."""

from __future__ import annotations

import io
import wave

import pytest

from gateway.audio import NotASound, sound

# MPEG-2 layer III, 32 kbit/s, 16 kHz: 144 bytes and 36 ms a frame. MPEG-1, 128 kbit/s, 44.1 kHz: 417 bytes.
LOW = b"\xff\xf3\x48\xc0" + bytes(140)
HIGH = b"\xff\xfb\x90\xc0" + bytes(413)
ID3 = b"ID3\x03\x00\x00\x00\x00\x01\x02" + bytes(130)


def wav(seconds: float, rate: int = 8000) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(b"\x10\x20" * int(seconds * rate))
    return made.getvalue()


@pytest.fixture
def file(tmp_path):
    def write(name: str, data: bytes):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name
    return write


@pytest.mark.parametrize(("name", "data", "seconds"), [
    ("a.wav", wav(1.5), 1.5), ("a.wav", wav(60), 60), ("a.mp3", LOW * 50, 1.8), ("a.mp3", HIGH * 100, 2.61),
    ("a.mp3", ID3 + LOW * 50 + b"TAG" + bytes(125), 1.8)])
def test_a_sound_lasts_as_long_as_its_frames(file, name, data, seconds):
    read = sound(file(name, data))
    assert (read.seconds, read.size, len(read.sha256)) == (seconds, len(data), 64)


@pytest.mark.parametrize(("name", "data", "reason"), [
    ("a.mp3", wav(1), "no MP3"), ("a.wav", LOW * 50, "no WAV"), ("a.wav", b"", "no WAV"), ("a.mp3", b"", "no MP3"),
    ("a.mp3", b"ID3", "no MP3"), ("a.mp3", b"\xff\xfb\xf0\xc0" * 99, "no MP3"),
    ("a.mp3", LOW * 9 + LOW[:70], "broken off"),
    ("a.mp3", LOW * 9 + b"<html>", "broken off"), ("a.wav", wav(1)[:-100], "ends before"),
    ("a.wav", wav(0), "no sound"), ("a.wav", wav(60.5), "is the most"), ("a.mp3", LOW * 1700, "is the most"),
    ("a.ogg", b"OggS", "neither"),
    ("a.wav", wav(1).replace(b"\x01\x00\x01\x00", b"\x07\x00\x01\x00", 1), "no WAV of PCM")])
def test_what_cannot_be_played_is_refused_with_a_reason(file, name, data, reason):
    with pytest.raises(NotASound, match=reason):
        sound(file(name, data))


def test_a_huge_file_is_not_read(file):
    huge = file("a.wav", wav(1))
    with huge.open("r+b") as grown:
        grown.truncate(17 * 1024 * 1024)
    with pytest.raises(NotASound, match="larger than 16 MB"):
        sound(huge)
