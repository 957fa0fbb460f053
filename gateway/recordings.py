"""Recordings: the files of a speaker, found for what is said in a call, and what of them is missing, stale or bad.

A slot has a folder, `recordings/fr-MA`. What a synthesizer has made lies apart, in `recordings/synthesized/fr-MA`: it
is for trying the service out, is heard only where the setting says so, and never counts as recorded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from channels.base import Piece
from gateway.audio import NotASound, Sound, sound
from gateway.dialogue.states import Dialogue
from gateway.spoken import Pause, Spoken
from gateway.studio import SLOTS, Take, needed, said, takes
from gateway.words import Words

SYNTHESIZED = "synthesized"
ENDINGS = (".mp3", ".wav")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]*-[0-9a-f]{8}\.(?:mp3|wav)")
ENDS_A_SENTENCE = (".", "!", "?", "؟", ":")


@dataclass(frozen=True)
class Bad:
    """A file that cannot be played, and why."""

    file: str
    reason: str


class Recordings:
    """All slots. `synthesized` lets a synthesizer's files stand in for a speaker's that are missing.

    Files may come and go while a process runs: each is looked for when it is said, and read once. Safe to use from
    several threads.
    """

    def __init__(self, folder: Path, words: Words, dialogue: Dialogue, public_url: str = "", *,
                 synthesized: bool = False) -> None:
        self._folder = folder
        self._words = words
        self._dialogue = dialogue
        self._public_url = public_url
        self._synthesized = synthesized
        self._needed: dict[str, Mapping[str, Take]] = {}

    def pieces(self, spoken: Iterable[Spoken], slot: str) -> tuple[Piece, ...]:
        """What a provider plays, and says by its own speech where nothing is recorded.

        A number or a date is recorded in all its parts or said whole: two voices in one are not understood.
        """
        locale = SLOTS[slot].locale
        pieces: list[Piece] = []
        unrecorded = ""
        for one in spoken:
            recorded = self._recorded(one, slot)
            if recorded and unrecorded:
                pieces.append(Piece(unrecorded, locale))
                unrecorded = ""
            if recorded:
                pieces += recorded
            else:
                unrecorded = _joined(unrecorded, one, said(self._words, slot, one))
        return (*pieces, Piece(unrecorded, locale)) if unrecorded else tuple(pieces)

    def speakable(self, slot: str) -> bool:
        """Whether a call may be offered in this slot: no provider's speech knows Amazigh, so nothing may be missing."""
        return SLOTS[slot].speech or not self.missing(slot)

    def needed(self, slot: str) -> Mapping[str, Take]:
        """Everything that can be heard in this slot, by the stem of its file."""
        if slot not in self._needed:
            self._needed[slot] = needed(self._words, self._dialogue, slot)
        return self._needed[slot]

    def missing(self, slot: str) -> tuple[Take, ...]:
        """What no speaker has recorded, or not so that it can be played."""
        there = {file.stem for file, read in self._files(self._folder / slot) if isinstance(read, Sound)}
        return tuple(take for stem, take in self.needed(slot).items() if stem not in there)

    def manifest(self, slot: str) -> dict[str, Any]:
        """What is there and what is not, as `json` can write it."""
        made = {SYNTHESIZED: self._folder / SYNTHESIZED / slot, "recorded": self._folder / slot}
        read = {how: list(self._files(folder)) for how, folder in made.items()}
        whole = [(file, found) for files in read.values() for file, found in files]
        missing = self.missing(slot)
        return {
            "slot": slot,
            "locale": SLOTS[slot].locale,
            "speakable": self.speakable(slot),
            "recorded": self._listed(slot, read["recorded"]),
            SYNTHESIZED: self._listed(slot, read[SYNTHESIZED]),
            "missing": [{"file": take.stem, "text": take.text} for take in missing],
            "stale": [self._within(file) for file, found in whole
                      if isinstance(found, Sound) and file.stem not in self.needed(slot)],
            "bad": [{"file": self._within(file), "reason": found.reason} for file, found in whole
                    if isinstance(found, Bad)],
        }

    def file(self, slot: str, name: str) -> tuple[Path, Sound] | None:
        """A recording by the last part of its address. None for what is not there, or is no recording's name.

        One whose words have changed is still found: a call that began before may be about to play it.
        """
        if slot not in SLOTS or not NAME.fullmatch(name):
            return None
        for folder in self._folders(slot):
            found = _read(folder / name)
            if isinstance(found, Sound):
                return folder / name, found
        return None

    def synthesized(self, slot: str) -> Path:
        """The folder of what a synthesizer has made."""
        return self._folder / SYNTHESIZED / slot

    def _recorded(self, spoken: Spoken, slot: str) -> list[Piece]:
        """One piece a part; none where one part is missing."""
        pieces = []
        for take in takes(self._words, slot, spoken):
            found = next(filter(None, (self.file(slot, take.stem + ending) for ending in ENDINGS)), None)
            if found is None:
                return []
            pieces.append(Piece(take.text, SLOTS[slot].locale, self._address(slot, *found)))
        return pieces

    def _address(self, slot: str, file: Path, found: Sound) -> str:
        """With a digest of the sound: a provider keeps what it has fetched, and a phrase may be recorded again."""
        return f"{self._public_url}/voice/recordings/{slot}/{file.name}?v={found.sha256[:8]}"

    def _folders(self, slot: str) -> tuple[Path, ...]:
        return (self._folder / slot, self.synthesized(slot)) if self._synthesized else (self._folder / slot,)

    def _files(self, folder: Path) -> Iterator[tuple[Path, Sound | Bad]]:
        for file in sorted(folder.iterdir()) if folder.is_dir() else ():
            found = _read(file)
            if found:
                yield file, found

    def _listed(self, slot: str, files: Iterable[tuple[Path, Sound | Bad]]) -> list[dict[str, Any]]:
        return [{"file": file.name, "text": self.needed(slot)[file.stem].text, "sha256": found.sha256,
                 "seconds": found.seconds, "bytes": found.size}
                for file, found in files if isinstance(found, Sound) and file.stem in self.needed(slot)]

    def _within(self, file: Path) -> str:
        return file.relative_to(self._folder).as_posix()


def _joined(before: str, spoken: Spoken, text: str) -> str:
    """A speech makes a pause at a point, and runs on where there is none."""
    if isinstance(spoken, Pause):
        return f"{before}." if before and not before.endswith(ENDS_A_SENTENCE) else before
    return f"{before} {text}".strip()


def _read(file: Path) -> Sound | Bad | None:
    """A file that is there, as far as it can be played."""
    try:
        stands = file.stat()
    except OSError:
        return None
    return _read_once(file, stands.st_mtime_ns, stands.st_size)


@lru_cache(maxsize=4096)
def _read_once(file: Path, _changed: int, _size: int) -> Sound | Bad:
    if not NAME.fullmatch(file.name):
        return Bad(file.name, "no name of a recording: it is that of the script, with the ending .mp3 or .wav")
    try:
        return sound(file)
    except NotASound as error:
        return Bad(file.name, str(error))
    except OSError as error:
        return Bad(file.name, f"cannot be read ({error.strerror})")
