"""Encoding: a text as the octets of its parts, and the octets of a part as text.

SMPP 3.4 sections 5.2.12 (esm_class) and 5.2.19 (data_coding); 3GPP TS 23.038 section 6.2.1 (the 7-bit alphabet);
3GPP TS 23.040 section 9.2.3.24 (the user data header; 9.2.3.24.8 the concatenation with a reference of 16 bits).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.base import Rejected
from channels.text import ALPHABET, CONCATENATED_16, ESCAPE, EXTENSION, Encoding, encoding, split

# Unpacked: one septet in each octet. The SMSC packs them.
DATA_CODING: dict[Encoding, int] = {"gsm7": 0x00, "ucs2": 0x08}
# How other codings are read. What is none of them was never meant to be read as text.
CODECS = {0x01: "ascii", 0x03: "latin-1", 0x06: "iso8859-5", 0x07: "iso8859-8", 0x08: "utf-16-be"}

HAS_HEADER = 0x40
MOST_PARTS = 255
CONCATENATION_8, CONCATENATION_16 = (0x00, 3), (0x08, 4)

SEPTETS = {ord(letter): chr(septet) for septet, letter in enumerate(ALPHABET)} | {
    ord(letter): ESCAPE + chr(septet) for letter, septet in EXTENSION.items()}
LETTERS = dict(enumerate(ALPHABET))
EXTENDED = {septet: letter for letter, septet in EXTENSION.items()}


@dataclass(frozen=True)
class Part:
    """One SMS, as it goes into a submit_sm."""

    octets: bytes = field(repr=False)
    data_coding: int
    esm_class: int


@dataclass(frozen=True)
class Place:
    """Where a part stands in its text. `bits` tells references of the two lengths apart."""

    reference: int
    total: int
    number: int
    bits: int = 16


def encode(text: str, reference: int) -> list[Part]:
    """The parts of a text; `reference` (16 bits) is what a handset knows the parts of one text by.

    Raises `Rejected` for what cannot be written, or not in `MOST_PARTS` parts.
    """
    alphabet = encoding(text)
    pieces = split(text, CONCATENATED_16)
    if len(pieces) > MOST_PARTS:
        raise Rejected("too_long")
    try:
        octets = [_octets(piece, alphabet) for piece in pieces]
    except UnicodeEncodeError:
        octets = []
    if not octets:
        # Not inside the handler: the original quotes the text.
        raise Rejected("unencodable")
    if len(octets) == 1:
        return [Part(octets[0], DATA_CODING[alphabet], 0)]
    head = bytes([6, *CONCATENATION_16]) + reference.to_bytes(2, "big") + bytes([len(octets)])
    return [Part(head + bytes([number]) + piece, DATA_CODING[alphabet], HAS_HEADER)
            for number, piece in enumerate(octets, 1)]


def decode(octets: bytes, data_coding: int) -> str:
    """The text of a part without its header. What cannot be read is U+FFFD: somebody wrote, and is answered."""
    if data_coding == DATA_CODING["gsm7"] or data_coding & 0xF4 == 0xF0:
        return _from_septets(octets)
    return octets.decode(CODECS.get(data_coding, "latin-1"), "replace")


def placed(octets: bytes, esm_class: int) -> tuple[Place | None, bytes]:
    """The place that the header of a part gives it, and what stands behind the header."""
    if not esm_class & HAS_HEADER or not octets or octets[0] >= len(octets):
        return None, octets
    header, rest = octets[1:1 + octets[0]], octets[1 + octets[0]:]
    place = None
    while len(header) > 1 and len(header) >= 2 + header[1]:
        kind, value, header = (header[0], header[1]), header[2:2 + header[1]], header[2 + header[1]:]
        if kind in (CONCATENATION_8, CONCATENATION_16):
            *reference, total, number = value
            if 1 <= number <= total:
                place = Place(int.from_bytes(reference, "big"), total, number, 8 * len(reference))
    return place, rest


def _octets(piece: str, alphabet: Encoding) -> bytes:
    return piece.translate(SEPTETS).encode("latin-1") if alphabet == "gsm7" else piece.encode("utf-16-be")


def _from_septets(octets: bytes) -> str:
    """An octet that is no septet is read as Latin-1, which some SMSCs send under the same number."""
    text, escaped = "", False
    for octet in octets:
        if escaped and octet in EXTENDED:
            text += EXTENDED[octet]
        elif chr(octet) != ESCAPE:
            text += LETTERS.get(octet, chr(octet))
        escaped = chr(octet) == ESCAPE and not escaped
    return text
