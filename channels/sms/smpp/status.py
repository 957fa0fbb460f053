"""Status: every command status of SMPP 3.4 (section 5.1.3), and what the sender does next.

A response with a status other than 0 names no message (section 4.4.2): the SMSC has not taken it. Only its own
"unknown error" leaves that open. A status that answers a command we never give burns no message and stops nothing.
"""

from __future__ import annotations

from channels.base import Misconfigured, Rejected, SendError, Throttled, Unavailable, Unknown

OK = 0x00
RINVCMDID = 0x03
RINVBNDSTS = 0x04
RMSGQFUL = 0x14
# What we say of a text or receipt that could not be kept: send it again. And of one that never can be: do not.
RX_T_APPN = 0x64
RX_P_APPN = 0x65

STATUSES: dict[int, tuple[str, type[SendError]]] = {
    0x01: ("RINVMSGLEN", Rejected),
    0x02: ("RINVCMDLEN", Misconfigured),
    0x03: ("RINVCMDID", Misconfigured),
    0x04: ("RINVBNDSTS", Unavailable),
    # Our last bind may not have been seen to end yet.
    0x05: ("RALYBND", Unavailable),
    0x06: ("RINVPRTFLG", Misconfigured),
    0x07: ("RINVREGDLVFLG", Misconfigured),
    0x08: ("RSYSERR", Unavailable),
    0x0A: ("RINVSRCADR", Misconfigured),
    0x0B: ("RINVDSTADR", Rejected),
    0x0C: ("RINVMSGID", Unavailable),
    0x0D: ("RBINDFAIL", Unavailable),
    0x0E: ("RINVPASWD", Misconfigured),
    0x0F: ("RINVSYSID", Misconfigured),
    0x11: ("RCANCELFAIL", Unavailable),
    0x13: ("RREPLACEFAIL", Unavailable),
    0x14: ("RMSGQFUL", Throttled),
    0x15: ("RINVSERTYP", Misconfigured),
    0x33: ("RINVNUMDESTS", Unavailable),
    0x34: ("RINVDLNAME", Unavailable),
    0x40: ("RINVDESTFLAG", Unavailable),
    0x42: ("RINVSUBREP", Unavailable),
    0x43: ("RINVESMCLASS", Misconfigured),
    0x44: ("RCNTSUBDL", Unavailable),
    0x45: ("RSUBMITFAIL", Unavailable),
    0x48: ("RINVSRCTON", Misconfigured),
    0x49: ("RINVSRCNPI", Misconfigured),
    0x50: ("RINVDSTTON", Misconfigured),
    0x51: ("RINVDSTNPI", Misconfigured),
    0x53: ("RINVSYSTYP", Misconfigured),
    0x54: ("RINVREPFLAG", Misconfigured),
    0x55: ("RINVNUMMSGS", Unavailable),
    0x58: ("RTHROTTLED", Throttled),
    0x61: ("RINVSCHED", Misconfigured),
    0x62: ("RINVEXPIRY", Misconfigured),
    0x63: ("RINVDFTMSGID", Unavailable),
    0x64: ("RX_T_APPN", Unavailable),
    0x65: ("RX_P_APPN", Rejected),
    0x66: ("RX_R_APPN", Rejected),
    0x67: ("RQUERYFAIL", Unavailable),
    0xC0: ("RINVOPTPARSTREAM", Misconfigured),
    0xC1: ("ROPTPARNOTALLWD", Misconfigured),
    0xC2: ("RINVPARLEN", Misconfigured),
    0xC3: ("RMISSINGOPTPARAM", Misconfigured),
    0xC4: ("RINVOPTPARAMVAL", Misconfigured),
    0xFE: ("RDELIVERYFAILURE", Unavailable),
    0xFF: ("RUNKNOWNERR", Unknown),
}


def refusal(status: int) -> SendError:
    """What a status other than 0 means. One that the table does not list (reserved, or the operator's own) was not
    taken either; its number is kept, and another provider may know better."""
    name, kind = STATUSES.get(status, ("", Unavailable))
    return kind(f"0x{status:02X}", name)
