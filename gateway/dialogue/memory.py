"""Memory: what a conversation has come to, in Redis, sealed; and where a telephone's last one broke off.

Keys that were typed are not kept, only their length and fingerprint: enough to tell the next input from a repeated or
rewritten callback, and no PIN lies anywhere in clear. Where it broke off is a way through the menus, and no answer.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic, sleep
from typing import Any

from redis import Redis
from redis.client import Pipeline

from channels.base import Screen
from gateway.vault import CannotOpen, Vault

LIVES_S = 600
BROKEN_OFF_S = 1800
LOCK_S = 10
# As long as a network waits for us: the turn that is being answered comes to its screen, and its twin to the same.
WAIT_S = 7.0
LOOKS_AGAIN_S = 0.02
NEVER_TYPED = "\x00"
FREE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end"
# Nobody reads a screen and answers it faster: the same input so soon is the network's.
TWITCH = timedelta(seconds=1)


class Busy(Exception):
    """Another turn of the same session is being answered, and took too long."""


@dataclass(frozen=True)
class Remembered:
    """Where the session stands (`position`, as JSON) and the screen that was last shown, and when."""

    length: int
    fingerprint: str
    at: datetime
    position: dict[str, Any] = field(repr=False)
    screen: Screen = field(repr=False)
    order: str = ""


class Memory:
    """Conversations by (provider, session, number). Redis may forget them at any time: the text is enough to go on."""

    def __init__(self, redis: Redis, vault: Vault) -> None:
        self._redis = redis
        self._vault = vault

    def key(self, provider: str, session_id: str, msisdn: str) -> str:
        """A name for the session that holds no number."""
        return "ussd:" + self._vault.blind(f"{provider}/{session_id}/{msisdn}", "ussd.session").hex()

    @contextmanager
    def turn(self, key: str) -> Iterator[Turn]:
        """One turn at a time, in two trips to Redis: one takes it and recalls, one keeps what it came to and frees it.

        Raises `Busy` after `WAIT_S`.
        """
        token = secrets.token_bytes(8)
        before = self._take(key, token)
        writes = self._redis.pipeline(transaction=False)
        try:
            yield Turn(self, key, before, writes)
        except BaseException:
            writes.reset()
            raise
        finally:
            # It may have run out, or gone with Redis: then it is nobody's, or another turn's, and stays.
            writes.eval(FREE, 1, key + ":turn", token)
            writes.execute()

    def recall(self, key: str) -> Remembered | None:
        """What this session came to, or None when it is new or was forgotten."""
        return self._opened(key, self._redis.get(key))

    def repeats(self, key: str, before: Remembered, text: str, now: datetime, *, numbered: bool) -> bool:
        """Whether `text` is that of the turn before once more: by its number, or because nobody is so fast."""
        same = before.fingerprint == self._fingerprint(key, text)
        return same and (numbered or now - before.at < TWITCH)

    def left(self, msisdn: str) -> tuple[str, ...]:
        """Where this telephone's last call broke off, within half an hour."""
        name = self._left(msisdn)
        sealed = self._redis.get(name)
        try:
            return tuple(json.loads(self._vault.open(sealed, "ussd.left", name))) if isinstance(sealed, bytes) else ()
        except CannotOpen:
            return ()

    def previous(self, key: str, remembered: Remembered | None, text: str) -> str | None:
        """The text of the turn before, found again in the new one; `NEVER_TYPED` when it is not a part of it."""
        if remembered is None:
            return None
        start = text[: remembered.length]
        return start if self._fingerprint(key, start) == remembered.fingerprint else NEVER_TYPED

    def _take(self, key: str, token: bytes) -> Remembered | None:
        deadline = monotonic() + WAIT_S
        while monotonic() < deadline:
            together = self._redis.pipeline(transaction=False)
            together.set(key + ":turn", token, nx=True, ex=LOCK_S)
            together.get(key)
            taken, sealed = together.execute()
            if taken:
                return self._opened(key, sealed)
            sleep(LOOKS_AGAIN_S)
        raise Busy

    def _opened(self, key: str, sealed: object) -> Remembered | None:
        if not isinstance(sealed, bytes):
            return None
        try:
            kept = json.loads(self._vault.open(sealed, "ussd.memory", key))
        except CannotOpen:
            return None
        return Remembered(kept["length"], kept["fingerprint"], datetime.fromisoformat(kept["at"]), kept["position"],
                          Screen(kept["text"], kept["final"]), kept["order"])

    def _sealed(self, key: str, text: str, position: Mapping[str, Any], screen: Screen, now: datetime,
                order: str) -> bytes:
        kept = {"length": len(text), "fingerprint": self._fingerprint(key, text), "at": now.isoformat(),
                "position": position, "text": screen.text, "final": screen.final, "order": order}
        return self._vault.seal(json.dumps(kept), "ussd.memory", key)

    def _left(self, msisdn: str) -> str:
        return f"left:{self._vault.blind(msisdn, 'ussd.left').hex()}"

    def _fingerprint(self, key: str, text: str) -> str:
        return self._vault.blind(key + text, "ussd.typed").hex()


class Turn:
    """One turn of a conversation: what it came to before, and what is kept when it is over."""

    def __init__(self, memory: Memory, key: str, before: Remembered | None, writes: Pipeline) -> None:
        self.before = before
        self._memory, self._key, self._writes = memory, key, writes

    def remember(self, text: str, position: Mapping[str, Any], screen: Screen, now: datetime, *,
                 lives_s: int = LIVES_S, order: str = "") -> None:
        """Keep where the session stands after `text`; `order` is the network's own count of its turns."""
        sealed = self._memory._sealed(self._key, text, position, screen, now, order)
        self._writes.set(self._key, sealed, ex=lives_s)

    def leave(self, msisdn: str, way: Sequence[str]) -> None:
        """Where this telephone would go on if the call broke off now; nowhere, where `way` is empty."""
        name = self._memory._left(msisdn)
        if way:
            sealed = self._memory._vault.seal(json.dumps(list(way)), "ussd.left", name)
            self._writes.set(name, sealed, ex=BROKEN_OFF_S)
        else:
            self._writes.delete(name)

    def count(self, name: str, /, **labels: str) -> None:
        """As `Runtime.count`, on the same trip."""
        self._writes.hincrbyfloat("figures", json.dumps([name, labels]), 1)
