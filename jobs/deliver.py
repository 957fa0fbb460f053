"""Deliver: claim, send, settle. Many sends are in flight; each is settled as it ends."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import timedelta
from uuid import UUID

from channels.base import Accepted, Misconfigured, Outbound, SendError, Unknown
from gateway import outbox
from gateway.outbox import Claim
from gateway.runtime import Runtime
from jobs.relay import BATCH

log = logging.getLogger(__name__)

# A whole batch at once, so that the lease need only outlast one time limit.
IN_FLIGHT = BATCH


def deliver(runtime: Runtime, ids: list[str]) -> int:
    """Send those of these messages that are still due. Returns how many were claimed."""
    lease = timedelta(seconds=runtime.settings.lease_s)
    with runtime.database.write() as session:
        claims = outbox.claim(session, runtime.vault, map(UUID, ids), runtime.choose, runtime.clock(), lease)
    for held, result in _sent(runtime, claims):
        if isinstance(result, SendError):
            runtime.count("send_errors", provider=held.provider, kind=type(result).__name__, code=result.code[:40])
        if isinstance(result, Misconfigured):
            log.error("%s refuses us (%s): paused, an operator is needed", held.provider, result.code)
            runtime.pause(held.provider)
        now = runtime.clock()
        with runtime.database.write() as session:
            runtime.teller.heard(session, outbox.settle(session, held, result, now), now)
    return len(claims)


def _sent(runtime: Runtime, claims: list[Claim]) -> Iterator[tuple[Claim, Accepted | SendError]]:
    with ThreadPoolExecutor(IN_FLIGHT) as pool:
        sends = {pool.submit(_send, runtime, held): held for held in claims}
        for send in as_completed(sends):
            yield sends[send], send.result()


def _send(runtime: Runtime, held: Claim) -> Accepted | SendError:
    try:
        return runtime.channels[held.provider].send(Outbound(held.token, held.msisdn, held.body))
    except SendError as error:
        return error
    except Exception as error:
        log.exception("a send by %s ended in no known way", held.provider)
        return Unknown(type(error).__name__)
