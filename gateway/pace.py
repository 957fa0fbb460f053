"""Pace: how many parts a second a provider may be handed, whoever hands them over.

A bucket of tokens in Redis for each provider and sender, one token a part (Lua, one key, by the server's own clock).
Bulk leaves a fifth of it to replies. Who asks us for patience, or answers nothing, is left alone for a while, and gets
half as much afterwards, rising again within a minute. Without Redis each process keeps a slow pace of its own, and
replies go.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from redis import Redis
from redis.exceptions import RedisError

from gateway.outbox.message import REPLY

log = logging.getLogger(__name__)

# A text of several parts must fit into what the bucket holds at most.
LEAST_BURST = 10
RESERVED = 0.2
LEAST_SHARE = 0.1
RECOVERS_S = 60
# What a process allows itself while nobody can tell what the others take.
ALONE = 0.1
# Who answers none of so many sends is left alone for some seconds: each of them takes a worker its whole time limit.
SILENT = 8
SILENT_S = 30.0
# Whoever was left alone is handed few texts at first, for so long.
WARY_S = 60.0

# KEYS: the bucket. ARGV: parts a second (0: no limit), the most it holds, wanted, reserved. Returns granted parts and
# the seconds after which asking again makes sense.
TAKE = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local rate, burst, wanted, reserved = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'hold', 'share')
local hold = tonumber(kept[3])
if hold and now < hold then return {0, tostring(hold - now)} end
if rate == 0 then return {wanted, '0'} end
local at = tonumber(kept[2]) or now
local passed = math.max(0, now - at)
local share = math.min(1, (tonumber(kept[4]) or 1) + passed / tonumber(ARGV[5]))
local tokens = math.min(burst, (tonumber(kept[1]) or burst) + passed * rate * share)
local granted = math.max(0, math.min(wanted, math.floor(tokens - reserved)))
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - granted), 'at', tostring(now), 'share', tostring(share))
redis.call('EXPIRE', KEYS[1], 3600)
return {granted, tostring((reserved + 1 - (tokens - granted)) / (rate * share))}
"""
# KEYS: the bucket. ARGV: seconds to hold, the least share.
HOLD = """
local clock = redis.call('TIME')
local now = tonumber(clock[1]) + tonumber(clock[2]) / 1000000
local until_ = now + tonumber(ARGV[1])
local kept = redis.call('HMGET', KEYS[1], 'hold', 'share')
if not (tonumber(kept[1]) and tonumber(kept[1]) >= until_) then
  redis.call('HSET', KEYS[1], 'hold', tostring(until_))
  redis.call('HSET', KEYS[1], 'share', tostring(math.max(tonumber(ARGV[2]), (tonumber(kept[2]) or 1) / 2)))
end
redis.call('EXPIRE', KEYS[1], 7200)
"""


@dataclass(frozen=True)
class Granted:
    """So many parts may go now. `again_s` is after how many seconds it makes sense to ask for more."""

    parts: int
    again_s: float


@dataclass(frozen=True)
class Pace:
    """`rates` are parts a second by provider; one that is not named has no limit but its own patience."""

    redis: Redis
    rates: Mapping[str, float]
    senders: Mapping[str, str]
    _alone: dict[str, tuple[float, float]] = field(default_factory=dict, repr=False)
    _unanswered: dict[str, int] = field(default_factory=dict, repr=False)
    _answered_at: dict[str, float] = field(default_factory=dict, repr=False)

    def take(self, provider: str, parts: int, lane: int) -> Granted:
        """Take as many of these parts as may go now."""
        rate = self.rates.get(provider, 0.0)
        burst = max(rate, LEAST_BURST)
        reserved = 0.0 if lane == REPLY else RESERVED * burst
        try:
            granted, again = self.redis.eval(
                TAKE, 1, self._key(provider), rate, burst, parts, reserved, RECOVERS_S)
        except RedisError:
            return Granted(parts, 0.0) if lane == REPLY else self._take_alone(provider, rate, parts)
        return Granted(int(granted), min(max(float(again), 0.0), 60.0))

    def held(self, provider: str, since_s: float = 0.0) -> bool:
        """Whether it has asked for patience, or fell silent, and that time is not over, or has not been for long."""
        try:
            until = self.redis.hget(self._key(provider), "hold")
            return until is not None and float(until) + since_s > self.redis.time()[0]
        except RedisError:
            return False

    def wary(self, provider: str) -> bool:
        """Whether it is to be tried by few texts before it is handed many."""
        return self.held(provider, WARY_S)

    def answered(self, provider: str) -> None:
        """It has said something to a send, whatever it was."""
        self._unanswered[provider], self._answered_at[provider] = 0, time.monotonic()

    def unanswered(self, provider: str, began: float) -> None:
        """A send, begun then by the monotonic clock, had no answer within its time limit.

        Where another was answered since, that is no silence: the few that stall end last, one after the other.
        """
        if self._answered_at.get(provider, -math.inf) >= began:
            return
        self._unanswered[provider] = self._unanswered.get(provider, 0) + 1
        if self._unanswered[provider] >= SILENT:
            self._unanswered[provider] = 0
            log.warning("%s has answered none of %d sends: it is left alone for %d s", provider, SILENT, SILENT_S)
            self.hold(provider, SILENT_S)

    def most(self, providers: Collection[str], seconds: float, most: int) -> int:
        """How many texts they may be handed in so many seconds, and at most `most`."""
        if not all(name in self.rates for name in providers):
            return most
        return min(most, math.ceil(seconds * sum(self.rates[name] for name in providers)))

    def charge(self, provider: str, parts: int) -> None:
        """What went was longer than what was taken for it: the next ones wait for it."""
        if parts > 0 and provider in self.rates:
            with suppress(RedisError):
                self.redis.hincrbyfloat(self._key(provider), "tokens", -parts)

    def hold(self, provider: str, seconds: float) -> None:
        """This provider has asked for patience."""
        try:
            self.redis.eval(HOLD, 1, self._key(provider), seconds, LEAST_SHARE)
        except RedisError:
            self._alone[provider] = (0.0, time.monotonic() + seconds)

    def _take_alone(self, provider: str, rate: float, parts: int) -> Granted:
        slow, now = max(ALONE * rate, 1.0), time.monotonic()
        tokens, at = self._alone.get(provider, (float(LEAST_BURST), now))
        tokens = min(LEAST_BURST, tokens + max(0.0, now - at) * slow)
        granted = min(parts, int(tokens))
        self._alone[provider] = (tokens - granted, max(now, at))
        return Granted(granted, 1 / slow)

    def _key(self, provider: str) -> str:
        return f"pace:{{{provider}:{self.senders.get(provider, '')}}}"
