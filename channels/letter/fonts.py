"""Fonts: the faces that letters are set in, and which characters they can show.

Amiri (Arabic) and Noto Sans (Latin, and all digits) come from packages, Noto Sans Tifinagh from beside the
sheet; all under the SIL Open Font Licence. The machine's own fonts are never used: the same letter looks the
same everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

import fontpkg_amiri
import fontpkg_noto_sans

SHEETS = Path(__file__).parents[2] / "templates" / "letters"
FOLDERS = (fontpkg_amiri.ROOT, fontpkg_noto_sans.ROOT, SHEETS / "fonts")

# What the three faces together have a glyph for, and a letter of ours can need (Unicode ranges): Latin with
# its accents, Arabic, general punctuation, Tifinagh. A PDF/A file may not hold a character without a glyph.
COVERED = (
    " -~\u00a0-\u00ac\u00ae-\u017f\u0218-\u021b\u060c\u0610-\u061b\u061e-\u06dc\u06de-\u06ff\u2010-\u2015"
    "\u2018-\u201e\u2020-\u2022\u2026\u202f\u2030\u2039\u203a\u20ac\u2212\u2d30-\u2d67\u2d6f\u2d70\u2d7f\ufffd"
)
UNCOVERED = re.compile(f"[^\n{COVERED}]")
MISSING = "\ufffd"
PRESENTATION_FORMS = re.compile("[\ufb50-\ufdff\ufe70-\ufefc]")
ARABIC_MARKS = "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed"
PILED_MARKS = re.compile(f"([{ARABIC_MARKS}]{{2}})[{ARABIC_MARKS}]+")


def showable(text: str) -> str:
    """`text` as the sheet can print it: composed, without control and direction characters or piled marks.

    Line ends stay. A letter that no face has becomes U+FFFD, so that it is seen to be missing; a pictogram is
    left out.
    """
    text = PRESENTATION_FORMS.sub(lambda form: unicodedata.normalize("NFKC", form[0]), text)
    text = UNCOVERED.sub(_instead, unicodedata.normalize("NFC", text.replace("\r\n", "\n")))
    return PILED_MARKS.sub(r"\1", text)


def _instead(character: re.Match[str]) -> str:
    category = unicodedata.category(character[0])
    if category[0] == "Z" or character[0] in "\t\r":
        return " "
    return MISSING if category[0] in "LN" else ""
