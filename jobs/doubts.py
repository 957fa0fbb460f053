"""Doubts: once a day, the telephones that were silent or failing for long are doubted, and told so."""

from __future__ import annotations

from gateway import doubt
from gateway.runtime import Runtime
from jobs.alarm import enqueue


def doubt_numbers(runtime: Runtime, at_once: int = doubt.AT_ONCE) -> int:
    """Doubt one lot of numbers, and ring for the next. Returns how many were doubted."""
    now = runtime.clock()
    with runtime.database.write() as session:
        doubted = doubt.due(session, runtime.vault, now, at_once)
        runtime.teller.doubted(session, doubted, now)
    if len(doubted) == at_once:
        enqueue(runtime.redis, "doubt_numbers", once=True)
    return len(doubted)
