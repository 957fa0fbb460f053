"""Weasy: the same letters printed by WeasyPrint, as fast as it can, to put a figure beside ours.

Nothing but the bench needs it. It wants libraries of the machine that pip does not bring.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from math import ceil
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from channels.letter.fit import Fit
from channels.letter.fonts import FOLDERS, UNCOVERED
from channels.letter.page import Letter, _laid_out

# Tagged and made to keep. WeasyPrint writes one standard at a time; ours are PDF/A-2a and PDF/UA-1 in one.
STANDARD = "pdf/a-2a"
LIBRARIES = "apt install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"

# Family, weight and file.
FACES = (
    ("Arabic", 400, "Amiri-Regular.ttf"),
    ("Arabic", 700, "Amiri-Bold.ttf"),
    ("Tifinagh", 400, "NotoSansTifinagh-Regular.ttf"),
)
VARIABLE = ("Latin", (400, 600, 700), "NotoSans[wdth,wght].ttf")

# Points. The window's part beside the code, and a letter's usual share of the size of its type.
WINDOW_WIDTH, WINDOW_HEIGHT, LETTER, LINE = 178.6, 73.7, 0.55, 1.54
ADDRESS_SIZES = (11.0, 10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0)


class NoWeasyPrint(Exception):
    """WeasyPrint is not here, or a library of the machine that it needs."""


class Weasy:
    """What all files share: fonts, stylesheet and template are read once, as WeasyPrint advises."""

    def __init__(self) -> None:
        """Raises `NoWeasyPrint`."""
        self._weasyprint = _imported("weasyprint")
        self._fonts = _imported("weasyprint.text.fonts").FontConfiguration()
        self._sheet = _sheet()
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            css = self._sheet.stylesheet([*_faces(), *_static_faces(Path(folder))])
            self._style = self._weasyprint.CSS(string=css, font_config=self._fonts)

    def print_letters(self, letters: Sequence[Letter], out: Path, printed_on: date) -> list[int]:
        """Write one PDF, readable by its owner alone, and return how many pages each letter took.

        Only letters with a slip on their back are set. Raises `Unprintable` as ours does, and `ValueError` for no
        letter or one without a slip; then nothing is written.
        """
        if not letters:
            raise ValueError("no letter")
        documents = [self._fitted(_laid_out(letter), printed_on) for letter in letters]
        whole = documents[0].copy([page for document in documents for page in document.pages])
        out.unlink(missing_ok=True)
        with os.fdopen(os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            whole.write_pdf(file, pdf_variant=STANDARD)
        return [len(document.pages) for document in documents]

    def _fitted(self, letter: dict[str, Any], printed_on: date) -> Any:
        """Laid out, in ever smaller type where a side was seen to run over."""
        if not letter["forms"]:
            raise ValueError("a letter without a slip")
        letter["address_size"] = _address_size(letter["address"])
        for part in letter["parts"]:
            part["columns"] = _columns(part["table"])
        fit: Fit = letter["fit"]
        while True:
            html = self._sheet.document([{**letter, "fit": fit.sizes}], printed_on.isoformat())
            document = self._weasyprint.HTML(string=html).render(font_config=self._fonts, stylesheets=[self._style])
            smaller = fit.smaller(_sides(document))
            if smaller == fit:
                return document
            fit = smaller


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise NoWeasyPrint(f"{missing}: pip install weasyprint; {LIBRARIES}") from None
    except (ImportError, OSError) as wrong:
        raise NoWeasyPrint(f"WeasyPrint finds no Pango: {LIBRARIES} ({wrong})") from None


def _sheet() -> Any:
    """The template's macros."""
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return templates.get_template("letter.html.j2").module


def _faces() -> Iterator[tuple[str, int, str]]:
    for family, weight, name in FACES:
        yield family, weight, _file(name).as_uri()


def _static_faces(folder: Path) -> Iterator[tuple[str, int, str]]:
    """A file for each weight: out of one with all weights, WeasyPrint makes them anew for each PDF."""
    fonts, subset, instancer = map(_imported, ("fontTools.ttLib", "fontTools.subset", "fontTools.varLib.instancer"))
    family, weights, name = VARIABLE
    kept = folder / "kept.ttf"
    font = fonts.TTFont(_file(name))
    # First no more than a letter can need: all its characters take ten times as long.
    subsetter = subset.Subsetter(subset.Options(layout_features=["*"]))
    subsetter.populate(unicodes=[code for code in font.getBestCmap() if not UNCOVERED.search(chr(code))])
    subsetter.subset(font)
    font.save(kept)
    for weight in weights:
        path = folder / f"{weight}.ttf"
        instancer.instantiateVariableFont(fonts.TTFont(kept), {"wght": weight, "wdth": 100}, static=True).save(path)
        yield family, weight, path.as_uri()


def _file(name: str) -> Path:
    return next(path for folder in FOLDERS for path in Path(folder).rglob("*.ttf") if path.name == name)


def _address_size(lines: Sequence[dict[str, Any]]) -> float:
    """The largest type in which the whole address is thought to fit the window."""
    lengths = [_length(line["spans"]) for line in lines]
    for size in ADDRESS_SIZES:
        if sum(ceil(length * size * LETTER / WINDOW_WIDTH) for length in lengths) * size * LINE <= WINDOW_HEIGHT:
            return size
    return 3.5


def _columns(rows: Sequence[Sequence[Sequence[dict[str, Any]]]]) -> list[float]:
    """Each column's share of the table, in parts of a hundred, after its longest text."""
    longest = [max(sum(_length(it["spans"]) for it in cell) for cell in column) for column in zip(*rows, strict=True)]
    shares = [min(max(length, 10), 60) + 5 for length in longest]
    return [round(share / sum(shares) * 100, 2) for share in shares]


def _length(spans: Iterable[tuple[str, str]]) -> int:
    return sum(len(run) for _, run in spans)


def _sides(document: Any) -> tuple[int, int]:
    """How many pages front and back want: two where a text goes on, or runs into what stands at the page's bottom."""
    turned = next(place for place, page in enumerate(document.pages) if "back" in page.anchors)
    return _wanted("front", document.pages[:turned]), _wanted("back", document.pages[turned:])


def _wanted(side: str, pages: Sequence[Any]) -> int:
    anchors = pages[0].anchors
    ends, bottom = (anchors.get(f"{side}-{name}") for name in ("ends", "bottom"))
    return len(pages) if len(pages) > 1 else 1 + (ends[1] > bottom[1])
