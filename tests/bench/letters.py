"""Letters and texts: wording them, and setting pages."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from channels.letter.page import Letter, print_letters
from channels.text import parts
from gateway.words import LOCALES, TEMPLATES, Words
from tests.bench.figure import Figure, cpu_ms, per_second, scaled
from tests.bench.weasy import NoWeasyPrint, Weasy

Press = Callable[[Sequence[Letter], Path, date], object]

LETTERS = scaled(50, 500)
BATCH = 50
# More than the engine remembers: it would find the same letter set already.
SINGLE = 20
TEXTS = scaled(2_000, 20_000)
ORDERS = (LOCALES, ("fr-MA", "ar-MA", "zgh-MA"), ("zgh-MA", "ar-MA", "fr-MA"))
TODAY = date(2026, 11, 21)
FACTS: dict[str, Any] = {
    "programmes": [{"key": "asd", "below": True, "threshold": Decimal("9.743001")},
                   {"key": "amo-tadamon", "below": False, "threshold": Decimal("9.3264284")}],
    "index": Decimal("9.4972496"), "review_until": date(2027, 1, 20), "registered_on": date(2026, 11, 16),
    "today": TODAY, "reference": "987654321", "service_code": "*580#", "with_pin": True, "weighs": [],
}


def pages() -> Iterator[Figure]:
    """Bundles of fifty in one file, beside a file each: how many in a second, and the processor time of each."""
    words = Words(TEMPLATES)
    letters = [_letter(words, number) for number in range(LETTERS)]
    bundles = [letters[start : start + BATCH] for start in range(0, LETTERS, BATCH)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder) / "letters.pdf"

        def bundled() -> None:
            for bundle in bundles:
                print_letters(bundle, out, TODAY)

        def singly() -> None:
            for letter in letters:
                print_letters([letter], out, TODAY)

        yield Figure("letters_per_s", per_second(LETTERS, bundled), "letters/s", per_second(LETTERS, singly))
        yield Figure("cpu_ms_per_letter", cpu_ms(LETTERS, bundled), "ms", cpu_ms(LETTERS, singly))


def beside_weasyprint() -> Iterator[Figure]:
    """The same letters, a file each and bundled, by the engine that was not chosen; nothing where it is not here."""
    try:
        weasy = Weasy()
    except NoWeasyPrint as error:
        logging.getLogger(__name__).error("no figures beside WeasyPrint: %s", error)
        return
    words = Words(TEMPLATES)
    letters = [_letter(words, number) for number in range(BATCH)]
    few = letters[:SINGLE]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        out = Path(folder) / "letters.pdf"

        def singly(press: Press) -> Callable[[], None]:
            return lambda: [press([letter], out, TODAY) for letter in few] and None

        def bundled(press: Press) -> Callable[[], None]:
            return lambda: press(letters, out, TODAY) and None

        yield Figure("letters_vs_weasyprint", per_second(SINGLE, singly(print_letters)), "letters/s",
                     per_second(SINGLE, singly(weasy.print_letters), rounds=1), "ratio >= 7")
        yield Figure("bundled_letters_vs_weasyprint", per_second(BATCH, bundled(print_letters)), "letters/s",
                     per_second(BATCH, bundled(weasy.print_letters), rounds=1), "ratio >= 12")
        yield Figure("cpu_ms_vs_weasyprint", cpu_ms(BATCH, bundled(print_letters)), "ms",
                     cpu_ms(BATCH, bundled(weasy.print_letters)))


def texts() -> Figure:
    """Worded, made fit for a handset and counted in parts; beside a template parsed anew for each, and counted."""
    words = Words(TEMPLATES)
    folder = TEMPLATES / "notices"
    plain = Environment(loader=FileSystemLoader(folder), autoescape=False)
    plain.filters["date"] = lambda day: f"{day:%d/%m/%Y}"
    source = (folder / "index_assigned" / "sms.ar-MA.j2").read_text(encoding="utf-8")
    few = TEXTS // 10

    def word_all() -> None:
        for _ in range(TEXTS):
            parts(words.notice("index_assigned", "sms", "ar-MA", **FACTS))

    def parse_all() -> None:
        for _ in range(few):
            parts(plain.from_string(source).render(**FACTS))

    return Figure("texts_per_s", per_second(TEXTS, word_all), "texts/s", per_second(few, parse_all))


def _letter(words: Words, number: int) -> Letter:
    """Each household has an index of its own, and a language."""
    facts = {**FACTS, "index": FACTS["index"] + Decimal(number * 7919 % BATCH) / 1_000}
    documents = {locale: words.notice("index_assigned", "letter", locale, **facts) for locale in LOCALES}
    return Letter(f"{100_000_000 + number}", f"household-{number}", ("A. B.", "Hay Salam", "10000 Rabat"),
                  ORDERS[number % 3], documents, "*580#", "482913")
