"""Sweep: finds what was left half-done by a killed worker, a silent provider or a lost queue, and sets it going."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from channels.base import Accepted, Outbound, Unknown
from gateway import errands, outbox, paper
from gateway.outbox import Claim
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

# All are asked at once, so that a provider that does not answer costs a round one time limit and no more.
QUESTIONS = 32
# A minute in which a provider stalls leaves some thousand sends behind.
ASKING_S = 10.0


def sweep(runtime: Runtime) -> None:
    """Stranded leases, unknown sends, texts that no receipt followed; and keys of clients whose day is over."""
    now = runtime.clock()
    with runtime.database.write() as session:
        stranded = outbox.expire(session, now)
        errands.forget_keys(session, now)
    if stranded:
        log.warning("%d sends were left by a worker that died", stranded)
    _ask(runtime)
    with runtime.database.write() as session:
        # A receipt that still waits to be looked at may be of the very text that is to be sent again.
        heard = outbox.settled_until(session, now)
        patience = timedelta(seconds=runtime.settings.unknown_for_s)
        runtime.teller.heard_all(session, outbox.give_up(session, heard - patience, now), now)
    paper.recover(runtime)


def _ask(runtime: Runtime) -> None:
    """Ask the providers that can be asked what became of sends that nobody is sure of, as long as there is time."""
    ends = time.monotonic() + ASKING_S
    while time.monotonic() < ends and _ask_some(runtime):
        pass


def _ask_some(runtime: Runtime) -> int:
    wait = timedelta(seconds=runtime.settings.reconcile_after_s)
    with runtime.database.write() as session:
        unsure = outbox.unknowns(session, runtime.vault, runtime.clock(), wait, QUESTIONS)
    if not unsure:
        return 0
    with ThreadPoolExecutor(len(unsure)) as pool:
        answers = list(pool.map(lambda send: _found(runtime, *send), unsure))
    for (held, _), found in zip(unsure, answers, strict=True):
        if not isinstance(found, Unknown):
            now = runtime.clock()
            with runtime.database.write() as session:
                runtime.teller.heard(session, outbox.resolve(session, held, found, now), now)
    return len(unsure)


def _found(runtime: Runtime, held: Claim, started_at: datetime) -> Accepted | Unknown | None:
    try:
        return runtime.channels[held.provider].find(Outbound(held.token, held.msisdn, held.body), started_at)
    except Unknown as error:
        return error
    except Exception as error:
        log.exception("a question to %s ended in no known way", held.provider)
        return Unknown(type(error).__name__)
