"""Voice messages: what callers said of their complaints comes from the provider to us, and is deleted there."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from channels.base import Recorded, Rejected, Telephony, Unavailable
from gateway.registry import voice_message
from gateway.registry.voice_message import Held
from gateway.runtime import Runtime

log = logging.getLogger(__name__)

# All are asked at once, so that a slow provider costs a round two time limits, which the first wait outlasts.
AT_ONCE = 16


def fetch_voice_messages(runtime: Runtime) -> int:
    """Fetch what is due, delete it at its provider, and delete here what was kept for its time.

    Returns how many were taken in hand. Killed at any point, the same is done again: it does no harm.
    """
    now = runtime.clock()
    with runtime.database.write() as session:
        voice_message.expire(session, now, runtime.settings.recording_days)
        left = voice_message.give_up(session, now)
        held = voice_message.claim(session, runtime.vault, list(runtime.telephones), now, AT_ONCE)
    for provider, state in left:
        log.error("a voice message that is %s is left with %s, which was asked too often", state, provider)
        _count(runtime, provider, "lost" if state == "gone" else "left")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: _take(runtime, one), held))
    return len(held)


def _take(runtime: Runtime, held: Held) -> None:
    """One message. Where it fails on the way, it is due again after the wait that was set when it was claimed."""
    provider, recorded = runtime.telephones[held.provider], Recorded(held.provider, held.url, held.seconds)
    try:
        if held.wanted:
            _fetch(runtime, provider, held, recorded)
        _delete(runtime, provider, held, recorded)
    except Unavailable as error:
        _count(runtime, held.provider, "later")
        log.info("a voice message with %s has to wait (%s)", held.provider, error.code)
    except Exception:
        log.exception("a voice message with %s ended in no known way", held.provider)


def _fetch(runtime: Runtime, provider: Telephony, held: Held, recorded: Recorded) -> None:
    try:
        audio = provider.fetch(recorded)
        if not audio:
            raise Rejected("empty")
    except Rejected as error:
        log.error("a voice message with %s is no sound (%s): it is lost", held.provider, error.code)
        _count(runtime, held.provider, "lost")
        with runtime.database.write() as session:
            voice_message.lose(session, held.id, runtime.clock())
    else:
        with runtime.database.write() as session:
            voice_message.keep(session, runtime.vault, held.id, audio, runtime.clock())
        _count(runtime, held.provider, "fetched")


def _delete(runtime: Runtime, provider: Telephony, held: Held, recorded: Recorded) -> None:
    """Nothing is deleted there before it was read here from where it is kept."""
    with runtime.database.read() as session:
        voice_message.check(session, runtime.vault, held.id)
    try:
        provider.delete(recorded)
    except Rejected as error:
        # Nobody can do anything about it at this moment: how long it is kept there stands in a contract.
        log.info("%s does not delete a voice message (%s)", held.provider, error.code)
        _count(runtime, held.provider, "not_deleted")
        deleted_at = None
    else:
        deleted_at = runtime.clock()
    with runtime.database.write() as session:
        voice_message.close(session, held.id, deleted_at)


def _count(runtime: Runtime, provider: str, outcome: str) -> None:
    runtime.count("voice_messages", provider=provider, outcome=outcome)
