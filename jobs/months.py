"""Months: once a day, the parts for the coming months are made, long before their first row."""

from __future__ import annotations

from gateway.outbox import months
from gateway.runtime import Runtime


def prepare_months(runtime: Runtime) -> None:
    """Make what is not there yet; where nothing is missing nothing is locked."""
    with runtime.database.write() as session:
        months.prepare(session.connection(), runtime.clock().date())
