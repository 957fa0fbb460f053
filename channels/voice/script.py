"""Script: what a document may hold that tells a provider what a caller hears next."""

from __future__ import annotations

import re
from dataclasses import replace

from channels.base import Piece, Prompt

CONTENT_TYPE = "text/xml; charset=utf-8"

# What XML 1.0 (section 2.2) has no way to write, not even escaped. Neither builder takes it out.
UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")


def writable(text: str) -> str:
    """The text without the characters that would make the whole document unreadable."""
    return UNWRITABLE.sub("", text)


def audible(prompt: Prompt) -> list[Piece]:
    """Its pieces, ready to be written. A piece that says nothing is left out: providers end the call over one."""
    pieces = [replace(one, text=writable(one.text), recording=writable(one.recording)) for one in prompt.pieces]
    return [one for one in pieces if one.recording or one.text.strip()]
