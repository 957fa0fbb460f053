"""SMPP's true payloads, as the tables of an HTTP provider hold theirs: (what happened, the status, what is raised)."""

from __future__ import annotations

from channels.base import Misconfigured, Rejected, SendError, Throttled, Unavailable, Unknown

REFUSALS: list[tuple[str, int, SendError]] = [
    ("length invalid", 0x01, Rejected("0x01", "RINVMSGLEN")),
    ("not bound to send", 0x04, Unavailable("0x04", "RINVBNDSTS")),
    ("system error", 0x08, Unavailable("0x08", "RSYSERR")),
    ("a sender that is not ours", 0x0A, Misconfigured("0x0A", "RINVSRCADR")),
    ("no such number", 0x0B, Rejected("0x0B", "RINVDSTADR")),
    ("queue full", 0x14, Throttled("0x14", "RMSGQFUL")),
    ("submit failed", 0x45, Unavailable("0x45", "RSUBMITFAIL")),
    ("too fast", 0x58, Throttled("0x58", "RTHROTTLED")),
    ("validity not allowed", 0x62, Misconfigured("0x62", "RINVEXPIRY")),
    ("not now", 0x64, Unavailable("0x64", "RX_T_APPN")),
    ("never", 0x65, Rejected("0x65", "RX_P_APPN")),
    ("rejected", 0x66, Rejected("0x66", "RX_R_APPN")),
    ("an option not allowed", 0xC1, Misconfigured("0xC1", "ROPTPARNOTALLWD")),
    ("unknown error", 0xFF, Unknown("0xFF", "RUNKNOWNERR")),
    ("a reserved status", 0x10, Unavailable("0x10")),
    ("a status of the operator's own", 0x0455, Unavailable("0x455")),
    ("a status of SMPP 5", 0x0104, Unavailable("0x104")),
]

# Appendix B, and how the text ends in each case.
RECEIPT = "id:{id} sub:001 dlvrd:001 submit date:2611210900 done date:2611210901 stat:{stat} err:{err} text:"
