"""Limits: how often a telephone, or a client, gets what costs money or could be guessed. A repeat counts once."""

from __future__ import annotations

from gateway.runtime import Runtime

A_MINUTE_S = 60
A_DAY_S = 86_400


def allows(runtime: Runtime, purpose: str, who: str, what: str, a_day: int) -> bool:
    """Whether `what` is within what this number (or client) may have of `purpose` in the day that its first one began.

    Raises redis's errors: the caller knows whether to refuse or to go on.
    """
    key = _key(runtime, purpose, who)
    with runtime.redis.pipeline() as together:
        together.sadd(key, runtime.vault.blind(what, "limit"))
        together.expire(key, A_DAY_S, nx=True)
        together.scard(key)
        return int(together.execute()[-1]) <= a_day


def used_up(runtime: Runtime, purpose: str, who: str, a_day: int) -> int:
    """The seconds until the day is over in which all that is allowed was used; 0 where some is left. Counts nothing."""
    key = _key(runtime, purpose, who)
    with runtime.redis.pipeline() as together:
        together.scard(key)
        together.ttl(key)
        count, left_s = together.execute()
    return max(int(left_s), 1) if int(count) >= a_day else 0


def too_fast(runtime: Runtime, purpose: str, who: str, a_minute: int) -> int:
    """Count one; the seconds to wait where more came in this minute than may, else 0."""
    key = _key(runtime, purpose, who)
    with runtime.redis.pipeline() as together:
        together.incr(key)
        together.expire(key, A_MINUTE_S, nx=True)
        together.ttl(key)
        count, _, left_s = together.execute()
    return max(int(left_s), 1) if int(count) > a_minute else 0


def _key(runtime: Runtime, purpose: str, who: str) -> str:
    return f"limit:{purpose}:{runtime.vault.blind(who, 'limit').hex()}"
