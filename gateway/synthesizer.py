"""Synthesizer: speech made on this machine, so that a call can be heard before a speaker or a provider is there.

eSpeak NG, through its C library (its `speak_lib.h`), as the package `espeakng-loader` brings it. It speaks Arabic and
French, and no Amazigh.
"""

from __future__ import annotations

import ctypes
import io
import wave
from typing import Any

VOICES = {"ar-MA": "ar", "fr-MA": "fr"}
# Slower than its own 175 words a minute: this is heard over a telephone.
WORDS_A_MINUTE = 140

# From speak_lib.h: espeak_AUDIO_OUTPUT, espeakINITIALIZE_, espeak_PARAMETER, POS_, espeakCHARS_, EE_.
SYNCHRONOUS = 2
DONT_EXIT = 0x8000
RATE = 1
POS_CHARACTER = 1
CHARS_UTF8 = 1
OK = 0

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class NoSynthesizer(Exception):
    """It is not installed, or does not start. The message says what to do."""


class Synthesizer:
    """One a process, for one thread: the library keeps its state in itself. Raises `NoSynthesizer`."""

    def __init__(self) -> None:
        self._library, data = _loaded()
        self._rate = self._library.espeak_Initialize(SYNCHRONOUS, 0, data.encode(), DONT_EXIT)
        if self._rate <= 0:
            raise NoSynthesizer("the synthesizer does not find its data; install espeakng-loader anew")
        self._library.espeak_SetParameter(RATE, WORDS_A_MINUTE, 0)

    def wav(self, text: str, slot: str) -> bytes:
        """The text, spoken: 16 bits, one channel. Raises `NoSynthesizer` for a slot that it has no voice for."""
        if slot not in VOICES:
            raise NoSynthesizer(f"no synthesizer speaks {slot}; it needs a speaker")
        samples = bytearray()

        def heard(wave_: Any, count: int, _events: object) -> int:
            if wave_ and count:
                samples.extend(ctypes.string_at(wave_, count * 2))
            return 0

        # The library keeps the pointer alone: this name keeps the function itself until the speech is made.
        callback = Callback(heard)
        self._library.espeak_SetSynthCallback(callback)
        written = text.encode() + b"\0"
        if (self._library.espeak_SetVoiceByName(VOICES[slot].encode()) != OK
                or self._library.espeak_Synth(written, ctypes.c_size_t(len(written)), 0, POS_CHARACTER, 0, CHARS_UTF8,
                                              None, None) != OK):
            raise NoSynthesizer(f"the synthesizer failed in {slot}")
        return self._packed(bytes(samples))

    def _packed(self, samples: bytes) -> bytes:
        packed = io.BytesIO()
        with wave.open(packed, "wb") as written:
            written.setnchannels(1)
            written.setsampwidth(2)
            written.setframerate(self._rate)
            written.writeframes(samples)
        return packed.getvalue()


def _loaded() -> tuple[ctypes.CDLL, str]:
    try:
        import espeakng_loader
    except ImportError:
        raise NoSynthesizer("the synthesizer is not installed: pip install 'mouachir[embedded]'") from None
    return ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path()
