"""Call backs: people who rang, or could not go on, are called. Nobody is called twice by mistake."""

from __future__ import annotations

import logging
from datetime import timedelta

from channels.base import Accepted, Misconfigured, SendError, Telephony, Throttled, Unavailable, Unknown
from gateway import calling
from gateway.calling import Claim
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

# One after the other: a provider begins about one call a second, and each claim need only outlast one time limit.
AT_ONCE = 10


def call_back(runtime: Runtime) -> int:
    """Make the calls that are due. Returns how many were tried."""
    lease = timedelta(seconds=runtime.settings.lease_s)
    name = runtime.settings.voice_provider
    with runtime.database.write() as session:
        ended = calling.expire(session, runtime.clock(), lease)
    if ended:
        log.error("%d people were promised a call that was not made, or of which nobody can tell", ended)
        runtime.count("call_backs", ended, provider=name, outcome="missed")
    for tried in range(AT_ONCE):
        if not name or runtime.paused(_line(name)):
            return tried
        with runtime.database.write() as session:
            held = calling.claim(session, runtime.vault, name, runtime.clock(), lease)
        if held is None:
            return tried
        _settle(runtime, name, held, _call(runtime, runtime.telephones[name], held))
    return AT_ONCE


def _call(runtime: Runtime, provider: Telephony, held: Claim) -> Accepted | SendError:
    """Africa's Talking asks for what is heard where its dashboard says, whatever the address."""
    if runtime.clock() >= held.until:
        return Unavailable("lease_over")
    try:
        return provider.call(held.msisdn, f"{runtime.settings.public_url}/voice/{provider.name}/placed")
    except SendError as error:
        return error
    except Exception as error:
        log.exception("a call by %s ended in no known way", provider.name)
        return Unknown(type(error).__name__)


def _settle(runtime: Runtime, name: str, held: Claim, result: Accepted | SendError) -> None:
    with runtime.database.write() as session:
        state = calling.settle(session, held, result, runtime.clock())
    runtime.count("call_backs", provider=name, outcome="later" if state == "due" else state)
    if isinstance(result, SendError):
        runtime.count("call_errors", provider=name, kind=type(result).__name__, code=result.code[:40])
    if isinstance(result, Misconfigured):
        log.error("%s refuses our calls (%s): paused, an operator is needed", name, result.code)
    if isinstance(result, Misconfigured | Throttled):
        runtime.pause(_line(name))


def _line(name: str) -> str:
    """What is paused: the calls of a provider, and not its texts."""
    return f"voice:{name}"
