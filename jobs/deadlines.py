"""Deadlines: every minute the registry looks at its promises."""

from __future__ import annotations

import logging

from gateway.deadlines import CLOCKS, strike
from gateway.runtime import Runtime

log = logging.getLogger(__name__)


def watch_deadlines(runtime: Runtime) -> int:
    """Every clock strikes, whatever becomes of another. Returns how many messages were posted."""
    posted = 0
    for clock in CLOCKS:
        try:
            posted += strike(runtime, clock)
        except Exception:
            log.exception("the clock of the %s did not strike", clock)
    return posted
