"""Page: sets letters on the A4 sheet and prints them as one PDF.

The PDF is made to keep and to be read aloud (PDF/A-2, ISO 19005-2; PDF/UA-1, ISO 14289-1). The texts come in the
language of layout.py; the sheet itself is templates/letters/sheet.typ. It is handed the texts as data, so nothing in
them is markup.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import segno

from channels.letter.bundle import Cover
from channels.letter.fit import Fit, guess
from channels.letter.layout import Document, Form, LayoutError, Rows, has_form, one_line, parse
from channels.letter.press import typeset
from channels.letter.scale import LINE, Place, Scale, places

# A letter of two pages costs 5 MB of memory until the whole file is written.
MOST_LETTERS = 200
# What the window of the envelope holds in the smallest type that the sheet goes down to.
ADDRESS_LINES = 8
ADDRESS_CHARACTERS = 400
# In full-size type, the widest letters side by side do not leave the window.
LONGEST_IN_WINDOW = 17
# What keeps its left-to-right order inside an Arabic line and is never broken at its end. A key is what the
# eye must find again: the code to dial, a day. A value is a telephone number, a decimal, a reference.
KEY = r"\*[0-9*]+#|[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}"
VALUE = r"[A-Z0-9]+(?:-[A-Z0-9]+)+|\+?[0-9]+(?:[.,:/ \u00a0\u202f-][0-9]+)*"
RUNS = re.compile(rf"(?<![A-Za-zÀ-ÿ0-9])(?:(?P<key>{KEY})|(?P<value>(?>{VALUE})))(?![A-Za-zÀ-ÿ0-9])")


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


class Unprintable(ValueError):
    """A letter that must not be printed as it is. `number` says which one, `reason` why."""

    def __init__(self, number: str, reason: str) -> None:
        super().__init__(f"letter {number}: {reason}")
        self.number = number
        self.reason = reason


def both_sides(letters: Sequence[Letter]) -> bool:
    """Whether these are printed on both sides: one of them has a slip on its back."""
    return any(has_form(text) for letter in letters for text in letter.documents.values())


def print_letters(letters: Sequence[Letter], out: Path, printed_on: date, cover: Cover | None = None, *,
                  backs: bool | None = None) -> list[int]:
    """Write one PDF, readable by its owner alone, and return how many pages each letter took.

    With `backs` all are printed on both sides, and a letter of one page takes two; by itself where one of them has a
    slip on its back. A `cover` lies on top, and is not counted. The same letters on the same day give the same bytes.
    Raises `Unprintable` for the first letter that has no address for its window, or texts that cannot be laid out,
    and `ValueError` for no letter, or more than `MOST_LETTERS`; then nothing is written.
    """
    if not 0 < len(letters) <= MOST_LETTERS:
        raise ValueError(f"{len(letters)} letters: a file holds 1 to {MOST_LETTERS}")
    backs = both_sides(letters) if backs is None else backs
    data: dict[str, Any] = {"letters": [_laid_out(letter) for letter in letters], "both-sides": backs}
    if cover:
        data["cover"] = asdict(cover)
    pdf, pages = _fitted(data, printed_on)
    out.unlink(missing_ok=True)  # what stood there may be open to others
    with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pdf)
    return [count + count % 2 for count in pages] if backs else pages


def check(letter: Letter) -> None:
    """Raises `Unprintable` where `print_letters` would, and prints nothing."""
    _laid_out(letter)


def address_of(letter: Letter) -> tuple[str, ...]:
    """The lines as they stand in the window. Raises `Unprintable` rather than leave a window empty."""
    lines = tuple(line for line in (one_line(line, LONGEST_IN_WINDOW) for line in letter.address) if line)
    if not lines:
        raise Unprintable(letter.number, "its address is empty")
    if len(lines) > ADDRESS_LINES or sum(map(len, lines)) > ADDRESS_CHARACTERS:
        limit = f"{ADDRESS_LINES} lines or {ADDRESS_CHARACTERS} characters"
        raise Unprintable(letter.number, f"its address is longer than {limit}")
    return lines


def _fitted(data: dict[str, Any], printed_on: date) -> tuple[bytes, list[int]]:
    """Set in ever smaller type where a page was seen to run over. What is too long in the smallest takes one more."""
    fits = [letter["fit"] for letter in data["letters"]]
    while True:
        letters = [{**letter, "fit": fit.sizes} for letter, fit in zip(data["letters"], fits, strict=True)]
        pdf, pages = typeset({**data, "letters": letters}, printed_on)
        smaller = [fit.smaller(sides) for fit, sides in zip(fits, pages, strict=True)]
        if smaller == fits:
            return pdf, [sum(sides) for sides in pages]
        fits = smaller


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
        "notes": [
            {**_part(locale, read), "first": locale == letter.order[0]}
            for locale, read in documents.items() if not read.title
        ],
        "forms": _forms(letter.number, {locale: read.form for locale, read in documents.items() if read.form}),
        "picture": _picture(documents),
        "fit": _fit(letter, documents),
    }


def _fit(letter: Letter, documents: Mapping[str, Document]) -> Fit:
    if not any(read.form for read in documents.values()):
        return Fit()
    titled = [locale for locale, read in documents.items() if read.title]
    notes = [(locale == letter.order[0], read) for locale, read in documents.items() if not read.title]
    front, *back = (
        guess(documents[locale], [note for with_first, note in notes if with_first == first],
              rtl=_language(locale)["rtl"], pin=first and letter.pin is not None, first=first)
        for locale, first in zip(titled, (True, False, False), strict=False))
    return Fit(front, max(back, default=0))


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
        "reasons": [_spans(reason) for reason in read.reasons],
        "scale": _scale(read.scale) if read.scale else None,
        "table": [[_cell((locale,), (cell,)) for cell in row] for row in read.table],
        "deadline": _spans(read.deadline),
        "steps": [_spans(step) for step in read.steps],
        "closing": _spans(read.closing),
        "code": _spans(read.code),
        "overleaf": [_spans(line) for line in read.overleaf],
    }


def _scale(scale: Scale) -> dict[str, Any]:
    """What is drawn, in parts of the picture's width."""
    found = places(scale)
    return {
        "told": scale.told,
        "ends": [_spans(end) for end in scale.ends],
        "line": LINE,
        "beyond": found.beyond,
        "index": _place(found.index),
        "limits": [_place(limit) for limit in found.limits],
    }


def _place(place: Place) -> dict[str, Any]:
    names = list(dict.fromkeys(mark.name for mark in place.marks))
    return {
        "at": place.at,
        "from": place.column - place.width // 2,
        "width": place.width,
        "names": [_spans(name) for name in names],
        "figure": place.marks[0].figure,
    }


def _picture(documents: Mapping[str, Document]) -> dict[str, Any] | None:
    """What the picture on the front tells who does not see it: in the household's first language that tells it."""
    for locale, read in documents.items():
        if read.scale:
            return {**_language(locale), "told": read.scale.told}
    return None


def _forms(number: str, forms: Mapping[str, Form]) -> list[dict[str, Any]]:
    """The slip in each language: one box, and one line to write on, bears the words of all."""
    if len({(len(form.boxes), len(form.fields)) for form in forms.values()}) > 1:
        raise Unprintable(number, "its forms have not the same boxes and fields in each language")
    return [
        {
            **_language(locale),
            "title": _spans(form.title),
            "texts": [_spans(text) for text in form.texts],
            "boxes": [_spans(box) for box in form.boxes],
            "fields": [_spans(one) for one in form.fields],
        }
        for locale, form in forms.items()
    ]


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
