"""Weigh: every minute the providers are measured, and weight moves away from who is slow or failing."""

from __future__ import annotations

import logging

from gateway import routes
from gateway.runtime import Runtime

log = logging.getLogger(__name__)


def weigh(runtime: Runtime) -> int:
    """Returns how many weights were changed."""
    now = runtime.clock()
    with runtime.database.read() as session:
        measured = {name: routes.measure(session, name, now) for name, _ in runtime.settings.sms_providers}
    with runtime.database.write() as session:
        changes = routes.weigh(session, runtime.settings, measured, now)
    for change in changes:
        log.warning("%s: weight %d -> %d, %s", change.provider, change.was, change.became, change.reason)
    return len(changes)
