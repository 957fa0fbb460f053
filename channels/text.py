"""Text: what a text costs on the air, in the network's own units, and how it is made to fit.

Alphabets and lengths: 3GPP TS 23.038, sections 6.1.2.3 (USSD), 6.2.1 and 6.2.1.1 (the 7-bit alphabet and its
extension); concatenated parts: 3GPP TS 23.040, section 9.2.3.24.1. A unit is a septet or a UCS-2 code unit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import takewhile
from typing import Literal

Encoding = Literal["gsm7", "ucs2"]

# In the order of the standard's table: a letter's place is its septet.
ALPHABET = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
ESCAPE = "\x1b"
# Each is sent as the escape and this septet.
EXTENSION = {
    "\f": 0x0A, "^": 0x14, "{": 0x28, "}": 0x29, "\\": 0x2F, "[": 0x3C, "~": 0x3D, "]": 0x3E, "|": 0x40, "€": 0x65,
}
# The escape itself is left out: in a text it would change the letter after it.
GSM7 = frozenset(ALPHABET) - {ESCAPE} | EXTENSION.keys()

SINGLE = {"gsm7": 160, "ucs2": 70}
# What the header of a part leaves of it, with a reference of 8 bits and of 16.
CONCATENATED: Mapping[Encoding, int] = {"gsm7": 153, "ucs2": 67}
CONCATENATED_16: Mapping[Encoding, int] = {"gsm7": 152, "ucs2": 66}

# Written as the ear expects; every other accented letter goes to its base by decomposition or by its name.
FOLDS = {
    "œ": "oe", "Œ": "OE", "ẞ": "SS", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ŋ": "ng", "Ŋ": "Ng", "ĸ": "q", "ı": "i",
    "ɣ": "gh", "Ɣ": "Gh", "ɛ": "a", "Ɛ": "A", "ə": "e", "Ə": "E",
    "’": "'", "‘": "'", "‛": "'", "ʼ": "'", "ʾ": "'", "ʿ": "'", "´": "'", "`": "'", "‚": ",",
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‹": "'", "›": "'",
    "‐": "-", "‑": "-", "‒": "-", "–": "-", "—": "-", "―": "-", "−": "-", "•": "-", "·": ".",
    "×": "x", "÷": "/", "⁄": "/", "°": "o", "º": "o", "ª": "a",
}
PLAIN_LETTER = re.compile(r"LATIN (CAPITAL|SMALL) LETTER (?:DOTLESS )?([A-Z]{1,2})(?: WITH .+)?")
TASHKEEL = frozenset(map(chr, (*range(0x064B, 0x0653), 0x0670)))
# Two of them are one flag.
FLAG_LETTERS = frozenset(map(chr, range(0x1F1E6, 0x1F200)))
TATWEEL = "\u0640"
DIGITS = {start + value: str(value) for start in (0x0660, 0x06F0) for value in range(10)}


class DoesNotFit(ValueError):
    """One option, or one word, is longer than a whole screen. The message holds the lengths and no text."""


@dataclass(frozen=True)
class Budget:
    """How many units one screen takes, in either alphabet."""

    gsm7: int = 160
    ucs2: int = 70


# The standard's 160 octets hold 182 septets or 80 code units; operators' gateways take less.
USSD = Budget(160, 70)


@dataclass(frozen=True)
class Folded:
    """A text made cheap, and every substitution that was made for it, each once, in order."""

    text: str = field(repr=False)
    replaced: tuple[tuple[str, str], ...] = field(repr=False)


def encoding(text: str) -> Encoding:
    """The alphabet that the whole text will be sent in: one letter outside GSM-7 takes all of it to UCS-2."""
    return "gsm7" if GSM7.issuperset(text) else "ucs2"


def units(text: str) -> int:
    """Length in septets or in code units, whichever `encoding` says."""
    return _length(text, encoding(text))


def fits(text: str, budget: Budget) -> bool:
    """Whether the text is within the budget of its alphabet."""
    alphabet = encoding(text)
    return _length(text, alphabet) <= (budget.gsm7 if alphabet == "gsm7" else budget.ucs2)


def parts(text: str) -> int:
    """How many SMS the text is charged as."""
    alphabet = encoding(text)
    length = _length(text, alphabet)
    if length <= SINGLE[alphabet]:
        return 1
    if all(map(_alone, set(text))):
        return -(-length // CONCATENATED[alphabet])
    return len(split(text))


def split(text: str, concatenated: Mapping[Encoding, int] = CONCATENATED) -> list[str]:
    """The SMS that the text is sent as. No escape pair, surrogate pair or letter with its marks is parted.

    `concatenated` is the room in each of several, by the header that goes before them.
    """
    alphabet = encoding(text)
    if _length(text, alphabet) <= SINGLE[alphabet]:
        return [text]
    limit = concatenated[alphabet]
    done, part, used = [], "", 0
    for cluster in _clusters(text, limit):
        length = _length(cluster, alphabet)
        if used + length > limit:
            done.append(part)
            part, used = "", 0
        part += cluster
        used += length
    return [*done, part]


def fold(text: str) -> Folded:
    """The text without what costs and says nothing; Latin text moreover in GSM-7, where that can be reached.

    Text with letters of another script is only cleaned: folding its accents would spoil it and save nothing.
    What has no equivalent stays as it is: nothing is dropped or replaced in silence.
    """
    if CHEAP.issuperset(text):
        return Folded(text, ())
    cleaned = _mapped(unicodedata.normalize("NFC", text.replace("\r\n", "\n")), CLEAN)
    cleaned = Folded(unicodedata.normalize("NFC", cleaned.text), cleaned.replaced)
    if not all(GSM7.issuperset(TO_GSM7[ord(char)]) for char in set(cleaned.text)):
        return cleaned
    folded = _mapped(cleaned.text, TO_GSM7)
    return Folded(folded.text, tuple(dict.fromkeys(cleaned.replaced + folded.replaced)))


def digits(typed: str) -> str:
    """What was typed, with 0-9 for Arabic-Indic and Persian digits, and no space, bidi mark or last `#`."""
    kept = (char for char in typed if not char.isspace() and unicodedata.category(char) not in ("Cf", "Cc"))
    return "".join(kept).translate(DIGITS).rstrip("#")


def in_gsm7(text: str) -> str:
    """The text for a screen that shows no other letters; what none of them can stand for is a question mark."""
    return "".join(char if char in GSM7 else "?" for char in fold(text).text)


def pages(
    body: str, options: Sequence[str], foot: Sequence[str], more: str, budget: Budget = USSD, at_once: int = 0
) -> list[str]:
    """A screen as one or more pages, each within the budget of the alphabet that its own text needs.

    No page has more than `at_once` options, where that is given; all but the last have as many as fit.

    Pages break between options and between the body's lines; a line longer than a page breaks between words, and a word
    longer than that where the page ends.
    Each page ends with `foot`; each but the last has `more` before it. Raises `DoesNotFit`.
    """
    at_once = at_once or len(options)
    whole = _screen([body, *options, *foot])
    if len(options) <= at_once and fits(whole, budget):
        return [whole]
    lines = [line.strip() for line in body.splitlines() if line.strip()]
    waiting = [*((line, True) for line in lines), *((option, False) for option in options)]
    done: list[str] = []
    while _choices(waiting) > at_once or not fits(last := _screen([*(item for item, _ in waiting), *foot]), budget):
        if not waiting:
            raise DoesNotFit(f"{units(last)} units below every page")
        page = _page(waiting, [more, *foot], budget, at_once)
        done.append(_screen([*page, more, *foot]))
    return [*done, last]


def _page(waiting: list[tuple[str, bool]], tail: list[str], budget: Budget, at_once: int) -> list[str]:
    """Takes one page's lines from what is waiting; the flag tells a line that may be broken.

    At least one line is left waiting: a page that says `more` must have a page after it.
    """
    page: list[str] = []
    room = _choices(waiting) - at_once
    while len(waiting) > 1 and fits(_screen([*page, waiting[0][0], *tail]), budget):
        if not waiting[0][1] and _choices(waiting) == room:
            return page
        page.append(waiting.pop(0)[0])
    item, breakable = waiting[0]
    alone = [item, *(tail if len(waiting) > 1 else tail[1:])]
    if breakable and not fits(_screen(alone), budget):
        item = " ".join(item.split())
        words = item.split()
        heads = (" ".join(words[:count]) for count in range(1, len(words)))
        fitting = list(takewhile(lambda head: fits(_screen([*page, head, *tail]), budget), heads))
        if not fitting and not page:
            # One word is longer than a page: nobody wrote it to be read, but nobody is hung up on for it.
            heads = (item[:count] for count in range(1, len(item)))
            fitting = list(takewhile(lambda head: fits(_screen([head, *tail]), budget), heads))
        if fitting:
            waiting[0] = (item[len(fitting[-1]):].strip(), True)
            page.append(fitting[-1])
    if not page:
        raise DoesNotFit(f"a line of {units(item)} units with {units(_screen(tail))} units below it")
    return page


def _choices(waiting: list[tuple[str, bool]]) -> int:
    """Options are never broken; lines of the body may be."""
    return sum(not breakable for _, breakable in waiting)


def _screen(lines: Iterable[str]) -> str:
    return "\n".join(line for line in lines if line)


def _length(text: str, alphabet: Encoding) -> int:
    if alphabet == "gsm7":
        return len(text) + sum(map(text.count, EXTENSION))
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _clusters(text: str, limit: int) -> Iterable[str]:
    """Letters with the marks and joiners that belong to them; cut only where one alone is above `limit`."""
    cluster = ""
    for char in text:
        if cluster and not (_joined(cluster, char) and _length(cluster + char, "ucs2") <= limit):
            yield cluster
            cluster = ""
        cluster += char
    if cluster:
        yield cluster


def _joined(cluster: str, char: str) -> bool:
    """Whether the character is drawn with those before it: a mark, a joiner, a colour of skin, half a flag."""
    return (
        unicodedata.category(char) in ("Mn", "Mc", "Me")
        or "\u200d" in (char, cluster[-1])
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or (char in FLAG_LETTERS and cluster in FLAG_LETTERS)
        or (cluster, char) == ("\r", "\n")
    )


class _Table(dict[int, str]):
    """A mapping of letters for `str.translate`, worked out for each letter when it is first met."""

    def __init__(self, mapping: Callable[[str], str]) -> None:
        super().__init__()
        self._mapping = mapping

    def __missing__(self, code: int) -> str:
        self[code] = self._mapping(chr(code))
        return self[code]


def _mapped(text: str, table: _Table) -> Folded:
    """Each letter is looked up once, however often it stands there: most texts have nothing to be replaced."""
    letters = [char for char in set(text) if table[ord(char)] != char]
    if not letters:
        return Folded(text, ())
    return Folded(text.translate(table), tuple((char, table[ord(char)]) for char in sorted(letters, key=text.index)))


@cache
def _alone(char: str) -> bool:
    """Whether it is one unit in either alphabet, and no letter before or after it belongs to it."""
    return (char not in EXTENSION and char <= "\uffff" and char != "\u200d"
            and unicodedata.category(char) not in ("Mn", "Mc", "Me"))


def _clean(char: str) -> str:
    """Spaces and line ends made plain; tashkeel, tatweel, controls, zero-width and bidi marks taken out."""
    if char in "\n\r\x85\u2028\u2029":
        return "\n"
    if "\ufb50" <= char <= "\ufefc" and (letters := unicodedata.normalize("NFKC", char)) != char:
        # Arabic presentation forms are drawings of letters; a handset joins only the letters.
        return "".join(map(_clean, letters))
    category = unicodedata.category(char)
    if category == "Zs" or char == "\t":
        return " "
    if category in ("Cc", "Cf") or char in TASHKEEL or char == TATWEEL:
        return ""
    return char


def _to_gsm7(char: str) -> str:
    if char in GSM7:
        return char
    if char in FOLDS:
        return FOLDS[char]
    if unicodedata.category(char) == "Mn":
        return ""
    decomposed = unicodedata.normalize("NFKD", char)
    if decomposed != char:
        return "".join(map(_to_gsm7, decomposed))
    name = PLAIN_LETTER.fullmatch(unicodedata.name(char, ""))
    if name is None:
        return char
    return name[2] if name[1] == "CAPITAL" else name[2].lower()


CLEAN, TO_GSM7 = _Table(_clean), _Table(_to_gsm7)
# Where there is nothing else in a text it stays as it is.
CHEAP = frozenset(char for char in GSM7 if _clean(char) == char)
