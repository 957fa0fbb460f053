"""Sheets: reading a printed letter as its household would, for the demonstration. Needs pypdf."""

from __future__ import annotations

import re

from pypdf import PdfReader

from channels.letter.tray import SHEETS, Tray


def pin_on_sheet(tray: Tray, number: str) -> str:
    """The PIN on the letter of this number, as long as it lies in the tray. Raises `LookupError`."""
    for run in reversed(tray.runs()):
        page = 0
        for entry in run.letters:
            if entry.number == number and run.state != "posted":
                text = PdfReader(run.path / SHEETS).pages[page].extract_text()
                found = re.search(r"(?<![0-9])[0-9]{6}(?![0-9])", text)
                if found:
                    return found[0]
            page += entry.pages
    raise LookupError("no letter of this number with a PIN lies in the tray")
