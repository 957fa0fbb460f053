"""Sheets: reading a printed letter as its household would, for the demonstration. Needs pypdf."""

from __future__ import annotations

import re

from pypdf import PdfReader

from channels.letter.tray import Tray


def pin_on_sheet(tray: Tray, number: str) -> str:
    """The PIN on the letter of this number, as long as it lies in the tray. Raises `LookupError`."""
    for run in reversed(tray.runs()):
        if run.state != "posted" and number in {entry.number for entry in run.letters}:
            file, page = run.page_of(number)
            found = re.search(r"(?<![0-9])[0-9]{6}(?![0-9])", PdfReader(file).pages[page].extract_text())
            if found:
                return found[0]
    raise LookupError("no letter of this number with a PIN lies in the tray")
