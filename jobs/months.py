"""Months: once a day, the parts for the coming months are made, long before their first row."""

from __future__ import annotations

import logging

from gateway.outbox import months
from gateway.runtime import Runtime

log = logging.getLogger(__name__)


def prepare_months(runtime: Runtime) -> None:
    """Make what is not there yet; what cannot be made without keeping sends waiting is made on another day."""
    if left := months.prepare_by_day(runtime.database, runtime.clock().date()):
        log.warning("no new parts today for %s, which are in use", ", ".join(left))
