"""Press: the compiler that sets a sheet, made once in each thread, and how its memory is kept from growing."""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import typst

from channels.letter.fonts import FOLDERS, SHEETS

STANDARDS: list[typst.PDFStandard] = ["a-2a", "ua-1"]
# Typst keeps what it has laid out until it has set ten files more, a megabyte a page. Ten empty ones after a file of
# many letters let go of it, for a tenth of a second; files of a few letters push each other out.
MANY_LETTERS = 10
FORGETS_AFTER = 11
NOTHING = {"data": json.dumps({"letters": [], "both-sides": False})}


class SheetError(Exception):
    """The sheet could not be set: a fault of ours, in the sheet or the fonts."""


class _Press(threading.local):
    """A thread's own: between a file and the question how many pages its letters took, no other file may come."""

    @cached_property
    def compiler(self) -> typst.Compiler:
        fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=list(FOLDERS))
        return typst.Compiler(SHEETS / "sheet.typ", root=SHEETS, font_paths=fonts, ignore_system_fonts=True)

    def forget(self) -> None:
        for _ in range(FORGETS_AFTER):
            self.compiler.compile(format="pdf", sys_inputs=NOTHING)


_press = _Press()


def typeset(data: dict[str, Any], printed_on: date) -> tuple[bytes, list[list[int]]]:
    """The PDF, and how many pages each of `data`'s letters took: on its front, and on its back if it has a text there.

    Raises `SheetError`.
    """
    midnight = datetime(printed_on.year, printed_on.month, printed_on.day, tzinfo=UTC)
    inputs = {"data": json.dumps(data, ensure_ascii=False)}
    try:
        pdf = _press.compiler.compile(format="pdf", sys_inputs=inputs, pdf_standards=STANDARDS, timestamp=midnight)
        pages = json.loads(_press.compiler.query("<pages>", field="value"))
        if len(pages) > MANY_LETTERS:
            _press.forget()
    except typst.TypstError as wrong:
        # The compiler quotes the text it stumbled over, and that may be a name.
        raise SheetError(re.sub(r'".*"', '"..."', wrong.message, flags=re.DOTALL)) from None
    if not isinstance(pdf, bytes) or len(pages) != len(data["letters"]):
        raise SheetError("the sheet lost a letter")
    return pdf, pages
