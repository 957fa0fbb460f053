"""Delivery: what an SMSC hands to us, a receipt or a text, read off the wire and not yet understood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from channels.sms.smpp.address import Address

MESSAGE_PAYLOAD = 0x0424


@dataclass(frozen=True)
class Delivery:
    """One deliver_sm (SMPP 3.4 section 4.6.1). `line` and `sequence` are where its answer goes."""

    line: int
    sequence: int
    source: Address
    destination: Address
    esm_class: int
    data_coding: int
    octets: bytes = field(repr=False)
    options: Mapping[int, bytes] = field(repr=False)

    def option_text(self, tag: int) -> str:
        """A C-octet string, whether or not the SMSC ended it with its NUL."""
        return self.options.get(tag, b"").split(b"\0")[0].decode("latin-1").strip()
