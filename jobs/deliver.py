"""Deliver: claim, send, settle. Many sends are in flight; a slow one holds up its own place and no other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from uuid import UUID

from channels.base import Accepted, Misconfigured, Outbound, Rejected, SendError, Unavailable, Unknown
from channels.http import THREADS
from gateway import outbox
from gateway.outbox import Claim
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

# Sends in flight, as many as connections are kept. A claim is made only for a free place, so that a lease need
# only outlast one time limit.
WINDOW = THREADS
# Places are filled again by this many, or the database would be asked for every single text.
REFILL = 10

Result = tuple[Claim, Accepted | SendError]


def deliver(runtime: Runtime, ids: list[str]) -> int:
    """Send those of these messages that are still due. Returns how many were claimed."""
    waiting = [UUID(written) for written in reversed(ids)]
    flying: set[Future[Result]] = set()
    claimed = 0
    with ThreadPoolExecutor(WINDOW) as pool:
        while waiting or flying:
            while waiting and len(flying) <= WINDOW - REFILL:
                claims = _claim(runtime, [waiting.pop() for _ in range(min(WINDOW - len(flying), len(waiting)))])
                flying |= {pool.submit(_send, runtime, held) for held in claims}
                claimed += len(claims)
            ended, flying = wait(flying, return_when=FIRST_COMPLETED)
            if ended:
                _settle(runtime, [send.result() for send in ended])
    return claimed


def _claim(runtime: Runtime, ids: list[UUID]) -> list[Claim]:
    lease = timedelta(seconds=runtime.settings.lease_s)
    try:
        with runtime.database.write() as session:
            return outbox.claim(session, runtime.vault, ids, runtime.choose, runtime.clock(), lease)
    except Exception:
        log.exception("a claim failed: those in flight are settled, and the relay will wake these again")
        return []


def _send(runtime: Runtime, held: Claim) -> Result:
    """A worker that slept through its lease sends nothing: another may have sent by now."""
    if runtime.clock() >= held.until:
        return held, Unavailable("lease_over")
    try:
        return held, runtime.channels[held.provider].send(Outbound(held.token, held.msisdn, held.body))
    except SendError as error:
        return held, error
    except Exception as error:
        log.exception("a send by %s ended in no known way", held.provider)
        return held, Unknown(type(error).__name__)


def _settle(runtime: Runtime, results: Sequence[Result]) -> None:
    for held, result in results:
        if isinstance(result, SendError):
            runtime.count("send_errors", provider=held.provider, kind=type(result).__name__, code=result.code[:40])
        if isinstance(result, Misconfigured):
            log.error("%s refuses us (%s): paused, an operator is needed", held.provider, result.code)
            runtime.pause(held.provider)
    _write(runtime, results)


def _write(runtime: Runtime, results: Sequence[Result]) -> None:
    """Together, for speed; each alone when they cannot be, for one that fails must not leave the others unsure."""
    now = runtime.clock()
    try:
        with runtime.database.write() as session:
            for held, result in results:
                if isinstance(result, Rejected) and result.opted_out:
                    runtime.teller.stop(session, held.msisdn, now)
                runtime.teller.heard(session, outbox.settle(session, held, result, now), now)
    except Exception:
        log.exception("%d sends could not be settled", len(results))
        for one in results if len(results) > 1 else ():
            _write(runtime, [one])
