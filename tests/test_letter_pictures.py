"""The letters as they are seen: each of every notice, in whichever language comes first, beside its approved picture.

After a change of the sheet that is meant, `python -m tests.transcripts` draws them anew: look at each.
"""

from datetime import date
from itertools import groupby
from pathlib import Path

import numpy as np
import pypdfium2
from PIL import Image

from channels.letter.page import Letter, print_letters
from gateway.paper import dated
from gateway.words import LOCALES
from tests.test_notices_text import LETTERS, REFERENCE, SERVICE_CODE, TWO_SIDED, WORDS, facts

APPROVED = Path(__file__).parent / "transcripts" / "letters"
PRINTED_ON = date(2026, 11, 1)
DPI = 45
SHADES = 8
# What is compared is the shade of squares of so many dots: a hair's breadth more or less is no difference.
SQUARE = 9
# Of 255: what one square may differ, and all on the average.
SQUARE_DIFFERS, ALL_DIFFER = 40.0, 1.0

NAMES = sorted({name for name, _ in LETTERS})
SHOWN = [(name, locale) for name in NAMES for locale in LOCALES]
ADDRESSES = {
    "ar-MA": ("السيدة فاطمة الإدريسي", "دوار أولاد بوزيان", "جماعة بني تدجيت", "قيادة بني تدجيت", "61200 بني تدجيت"),
    "fr-MA": ("M. Ali ALAOUI", "Apt 7, immeuble 12", "Hay Salam, rue 4", "10000 RABAT"),
    "zgh-MA": ("Mme Itto AMZIL", "Douar Aït Hani", "Commune d’Imilchil", "IMILCHIL"),
}


def drawn(folder: Path) -> dict[tuple[str, str], Image.Image]:
    """Each letter as one picture, its pages beside each other."""
    found = {}
    for backs, some in groupby(sorted(SHOWN, key=lambda one: one[0] in TWO_SIDED), lambda one: one[0] in TWO_SIDED):
        these = list(some)
        pages = print_letters([_letter(name, locale) for name, locale in these], folder / "letters.pdf", PRINTED_ON)
        assert pages == [1 + backs] * len(these)
        with pypdfium2.PdfDocument(folder / "letters.pdf") as file:
            for place, one in enumerate(these):
                found[one] = _beside([_picture(file[page]) for page in range(place * (1 + backs),
                                                                             (place + 1) * (1 + backs))])
    return found


def approve() -> None:
    """Draw every letter anew, and forget those of notices that are gone."""
    APPROVED.mkdir(parents=True, exist_ok=True)
    for old in APPROVED.glob("*.png"):
        old.unlink()
    for (name, locale), picture in drawn(APPROVED).items():
        picture.quantize(SHADES).save(APPROVED / f"{name}.{locale}.png", optimize=True)
    (APPROVED / "letters.pdf").unlink()


def test_every_letter_looks_as_it_was_approved(tmp_path):
    found = {f"{name}.{locale}": differs(_approved(name, locale), seen)
             for (name, locale), seen in drawn(tmp_path).items()}
    assert {letter: where for letter, where in found.items() if where} == {}


def test_every_approved_picture_is_of_a_letter():
    assert {file.stem for file in APPROVED.iterdir()} == {f"{name}.{locale}" for name, locale in SHOWN}


def test_a_line_that_moves_or_is_missing_is_a_difference():
    seen = _approved("index_assigned", "ar-MA").convert("L")
    moved = Image.new("L", seen.size, 255)
    moved.paste(seen, (0, 3))
    line, row = seen.copy(), int(_squares(seen)[30:].mean(axis=1).argmin()) + 30
    line.paste(255, (0, row * SQUARE, seen.width, (row + 1) * SQUARE))
    assert differs(seen, moved) is not None
    assert differs(seen, line) is not None
    assert differs(seen, seen.quantize(SHADES)) is None


def differs(approved: Image.Image, seen: Image.Image) -> str | None:
    """Where they do, if they do."""
    if approved.size != seen.size:
        return f"{seen.size} dots instead of {approved.size}"
    apart = np.abs(_squares(approved) - _squares(seen))
    if apart.max() <= SQUARE_DIFFERS and apart.mean() <= ALL_DIFFER:
        return None
    row, column = np.unravel_index(apart.argmax(), apart.shape)
    return f"{apart.max():.0f} of 255 near dot {column * SQUARE}, {row * SQUARE}; {apart.mean():.2f} on the average"


def _approved(name: str, locale: str) -> Image.Image:
    with Image.open(APPROVED / f"{name}.{locale}.png") as approved:
        approved.load()
        return approved


def _squares(picture: Image.Image) -> np.ndarray:
    dots = np.asarray(picture.convert("L"), dtype=float)
    rows, columns = (length // SQUARE for length in dots.shape)
    return dots[:rows * SQUARE, :columns * SQUARE].reshape(rows, SQUARE, columns, SQUARE).mean(axis=(1, 3))


def _letter(name: str, locale: str) -> Letter:
    told = facts(True, True, True, locale)
    documents = {each: dated(WORDS, each, WORDS.notice(name, "letter", each, **{**told, **facts(
        True, True, True, each)}), PRINTED_ON) for each in LOCALES}
    order = (locale, *(each for each in LOCALES if each != locale))
    pin = "424242" if any("{pin}" in text for text in documents.values()) else None
    return Letter(REFERENCE, "token", ADDRESSES[locale], order, documents, SERVICE_CODE, pin)


def _picture(page: pypdfium2.PdfPage) -> Image.Image:
    return page.render(scale=DPI / 72, grayscale=True).to_pil()


def _beside(pages: list[Image.Image]) -> Image.Image:
    both = Image.new("L", (sum(page.width for page in pages), pages[0].height), 255)
    for place, page in enumerate(pages):
        both.paste(page, (place * page.width, 0))
    return both
