"""Limits: how often in a day a telephone gets what costs money or could be guessed. A repeat counts once."""

from __future__ import annotations

from gateway.runtime import Runtime

A_DAY_S = 86_400


def allows(runtime: Runtime, purpose: str, msisdn: str, what: str, a_day: int) -> bool:
    """Whether `what` is within what this number may have of `purpose` in the day that its first one began.

    Raises redis's errors: the caller knows whether to refuse or to go on.
    """
    key = f"limit:{purpose}:{runtime.vault.blind(msisdn, 'limit').hex()}"
    with runtime.redis.pipeline() as together:
        together.sadd(key, runtime.vault.blind(what, "limit"))
        together.expire(key, A_DAY_S, nx=True)
        together.scard(key)
        return int(together.execute()[-1]) <= a_day
