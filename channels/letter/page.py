"""Page: sets letters on the A4 sheet and prints them as one PDF.

The PDF is made to keep and to be read aloud (PDF/A-2, ISO 19005-2; PDF/UA-1, ISO 14289-1). The texts come in
a small layout language, which `parse` reads; the sheet itself is templates/letters/sheet.typ. It is handed
the texts as data, so nothing in them is markup.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import segno

from channels.letter.bundle import Cover
from channels.letter.fonts import showable
from channels.letter.press import typeset

SECTIONS = ("title", "date", "body", "table", "deadline", "pin", "steps", "closing", "code")
PIN_LINE = "{pin}"
# A page costs 2 MB of memory until the whole file is written.
MOST_LETTERS = 500
# What the window of the envelope holds in the smallest type that the sheet goes down to.
ADDRESS_LINES = 8
ADDRESS_CHARACTERS = 400
# In full-size type, the widest letters side by side leave neither the window nor the column.
LONGEST_IN_WINDOW = 22
LONGEST_IN_TEXT = 40
# What keeps its left-to-right order inside an Arabic line and is never broken at its end. A key is what the
# eye must find again: the code to dial, a day. A value is a telephone number, a decimal, a reference.
KEY = r"\*[0-9*]+#|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"
VALUE = r"[A-Z0-9]+(?:-[A-Z0-9]+)+|\+?[0-9]+(?:[.,:/ \u00a0\u202f-][0-9]+)*"
RUNS = re.compile(rf"(?<![A-Za-zÀ-ÿ0-9])(?:(?P<key>{KEY})|(?P<value>(?>{VALUE})))(?![A-Za-zÀ-ÿ0-9])")

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Letter:
    """One household's letter. `token` is the message's opaque name; `number` has nine digits.

    `address` is the lines for the window, name first. `documents` holds a text for each locale of `order`.
    `pin` is printed where it is given, and nowhere else kept.
    """

    number: str
    token: str
    address: tuple[str, ...] = field(repr=False)
    order: tuple[str, ...]
    documents: Mapping[str, str] = field(repr=False)
    service_code: str
    pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Document:
    """A notice's text, by section. `body` and `steps` are paragraphs and lines, `table` rows of cells.

    `pin` is the text before and after the PIN. Without a title it is a note at the foot of the sheet.
    """

    title: str = ""
    date: str = ""
    body: tuple[str, ...] = ()
    table: Rows = ()
    deadline: str = ""
    pin: tuple[str, str] | None = None
    steps: tuple[str, ...] = ()
    closing: str = ""
    code: str = ""


class LayoutError(ValueError):
    """A text that does not follow the layout language. Names the line, never quotes it."""


class Unprintable(ValueError):
    """A letter that must not be printed as it is. `number` says which one, `reason` why."""

    def __init__(self, number: str, reason: str) -> None:
        super().__init__(f"letter {number}: {reason}")
        self.number = number
        self.reason = reason


def print_letters(letters: Sequence[Letter], out: Path, printed_on: date, cover: Cover | None = None) -> list[int]:
    """Write one PDF, readable by its owner alone, and return how many pages each letter took.

    A `cover` is one page more, on top, and not counted. The same letters on the same day give the same bytes.
    Raises `Unprintable` for the first letter that has no address for its window, or texts that cannot be laid out,
    and `ValueError` for no letter, or more than `MOST_LETTERS`; then nothing is written.
    """
    if not 0 < len(letters) <= MOST_LETTERS:
        raise ValueError(f"{len(letters)} letters: a file holds 1 to {MOST_LETTERS}")
    data: dict[str, Any] = {"letters": [_laid_out(letter) for letter in letters]}
    if cover:
        data["cover"] = asdict(cover)
    pdf, pages = typeset(data, printed_on)
    out.unlink(missing_ok=True)  # what stood there may be open to others
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pdf)
    return pages


def check(letter: Letter) -> None:
    """Raises `Unprintable` where `print_letters` would, and prints nothing."""
    _laid_out(letter)


def address_of(letter: Letter) -> tuple[str, ...]:
    """The lines as they stand in the window. Raises `Unprintable` rather than leave a window empty."""
    lines = tuple(line for line in (_one_line(line, LONGEST_IN_WINDOW) for line in letter.address) if line)
    if not lines:
        raise Unprintable(letter.number, "its address is empty")
    if len(lines) > ADDRESS_LINES or sum(map(len, lines)) > ADDRESS_CHARACTERS:
        limit = f"{ADDRESS_LINES} lines or {ADDRESS_CHARACTERS} characters"
        raise Unprintable(letter.number, f"its address is longer than {limit}")
    return lines


def parse(text: str) -> Document:
    """Read the layout language: sections that begin with a line `== name`.

    `title`, `date`, `deadline`, `closing`, `code`: one line; `body`: paragraphs, a blank line between them;
    `table`: a row a line, the header first, cells parted by ` | `; `steps`: a step a line; `pin`: the panel's
    text, with the line `{pin}` where the PIN stands. A value put into a text must be a single line, as with
    any language of lines. Raises `LayoutError`.
    """
    found = _sections(showable(text))
    return Document(
        title=_one_line(found.get("title", "")),
        date=_one_line(found.get("date", "")),
        body=tuple(filter(None, map(_one_line, re.split(r"\n[ ]*\n", found.get("body", ""))))),
        table=_rows(found.get("table", "")),
        deadline=_one_line(found.get("deadline", "")),
        pin=_panel(found["pin"]) if "pin" in found else None,
        steps=tuple(_lines(found.get("steps", ""))),
        closing=_one_line(found.get("closing", "")),
        code=_one_line(found.get("code", "")),
    )


def _sections(text: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    lines: list[str] | None = None
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("=="):
            name = line[2:].strip()
            if name not in SECTIONS:
                raise LayoutError(f"line {number}: no such section, only {', '.join(SECTIONS)}")
            if name in found:
                raise LayoutError(f"line {number}: section {name} stands twice")
            lines = found[name] = []
        elif lines is not None:
            lines.append(line)
        elif line.strip():
            raise LayoutError(f"line {number}: text before the first section")
    return {name: "\n".join(lines) for name, lines in found.items()}


def _rows(text: str) -> Rows:
    rows = tuple(tuple(cell.strip() for cell in line.split(" | ")) for line in _lines(text))
    if len({len(row) for row in rows}) > 1:
        raise LayoutError("section table: its rows have not all the same number of cells")
    return rows


def _panel(text: str) -> tuple[str, str]:
    lines = list(_lines(text))
    if lines.count(PIN_LINE) != 1:
        raise LayoutError(f"section pin: it needs the line {PIN_LINE}, once")
    place = lines.index(PIN_LINE)
    return " ".join(lines[:place]), " ".join(lines[place + 1 :])


def _lines(text: str) -> Iterator[str]:
    return filter(None, map(_one_line, text.split("\n")))


def _one_line(text: str, longest: int = LONGEST_IN_TEXT) -> str:
    # Not str.split(): it would also break the no-break spaces that French wants before a colon.
    line = re.sub(r"[ \n]+", " ", showable(text)).strip()
    return re.sub(rf"(\S{{{longest}}})(?=\S)", r"\1 ", line)


def _laid_out(letter: Letter) -> dict[str, Any]:
    """The letter as the sheet wants it."""
    if not re.fullmatch("[0-9]{9}", letter.number):
        raise Unprintable(letter.number, "its number has not nine digits")
    if letter.pin is not None and not re.fullmatch("[0-9]{6}", letter.pin):
        raise Unprintable(letter.number, "its PIN has not six digits")
    documents = {locale: _document(letter, locale) for locale in letter.order}
    panels = {locale: read.pin for locale, read in documents.items() if read.pin}
    tables = {locale: read.table for locale, read in documents.items() if read.table}
    if letter.pin and not panels:
        raise Unprintable(letter.number, "it has a PIN and no text has a panel for it")
    if not any(read.title for read in documents.values()):
        raise Unprintable(letter.number, "none of its texts has a title")
    return {
        "number": letter.number,
        "shown": " ".join(re.findall("...", letter.number)),
        "service_code": letter.service_code,
        "qr": _qr(letter.number),
        "address": [{"rtl": _is_rtl(line), "spans": _spans(line)} for line in address_of(letter)],
        "table": _table(letter.number, tables),
        "pin": letter.pin,
        "panels": [
            {**_language(locale), "before": _spans(before), "after": _spans(after)}
            for locale, (before, after) in panels.items()
        ],
        "parts": [_part(locale, read) for locale, read in documents.items() if read.title],
        "notes": [_part(locale, read) for locale, read in documents.items() if not read.title],
    }


def _qr(number: str) -> str:
    # The mask is given: trying all eight costs as much as the rest of the page, and no reader minds which.
    code = segno.make(number, error="q", mask=3, micro=False, boost_error=False)
    return code.svg_inline(border=0, omitsize=True)


def _document(letter: Letter, locale: str) -> Document:
    if locale not in letter.documents:
        raise Unprintable(letter.number, f"it has no text in {locale}")
    try:
        return parse(letter.documents[locale])
    except LayoutError as wrong:
        raise Unprintable(letter.number, f"its text in {locale}: {wrong}") from None


def _table(number: str, tables: Mapping[str, Rows]) -> list[list[list[dict[str, Any]]]]:
    """The tables of all languages as one: in each cell what it says, once where they agree."""
    if len({(len(rows), len(rows[0])) for rows in tables.values()}) > 1:
        raise Unprintable(number, "its tables have not the same rows and columns in each language")
    return [
        [_cell(tuple(tables), cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*tables.values(), strict=True)
    ]


def _cell(locales: tuple[str, ...], texts: tuple[str, ...]) -> list[dict[str, Any]]:
    first_to_say = [texts.index(text) for text in texts]
    return [
        {**_language(locales[place]), "spans": _spans(text)}
        for place, text in enumerate(texts)
        if first_to_say[place] == place
    ]


def _part(locale: str, read: Document) -> dict[str, Any]:
    return {
        **_language(locale),
        "title": _spans(read.title),
        "date": _spans(read.date),
        "body": [_spans(paragraph) for paragraph in read.body],
        "deadline": _spans(read.deadline),
        "steps": [_spans(step) for step in read.steps],
        "closing": _spans(read.closing),
        "code": _spans(read.code),
    }


def _language(locale: str) -> dict[str, Any]:
    language = locale.partition("-")[0]
    return {"language": language, "rtl": language == "ar"}


def _spans(text: str) -> list[tuple[str, str]]:
    """`text` in runs: ("text", ...) as it flows, ("value", ...) and ("key", ...) from left to right."""
    spans, end = [], 0
    for run in RUNS.finditer(text):
        spans += [("text", text[end : run.start()]), (run.lastgroup or "", run[0])]
        end = run.end()
    return [span for span in [*spans, ("text", text[end:])] if span[1]]


def _is_rtl(line: str) -> bool:
    """The direction of a line's first letter (Unicode Standard Annex 9, rules P2 and P3)."""
    strong = (way for way in map(unicodedata.bidirectional, line) if way in {"L", "R", "AL"})
    return next(strong, "L") != "L"
