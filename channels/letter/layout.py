"""Layout: the small language in which the text of a letter is written, section by section.

Its words come from templates and its values from people; whatever a value holds, it stays a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal

from channels.letter.fonts import showable
from channels.letter.scale import Mark, Scale

SECTIONS = ("title", "date", "body", "reasons", "scale", "table", "deadline", "pin", "steps", "closing", "code",
            "overleaf", "form")
PIN_LINE = "{pin}"
BOX = "[ ] "
FIELD = "___ "
# The widest letters side by side, in full-size type, do not leave the column.
LONGEST_IN_TEXT = 40
GAPS = re.compile(r"[ \n]+")
BEFORE_A_COLON = re.compile(r" (?=[:;?!](?:\s|$))")
NUMBER = re.compile(r"-?[0-9]{1,9}(?:[.,][0-9]{1,12})?")

Rows = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Form:
    """A slip to tear off: what to do with it, boxes to tick, and fields to fill in, the first of them large."""

    title: str
    texts: tuple[str, ...]
    boxes: tuple[str, ...]
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Document:
    """A notice's text, by section. `body` and `steps` are paragraphs and lines, `table` rows of cells.

    `reasons` begin with their heading. `pin` is the text before and after the PIN. `overleaf` says what stands on the
    back, to who reads this text on the front and to who finds it there. Without a title it is a note at the foot of
    the sheet.
    """

    title: str = ""
    date: str = ""
    body: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    scale: Scale | None = None
    table: Rows = ()
    deadline: str = ""
    pin: tuple[str, str] | None = None
    steps: tuple[str, ...] = ()
    closing: str = ""
    code: str = ""
    overleaf: tuple[str, ...] = ()
    form: Form | None = None


class LayoutError(ValueError):
    """A text that does not follow the layout language. Names the line, never quotes it."""


def parse(text: str) -> Document:
    """Read the layout language: sections that begin with a line `== name`.

    `title`, `date`, `deadline`, `closing`, `code`: one line; `body`: paragraphs, a blank line between them;
    `table`: a row a line, the header first, cells parted by ` | `; `steps`: a step a line; `reasons`: their heading,
    then a reason a line; `pin`: the panel's text, with the line `{pin}` where the PIN stands.

    `scale`: a line that tells the picture to who does not see it; what its ends mean, ` | ` between them; the
    household's `name | index`; then a `name | limit` a line. `overleaf`: two lines. `form`: its title, then lines of
    text, boxes `[ ] like this` and fields `___ like this`.

    A value put into a text must be a single line, as with any language of lines. Raises `LayoutError`.
    """
    found = _sections(showable(text))
    return Document(
        title=_line(found.get("title", "")),
        date=_line(found.get("date", "")),
        body=tuple(filter(None, map(_line, re.split(r"\n[ ]*\n", found.get("body", ""))))),
        reasons=tuple(_lines(found.get("reasons", ""))),
        scale=_scale(found["scale"]) if "scale" in found else None,
        table=_rows(found.get("table", "")),
        deadline=_line(found.get("deadline", "")),
        pin=_panel(found["pin"]) if "pin" in found else None,
        steps=tuple(_lines(found.get("steps", ""))),
        closing=_line(found.get("closing", "")),
        code=_line(found.get("code", "")),
        overleaf=_overleaf(found["overleaf"]) if "overleaf" in found else (),
        form=_form(found["form"]) if "form" in found else None,
    )


def one_line(text: str, longest: int = LONGEST_IN_TEXT) -> str:
    """`text` as one line that can be printed: a word without end is broken, a French colon stays with its word."""
    return _line(showable(text), longest)


def _line(shown: str, longest: int = LONGEST_IN_TEXT) -> str:
    # Not str.split(): it would also break the no-break spaces that French wants before a colon.
    line = BEFORE_A_COLON.sub("\u00a0", GAPS.sub(" ", shown).strip())
    return re.sub(rf"(\S{{{longest}}})(?=\S)", r"\1 ", line)


def has_form(text: str) -> bool:
    """Whether it has a slip to be printed on the back, so far as can be seen without reading it all."""
    return re.search(r"^== *form *$", text, re.MULTILINE) is not None


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
    rows = tuple(_cells(line) for line in _lines(text))
    if len({len(row) for row in rows}) > 1:
        raise LayoutError("section table: its rows have not all the same number of cells")
    return rows


def _scale(text: str) -> Scale:
    told, *rows = _lines(text) or ("",)
    pairs = [(row[0], row[1]) for row in map(_cells, rows) if len(row) == 2]
    if not told or len(pairs) < len(rows) or len(pairs) < 3:
        raise LayoutError("section scale: it needs a line that tells it, two ends, an index and a limit")
    ends, index, *limits = pairs
    return Scale(told, ends, _mark(*index), tuple(_mark(*limit) for limit in limits))


def _mark(name: str, figure: str) -> Mark:
    if not NUMBER.fullmatch(figure):
        raise LayoutError("section scale: an index or a limit is not a number")
    return Mark(name, figure, Decimal(figure.replace(",", ".")))


def _panel(text: str) -> tuple[str, str]:
    lines = _lines(text)
    if lines.count(PIN_LINE) != 1:
        raise LayoutError(f"section pin: it needs the line {PIN_LINE}, once")
    place = lines.index(PIN_LINE)
    return " ".join(lines[:place]), " ".join(lines[place + 1 :])


def _overleaf(text: str) -> tuple[str, ...]:
    lines = _lines(text)
    if len(lines) != 2:
        raise LayoutError("section overleaf: it needs two lines, for the front and for the back")
    return lines


def _form(text: str) -> Form:
    title, *lines = _lines(text) or ("",)
    boxes = tuple(line.removeprefix(BOX) for line in lines if line.startswith(BOX))
    fields = tuple(line.removeprefix(FIELD) for line in lines if line.startswith(FIELD))
    if not (title and boxes and fields):
        raise LayoutError("section form: it needs a title, a box and a field")
    return Form(title, tuple(line for line in lines if not line.startswith((BOX, FIELD))), boxes, fields)


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.split(" | "))


def _lines(text: str) -> tuple[str, ...]:
    return tuple(filter(None, map(_line, text.split("\n"))))
