"""Deliver: claim, send, settle. Hundreds of sends are in flight; a slow one holds up its own place and no other.

The event loop waits for providers, threads beside it for the database; no connection is held while a provider thinks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy.orm import Session

from channels.base import Accepted, Misconfigured, Outbound, Rejected, SendError, Throttled, Unavailable, Unknown
from channels.line import WINDOW
from gateway import outbox, routes
from gateway.db import away
from gateway.hours import lanes_awake
from gateway.outbox import Claim
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

# Claimed in one statement. A claim is made only for free places, and while not too many answers wait to be written
# down: a lease need only outlast one time limit, and a killed worker leaves few sends behind of which nobody is sure.
AT_ONCE = 128
MOST_UNWRITTEN = WINDOW
# A provider that was left alone is handed so many, and no more until it has answered.
FEW = 8
# A job takes nothing new in hand after so long, so that no other waits for it: the relay wakes what is left.
SLICE_S = 20.0
# What providers have answered is kept so long while the database is away, and written down as soon as it is back.
KEPT_S = 60.0
TRIED_AGAIN_AFTER_S = 0.5
# What ends within this time is settled together: a statement for each few would cost more than the sends.
GATHERED_S = 0.03

Result = Accepted | SendError


def deliver(runtime: Runtime, provider: str, lane: int, ids: list[str],
            may_go: Callable[[], bool] = lambda: True) -> int:
    """Send those of these messages that are still due by this provider. Returns how many were claimed.

    Once one `may_go` no more, what is in the air is settled, and the others are left to the relay. Where this house has
    no such provider any more, the relay draws another once their alarm is over.
    """
    if provider not in runtime.channels:
        return 0
    return runtime.loop.run(_Flight(runtime, provider, lane, may_go).fly([UUID(written) for written in ids]))


def begin(runtime: Runtime, provider: str, lane: int, ids: list[str]) -> None:
    """The job. Its worker waits until all but the last few are answered: of those a provider may say nothing until its
    time limit, and what is due next would wait with them. For an answer to a person it does not wait at all."""
    if provider not in runtime.channels:
        return
    flight, messages = _Flight(runtime, provider, lane, lambda: True), [UUID(written) for written in ids]
    if lane == outbox.REPLY:
        runtime.loop.begin(flight.fly(messages))
        return
    try:
        runtime.loop.run(flight.fly_but_few(messages))
    finally:
        runtime.loop.begin(flight.land())


class _Flight:
    """The sends of one job."""

    def __init__(self, runtime: Runtime, provider: str, lane: int, may_go: Callable[[], bool]) -> None:
        self._runtime, self._provider, self._lane, self._may_go = runtime, provider, lane, may_go
        self._flying: set[asyncio.Task[None]] = set()
        self._ended: list[tuple[Claim, Result]] = []
        self._settling: asyncio.Task[None] | None = None
        self._landed = asyncio.Event()
        self._in_air = 0
        self._unwritten = 0
        self._again_s = 0.0
        self._wary = False

    async def fly(self, ids: Sequence[UUID]) -> int:
        """Whatever happens to the claims, what is in the air is settled."""
        try:
            return await self._take_off(ids)
        finally:
            await self.land()

    async def fly_but_few(self, ids: Sequence[UUID]) -> None:
        """Until no more than a few are in the air, and none of a provider that is yet to answer: `land` waits for them.

        So what all jobs together have in the air is bounded as well.
        """
        await self._take_off(ids)
        await self._until(lambda: self._in_air <= (0 if self._wary else FEW))

    async def land(self) -> None:
        """Wait until what is in the air is settled."""
        while self._flying or self._settling:
            await asyncio.wait([*self._flying, *([self._settling] if self._settling else [])])

    async def _take_off(self, ids: Sequence[UUID]) -> int:
        """Returns how many were claimed, once they are all in the air."""
        claimed = 0
        async for claims in self._claims(ids):
            claimed += len(claims)
            self._launch(claims)
        return claimed

    async def _claims(self, ids: Sequence[UUID]) -> AsyncIterator[list[Claim]]:
        """One lot after the other, each once there is room for it; what there is no time for is left to the relay."""
        ends, at = time.monotonic() + SLICE_S, 0
        self._wary = await asyncio.to_thread(self._runtime.pace.wary, self._provider)
        while at < len(ids) and time.monotonic() < ends and self._may_go():
            await self._until(lambda: self._in_air <= (0 if self._wary else WINDOW - AT_ONCE)
                              and self._unwritten <= MOST_UNWRITTEN)
            granted = await asyncio.to_thread(self._granted, len(ids) - at)
            if not granted:
                break
            yield await asyncio.to_thread(self._claim, ids[at:at + granted])
            at += granted
        if at < len(ids):
            await asyncio.to_thread(self._leave, ids[at:])

    async def _until(self, there_is_room: Callable[[], bool]) -> None:
        while not there_is_room():
            self._landed.clear()
            await self._landed.wait()

    # In threads beside the loop

    def _granted(self, most: int) -> int:
        """How many may be claimed now, each reckoned as one part until it is read.

        For a stopped provider none, or the one that tries whether it takes us again.
        """
        runtime, provider = self._runtime, self._provider
        with runtime.database.read() as session:
            stopped = provider in routes.stops(session)
        taken = runtime.pace.take(provider, 1 if stopped else min(most, FEW if self._wary else AT_ONCE), self._lane)
        self._again_s = taken.again_s
        if not stopped or not taken.parts:
            return taken.parts
        with runtime.database.write() as session:
            return int(routes.may_try(session, provider, runtime.clock()))

    def _claim(self, ids: Sequence[UUID]) -> list[Claim]:
        runtime, now = self._runtime, self._runtime.clock()
        lease = timedelta(seconds=runtime.settings.lease_s)
        try:
            with runtime.database.write() as session:
                claims = outbox.claim(session, runtime.vault, ids, self._provider, now, lease,
                                      lanes_awake(now, runtime.settings.asleep))
        except Exception:
            log.exception("a claim failed: those in flight are settled, and the relay will wake these again")
            return []
        runtime.pace.charge(self._provider, sum(held.parts for held in claims) - len(claims))
        if len(claims) < len(ids):
            self._close_suppressed(ids)
        return claims

    def _close_suppressed(self, ids: Sequence[UUID]) -> None:
        """What nobody may text goes by letter. After the claim is committed, which must not fail of it."""
        runtime, now = self._runtime, self._runtime.clock()
        try:
            with runtime.database.write() as session:
                for settlement in outbox.close_suppressed(session, ids, now):
                    runtime.teller.heard(session, settlement, now)
        except Exception:
            log.exception("texts to suppressed numbers could not be ended, and will be woken again")

    def _leave(self, ids: Sequence[UUID]) -> None:
        """They are woken again once it makes sense to ask for a place: at once of another, if this is left alone."""
        try:
            with self._runtime.database.write() as session:
                waits = self._again_s and not self._others_carry(session)
                until = self._runtime.clock() + timedelta(seconds=self._again_s) if waits else None
                outbox.rest(session, ids, until)
        except Exception:
            log.exception("%d texts wait for their alarm", len(ids))

    def _others_carry(self, session: Session) -> bool:
        """Whether this provider is left alone and another is not."""
        pace = self._runtime.pace
        others = set(self._runtime.settings.carrying) - {self._provider, *routes.stops(session)}
        return pace.held(self._provider) and not all(map(pace.held, others))

    # On the loop

    def _launch(self, claims: Sequence[Claim]) -> None:
        for group in _groups(claims, self._runtime.channels[self._provider].together):
            task = asyncio.create_task(self._send(group))
            self._flying.add(task)
            task.add_done_callback(self._flying.discard)
        self._in_air += len(claims)

    async def _send(self, group: Sequence[Claim]) -> None:
        """A place is free once its answer was heeded: who refuses us, or says nothing, is handed no more."""
        began = time.monotonic()
        ended = list(zip(group, await self._results(group), strict=True))
        try:
            await self._heed(ended, began)
        finally:
            self._in_air -= len(group)
            self._unwritten += len(group)
            self._landed.set()
            self._ended.extend(ended)
            if self._settling is None:
                self._settling = asyncio.create_task(self._settle())

    async def _heed(self, ended: Sequence[tuple[Claim, Result]], began: float) -> None:
        if any(isinstance(result, SendError) for _, result in ended):
            await asyncio.to_thread(heed, self._runtime, ended)
        if all(isinstance(result, Unknown) and result.code == "read_timeout" for _, result in ended):
            await asyncio.to_thread(self._runtime.pace.unanswered, self._provider, began)
        else:
            self._runtime.pace.answered(self._provider)
            self._wary = False

    async def _results(self, group: Sequence[Claim]) -> list[Result]:
        """A worker that slept through its lease sends nothing: another may have sent by now."""
        channel = self._runtime.channels[self._provider]
        if self._runtime.clock() >= group[0].until:
            return [Unavailable("lease_over")] * len(group)
        texts = [Outbound(held.token, held.msisdn, held.body) for held in group]
        try:
            return await channel.send_all(texts) if len(texts) > 1 else [await channel.send(texts[0])]
        except SendError as error:
            return [error] * len(group)
        except Exception as error:
            log.exception("a send by %s ended in no known way", self._provider)
            return [Unknown(type(error).__name__)] * len(group)

    async def _settle(self) -> None:
        """One after the other, each all that has ended by then."""
        try:
            while self._ended:
                await asyncio.sleep(GATHERED_S)
                ended, self._ended = self._ended, []
                await self._written(ended)
                self._unwritten -= len(ended)
                self._landed.set()
        finally:
            self._settling = None

    async def _written(self, ended: Sequence[tuple[Claim, Result]]) -> None:
        """Nobody else knows what a provider has answered: it is not forgotten because the database is away."""
        ends = time.monotonic() + KEPT_S
        while ended := await asyncio.to_thread(settle, self._runtime, ended):
            if time.monotonic() > ends:
                log.error("%d sends were never written down: the database was away for too long", len(ended))
                return
            await asyncio.sleep(TRIED_AGAIN_AFTER_S)


def heed(runtime: Runtime, results: Sequence[tuple[Claim, Result]]) -> None:
    """Do what the errors of these sends ask for."""
    for held, result in results:
        if isinstance(result, SendError):
            runtime.count("send_errors", provider=held.provider, kind=type(result).__name__, code=result.code[:40])
            if outbox.THEIRS.fullmatch(result.code):
                runtime.heed(held.provider, result.code)
        if isinstance(result, Throttled):
            runtime.pace.hold(held.provider, result.retry_after_s)
    _stop(runtime, {held.provider: result.code for held, result in results if isinstance(result, Misconfigured)})


def _stop(runtime: Runtime, refused: Mapping[str, str]) -> None:
    """Before the texts are due again, so that none is handed to who has just refused us."""
    for provider, code in refused.items():
        try:
            with runtime.database.write() as session:
                routes.stop(session, provider, code, runtime.clock())
        except Exception:
            log.exception("%s refuses us (%s), and could not be stopped", provider, code)


def settle(runtime: Runtime, results: Sequence[tuple[Claim, Result]]) -> Sequence[tuple[Claim, Result]]:
    """Write down how these sends ended. Returns those that were not, since the database is away for the moment.

    Together, for speed; each alone when they cannot be, for one that fails must not leave the others unsure.
    """
    now = runtime.clock()
    try:
        with runtime.database.write() as session:
            for held, result in results:
                if isinstance(result, Rejected) and result.opted_out:
                    runtime.teller.stop(session, held.msisdn, now, "provider", held.provider)
            runtime.teller.heard_all(session, outbox.settle(session, results, now), now)
            began = {held.provider: held.until - timedelta(seconds=runtime.settings.lease_s)
                     for held, result in results if isinstance(result, Accepted)}
            for provider, at in began.items():
                routes.lift(session, provider, at, now)
    except Exception as error:
        if away(error):
            return results
        log.exception("%d sends could not be settled", len(results))
        return [left for one in results for left in settle(runtime, [one])] if len(results) > 1 else []
    return []


def _groups(claims: Sequence[Claim], together: int) -> Iterator[list[Claim]]:
    """Those of one and the same text to different telephones go in one request, where the provider has such a form."""
    if together == 1:
        yield from ([held] for held in claims)
        return
    alike: dict[str, list[dict[str, Claim]]] = defaultdict(lambda: [{}])
    for held in claims:
        lots = alike[held.body]
        if len(lots[-1]) == together or held.msisdn in lots[-1]:
            lots.append({})
        lots[-1][held.msisdn] = held
    yield from (list(lot.values()) for lots in alike.values() for lot in lots if lot)
