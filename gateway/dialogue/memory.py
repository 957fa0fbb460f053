"""Memory: what a USSD session has come to, in Redis, sealed, for ten minutes.

What was typed is not kept, only its length and fingerprint: enough to tell the next input from a repeated or
rewritten callback, and no PIN lies anywhere.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import LockError

from channels.base import Screen
from gateway.vault import CannotOpen, Vault

LIVES_S = 600
LOCK_S = 10
WAIT_S = 3.0
NEVER_TYPED = "\x00"


class Busy(Exception):
    """Another turn of the same session is being answered, and took too long."""


@dataclass(frozen=True)
class Remembered:
    """Where the session stands (`position`, as JSON) and the screen that was last shown."""

    length: int
    fingerprint: str
    position: dict[str, Any] = field(repr=False)
    screen: Screen = field(repr=False)


class Memory:
    """Sessions by (provider, session, number). Redis may forget them at any time: the text is enough to go on."""

    def __init__(self, redis: Redis, vault: Vault) -> None:
        self._redis = redis
        self._vault = vault

    def key(self, provider: str, session_id: str, msisdn: str) -> str:
        """A name for the session that holds no number."""
        return "ussd:" + self._vault.blind(f"{provider}/{session_id}/{msisdn}", "ussd.session").hex()

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """One turn at a time. Raises `Busy` after three seconds of waiting."""
        lock = self._redis.lock(key + ":turn", timeout=LOCK_S, sleep=0.02, blocking_timeout=WAIT_S)
        if not lock.acquire():
            raise Busy
        try:
            yield
        finally:
            # It may have run out, or gone with Redis: then it is nobody's, or another turn's, and stays.
            with suppress(LockError):
                lock.release()

    def recall(self, key: str) -> Remembered | None:
        """What this session came to, or None when it is new or was forgotten."""
        sealed = self._redis.get(key)
        if not isinstance(sealed, bytes):
            return None
        try:
            kept = json.loads(self._vault.open(sealed, "ussd.memory", key))
        except CannotOpen:
            return None
        return Remembered(kept["length"], kept["fingerprint"], kept["position"],
                          Screen(kept["text"], kept["final"]))

    def remember(self, key: str, text: str, position: dict[str, Any], screen: Screen) -> None:
        """Keep where the session stands after `text`."""
        kept = {"length": len(text), "fingerprint": self._fingerprint(key, text), "position": position,
                "text": screen.text, "final": screen.final}
        self._redis.set(key, self._vault.seal(json.dumps(kept), "ussd.memory", key), ex=LIVES_S)

    def previous(self, key: str, remembered: Remembered | None, text: str) -> str | None:
        """The text of the turn before, found again in the new one; `NEVER_TYPED` when it is not a part of it."""
        if remembered is None:
            return None
        start = text[: remembered.length]
        return start if self._fingerprint(key, start) == remembered.fingerprint else NEVER_TYPED

    def _fingerprint(self, key: str, text: str) -> str:
        return self._vault.blind(key + text, "ussd.typed").hex()
