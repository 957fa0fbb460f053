"""Sweep: finds what was left half-done by a killed worker, a silent provider or a lost queue, and sets it going."""

from __future__ import annotations

import logging
from datetime import timedelta

from channels.base import Outbound, Unknown
from gateway import outbox, paper
from gateway.runtime import Runtime

log = logging.getLogger(__name__)


def sweep(runtime: Runtime) -> None:
    """Stranded leases, receipts without a message, unknown sends, texts that no receipt followed."""
    now = runtime.clock()
    with runtime.database.write() as session:
        stranded = outbox.expire(session, now)
        for settlement in outbox.adopt(session, now):
            runtime.teller.heard(session, settlement, now)
    if stranded:
        log.warning("%d sends were left by a worker that died", stranded)
    _ask(runtime)
    with runtime.database.write() as session:
        patience = timedelta(seconds=runtime.settings.unknown_for_s)
        for settlement in outbox.give_up(session, now - patience, now):
            runtime.teller.heard(session, settlement, now)
    paper.recover(runtime)


def _ask(runtime: Runtime) -> None:
    """Ask the providers that can be asked what became of sends that nobody is sure of."""
    now = runtime.clock()
    with runtime.database.read() as session:
        unsure = outbox.unknowns(session, runtime.vault, now - timedelta(seconds=runtime.settings.reconcile_after_s))
    for held, started_at in unsure:
        try:
            found = runtime.channels[held.provider].find(Outbound(held.token, held.msisdn, held.body),
                                                         started_at)
        except Unknown:
            continue
        with runtime.database.write() as session:
            runtime.teller.heard(session, outbox.resolve(session, held, found, now), now)
