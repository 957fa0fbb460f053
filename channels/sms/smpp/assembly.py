"""Assembly: the parts of a text that somebody sent, held until it is whole and kept.

No part is acknowledged before its text is durable, for what is acknowledged the SMSC forgets, and what is held here
dies with the process. But an SMSC may hand over nothing more until it has heard an answer. So a part that has waited
`ANSWER_S` is answered "not now" and held all the same: the SMSC goes on to the next part, the text becomes whole, and
the first part is told yes when it comes again. A text of one part is one that is whole at once.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

from channels.sms.smpp.delivery import Delivery
from channels.sms.smpp.encoding import MOST_PARTS, Place, decode, placed

SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F

ANSWER_S = 3.0
# As long a missing part is waited for, and one that was told to come again may do so.
KEEP_S = 3600.0
# As long after our yes the same on a new line is a repetition. Later, somebody wrote the same again.
REPEAT_S = 120.0
MOST_OPEN = 1000
MOST_DONE = 10_000
# Stands where a part never came.
GAP = " […] "

Key = tuple[str, str, int, str]


@dataclass
class Held:
    """A text of which there are parts. `name` is its own, the same however often it must be told.

    `yes` are the parts that were acknowledged once it was durable, each with the line on which and the time.
    """

    key: Key = field(repr=False)
    total: int
    until: float
    name: str = field(default_factory=lambda: uuid4().hex)
    parts: dict[int, Delivery] = field(default_factory=dict)
    unanswered: list[tuple[float, int, Delivery]] = field(default_factory=list)
    yes: dict[int, tuple[int, float]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return len(self.parts) == self.total

    def text(self) -> str:
        """What there is of it, in order. Parts are joined before they are read: a letter may stand across two."""
        text, run, coding = "", b"", 0
        for number in range(1, self.total + 1):
            part = self.parts.get(number)
            if part is None or part.data_coding != coding:
                text, run = text + decode(run, coding), b""
            if part is not None:
                run, coding = run + placed(part.octets, part.esm_class)[1], part.data_coding
            elif not text.endswith(GAP):
                text += GAP
        return text + decode(run, coding)


class Assembly:
    """The texts in hand, and those lately done. Not for several threads."""

    def __init__(self) -> None:
        self._open: dict[Key, Held] = {}
        self._done: OrderedDict[Key, Held] = OrderedDict()

    def hold(self, part: Delivery, now: float) -> Held | None:
        """The text that the part is of, with the part; None where there is no room for one more.

        A text that is done already comes back without parts: an SMSC repeats what it was told to, and what it may have
        heard no yes to because the line broke. On the line where it heard yes, the same once more is a second text.
        """
        key, number, total = _named(part)
        done = self._done.get(key)
        if done and _repeats(done, number, part.line, now):
            done.unanswered.append((now, number, part))
            return done
        held = self._open.get(key)
        if held is None and len(self._open) >= MOST_OPEN:
            return None
        held = self._open.setdefault(key, held or Held(key, total, now + KEEP_S))
        held.parts[number] = part
        held.unanswered.append((now, number, part))
        return held

    def kept(self, held: Held, now: float) -> list[Delivery]:
        """The text is durable: the parts that may be acknowledged."""
        self._open.pop(held.key, None)
        self._done.pop(held.key, None)
        self._done[held.key] = held
        if len(self._done) > MOST_DONE:
            self._done.popitem(last=False)
        held.yes |= {number: (part.line, now) for _, number, part in held.unanswered}
        held.parts, held.until = {}, now + KEEP_S
        return _taken(held)

    def refused(self, held: Held, now: float) -> list[Delivery]:
        """The text could not be kept: the parts that must come again. Those in hand stay, in case one does not."""
        held.until = max(held.until, now + ANSWER_S)
        return _taken(held)

    def tired(self, now: float) -> Iterator[Delivery]:
        """The parts whose answer cannot wait for the others. They stay held."""
        for held in self._open.values():
            late = [part for since, _, part in held.unanswered if since + ANSWER_S <= now]
            held.unanswered = held.unanswered[len(late):]
            yield from late

    def overdue(self, now: float) -> list[Held]:
        """The texts of which a part never came: told with a gap, they are better than not told."""
        return [held for held in self._open.values() if held.until <= now]

    @property
    def waiting(self) -> bool:
        """Whether time alone may bring something to do."""
        return bool(self._open)


def _repeats(done: Held, number: int, line: int, now: float) -> bool:
    if number not in done.yes:
        return now < done.until
    told_on, told_at = done.yes[number]
    return line != told_on and now < told_at + REPEAT_S


def _taken(held: Held) -> list[Delivery]:
    parts, held.unanswered = [part for _, _, part in held.unanswered], []
    return parts


def _named(part: Delivery) -> tuple[Key, int, int]:
    """What tells the part's text from every other, and its place there."""
    place = placed(part.octets, part.esm_class)[0] or _by_options(part)
    ends = part.source.digits, part.destination.digits
    if place is None or place.total == 1:
        return (*ends, 0, hashlib.sha256(part.octets).hexdigest()), 1, 1
    return (*ends, place.bits, f"{place.reference}/{place.total}"), place.number, place.total


def _by_options(part: Delivery) -> Place | None:
    """SMPP 3.4 sections 5.3.2.22 to 5.3.2.24."""
    reference, total, number = (
        int.from_bytes(part.options.get(tag, b"")[:2], "big") for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER))
    return Place(reference, total, number) if 1 <= number <= total <= MOST_PARTS else None
