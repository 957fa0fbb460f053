"""Departures: which screens were shown, and at which callers left. Figures only: no number, nothing typed."""

from __future__ import annotations

import re

from channels.base import Ended
from gateway.dialogue.engine import Position
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.memory import Turn
from gateway.runtime import Runtime

COST = re.compile(r"(?:([A-Z]{3}) )?([0-9.]+)")


def shown(turn: Turn, medium: str, position: Position, network: str, *, final: bool) -> None:
    """One more screen was shown."""
    turn.count("screens", medium=medium, final=str(final).lower(), **_place(position, network))


def left(runtime: Runtime, medium: str, end: Ended) -> None:
    """A session ended: at which screen, and what it took."""
    before = runtime.memory.recall(runtime.memory.key(end.provider, end.session_id, end.msisdn))
    place = _place(Position.from_json(before.position) if before else None, end.network)
    runtime.count("sessions_left", medium=medium, status=end.status, **place)
    runtime.count("session_hops", end.hops or 0, medium=medium)
    runtime.count("session_seconds", (end.duration_ms or 0) / 1000, medium=medium)
    if cost := COST.fullmatch(end.cost):
        runtime.count("session_cost", float(cost[2]), medium=medium, currency=cost[1] or "")


def _place(position: Position | None, network: str) -> dict[str, str]:
    """A network is a country and an operator (ITU-T E.212); anything else would make a figure for each liar."""
    known = re.fullmatch("[0-9]{5,6}", network)
    return {"state": position.state if position else "", "network": network if known else "",
            "language": (position.locale or HOUSEHOLD.locale) if position else ""}
