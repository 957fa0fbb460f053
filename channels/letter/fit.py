"""Fit: in which size of type a text fills no more than its page.

To measure a page costs as much as to print it. So its size is guessed from its text, and made smaller where the printed
page was seen to run over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from channels.letter.layout import Document
from channels.letter.scale import WIDTH, Place, places

Size = tuple[float, float]

# Points for Arabic and for other scripts. The first text of a sheet asks for the size that most eyes read.
SIZES: tuple[Size, ...] = ((13.5, 12), (13, 11.5), (12.5, 11), (12, 10.5), (11.5, 10), (11, 9.5), (10.5, 9), (10, 8.5))
# Where all texts share a page: that of the first, and of the others.
SHARED: tuple[tuple[Size, Size], ...] = (
    ((13.5, 12), (13, 11.5)), ((13.5, 12), (12, 10)), ((12.5, 10.5), (11.5, 9.5)))

# All in points. The page is as wide as its text; its room lies beneath the address, above the line of who signs.
PAGE, ROOM = 493.0, 475.0
NOTE, NOTE_SIZES = 16.0, ((12.5, 11), (11.5, 9.5))
PIN, REST, REST_ARABIC = 72.0, 58.0, 64.0
# A letter's usual share of the size of its type.
ARABIC, LATIN, TIFINAGH = 0.36, 0.52, 0.53
# What was guessed of the letters of all notices was more than so much too low in one of seventy pages.
DOUBT = 8.0


@dataclass(frozen=True)
class Fit:
    """The sizes of a letter: of its front and of its back, or of the texts that share a page."""

    front: int = 0
    back: int | None = None

    @property
    def sizes(self) -> tuple[Size, Size]:
        return SHARED[self.front] if self.back is None else (SIZES[self.front], SIZES[self.back])

    def smaller(self, pages: Sequence[int]) -> Fit:
        """Where a side took more than a page: the next size there, if there is one."""
        if self.back is None:
            return Fit(min(self.front + (pages[0] > 1), len(SHARED) - 1))
        front, back = (min(place + (count > 1), len(SIZES) - 1)
                       for place, count in zip((self.front, self.back), pages, strict=True))
        return Fit(front, back)


def guess(text: Document, notes: Iterable[Document], *, rtl: bool, pin: bool, first: bool) -> int:
    """The place among `SIZES` of the first in which this text is thought to fit upon a page beside these notes.

    The `first` stands on the front, and one step more with it: the way to the slip.
    """
    note_size = NOTE_SIZES[not first][1]
    notes_height = sum(NOTE + 1.28 * note_size * _lines(note.body, note_size * TIFINAGH) for note in notes)
    room = ROOM - notes_height - pin * PIN - DOUBT
    limits = places(text.scale).limits if text.scale else ()
    return next((place for place, size in enumerate(SIZES) if _height(text, limits, size, rtl, first) <= room),
                len(SIZES) - 1)


def _height(text: Document, limits: Sequence[Place], size: Size, rtl: bool, first: bool) -> float:
    """What a text with a picture and a table takes, after the notices that were measured in all these sizes."""
    point, letter = (size[0], size[0] * ARABIC) if rtl else (size[1], size[1] * LATIN)
    texts = (*text.body, *text.reasons, text.deadline, *text.steps)
    lines = first + _lines(texts, letter) + 1.2 * _lines([text.title], letter)
    named = max((_lines([mark.name for mark in limit.marks], 0.92 * letter, PAGE * limit.width / WIDTH)
                 for limit in limits), default=0)
    pieces = len(text.reasons + text.steps)
    return (REST_ARABIC if rtl else REST) + point * (1.02 * lines + 1.31 * len(text.body) + 0.41 * pieces
                           + 1.53 * len(text.table) + 1.18 * named + 0.44)


def _lines(texts: Iterable[str], letter: float, width: float = PAGE) -> int:
    return sum(_wrapped(text.split(" "), width / letter) for text in texts if text)


def _wrapped(words: Sequence[str], room: float) -> int:
    lines, filled = 1, 0
    for word in words:
        if filled and filled + len(word) > room:
            lines, filled = lines + 1, 0
        filled += len(word) + 1
    return lines
