"""The faults a provider was told to show, and the dice that say which request meets one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from random import Random
from threading import Lock
from typing import Literal, get_args

from channels.sandbox.book import Failure

LONGEST_S = 3600.0
# Of those that may be longer: a receipt that is days late, and a wait that nobody can mean.
LONGER_S = {"receipts_late_s": 7 * 86_400.0, "retry_after_s": 1e9}

# How a request ends badly.
#   stall      held for `stall_s`, then the connection is closed without an answer
#   error      status 500, in the provider's words
#   garbage    status 201 and a page of HTML, or JSON that breaks off
#   reset      the connection is torn down at once (RST)
#   half_open  neither answered nor closed for as long as the client waits, as when packets are dropped on the way
Break = Literal["stall", "error", "garbage", "reset", "half_open"]
BREAKS: tuple[Break, ...] = get_args(Break)
# An accepted text that fails, by the behaviour that makes it: the first that falls.
FAILURES: dict[str, Failure] = {"undelivered": "nobody", "temporary": "absent", "unknown_outcome": "unheard_of"}


class BadBehaviour(ValueError):
    """A behaviour that does not exist, or is out of its bounds. The message names it."""


@dataclass(frozen=True)
class Behaviour:
    """All times are in seconds; everything that is not a time is a share, from 0 (never) to 1 (always).

    *before* means that the text was not accepted, *after* that it was. A share from `refuse` to `unknown_refusal` is
    one of refusals, each with the provider's own code: no route, the person has opted out, the account is empty (to
    Twilio: closed), the key is revoked, the sender is not the account's, and a code that no table has.

    `drip_s` is the wait before each byte of an answer, `receipts_late_s` how long after its first step the receipts
    of a text begin to come. Of the throttled, `odd_retry_after` are told to wait until a date, or in words. Of the
    accepted, `nameless` are told no name of the provider's, and `charset` in JSON whose type names a charset.
    """

    delay_s: float = 0.0
    drip_s: float = 0.0
    stall_s: float = 30.0
    retry_after_s: float = 1.0
    receipt_delay_s: tuple[float, float] = (0.1, 0.5)
    receipts_late_s: float = 0.0
    refuse: float = 0.0
    opted_out: float = 0.0
    balance: float = 0.0
    revoked: float = 0.0
    wrong_sender: float = 0.0
    unknown_refusal: float = 0.0
    throttle: float = 0.0
    odd_retry_after: float = 0.0
    nameless: float = 0.0
    charset: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    stall_before: float = 0.0
    stall_after: float = 0.0
    garbage_before: float = 0.0
    garbage_after: float = 0.0
    reset_before: float = 0.0
    reset_after: float = 0.0
    half_open_before: float = 0.0
    half_open_after: float = 0.0
    undelivered: float = 0.0
    temporary: float = 0.0
    unknown_outcome: float = 0.0
    duplicate_receipts: float = 0.0
    reorder_receipts: float = 0.0
    early_receipts: float = 0.0
    lose_receipts: float = 0.0

    def changed(self, changes: Mapping[str, object]) -> Behaviour:
        """This behaviour with some of its values changed. Raises `BadBehaviour`."""
        unknown = changes.keys() - {field.name for field in fields(self)}
        if unknown:
            raise BadBehaviour(f"no such behaviour: {', '.join(sorted(unknown))}")
        return replace(self, **{name: _checked(name, value) for name, value in changes.items()})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Fate:
    """What befalls one request to send. `side` is that of a coin, where something may be wrong in two ways."""

    delay_s: float
    drip_s: float
    stall_s: float
    retry_after_s: float
    throttle: bool
    odd_retry_after: bool
    charset: bool
    before: Break | None
    after: Break | None
    side: int


@dataclass(frozen=True)
class Journey:
    """What befalls one accepted text. The waits are those before its first and before its second step."""

    waits_s: tuple[float, float]
    late_s: float
    failure: Failure
    duplicated: bool
    reordered: bool
    early: bool
    lost: bool


class Temper:
    """One provider's behaviour and its dice. Safe to use from several threads. `clock` counts seconds."""

    def __init__(self, seed: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = Lock()
        self._clock = clock
        self._dice = Random(seed)  # noqa: S311 - it throws faults, and must throw the same ones again
        self._lasting = self._passing = Behaviour()
        self._passes_at: float | None = None

    @property
    def behaviour(self) -> Behaviour:
        with self._lock:
            return self._now()

    def change(self, changes: Mapping[str, object], *, reset: bool = False, for_s: object = None) -> Behaviour:
        """Raises `BadBehaviour` and changes nothing.

        With `for_s` the change passes after so many seconds, to what lasts; what lasts may be changed meanwhile, and
        then changes what passes too. A second change that passes takes the first one with it.
        """
        lasts_s = None if for_s is None else _number("for_s", for_s, LONGEST_S)
        with self._lock:
            now = (Behaviour() if reset else self._now()).changed(changes)
            if lasts_s is not None:
                self._passes_at = self._clock() + lasts_s
            elif reset:
                self._lasting, self._passes_at = now, None
            else:
                self._lasting = self._lasting.changed(changes)
            self._passing = now
            return now

    def fate(self) -> Fate:
        """Throw the dice for a request."""
        with self._lock:
            now = self._now()
            return Fate(
                delay_s=now.delay_s,
                drip_s=now.drip_s,
                stall_s=now.stall_s,
                retry_after_s=now.retry_after_s,
                throttle=self._falls(now.throttle),
                odd_retry_after=self._falls(now.odd_retry_after),
                charset=self._falls(now.charset),
                before=self._breaks(now, "before"),
                after=self._breaks(now, "after"),
                side=self._dice.randrange(2),
            )

    def first(self, kinds: Iterable[str]) -> str:
        """Throw the dice for a recipient: the first of these behaviours that falls, or nothing."""
        with self._lock:
            now = self._now()
            return next((kind for kind in kinds if self._falls(getattr(now, kind))), "")

    def journey(self) -> Journey:
        """Throw the dice for an accepted text."""
        with self._lock:
            now = self._now()
            first, second = sorted(self._dice.uniform(*now.receipt_delay_s) for _ in range(2))
            failing = (failure for name, failure in FAILURES.items() if self._falls(getattr(now, name)))
            return Journey(
                waits_s=(first, second - first),
                late_s=now.receipts_late_s,
                failure=next(failing, ""),
                duplicated=self._falls(now.duplicate_receipts),
                reordered=self._falls(now.reorder_receipts),
                early=self._falls(now.early_receipts),
                lost=self._falls(now.lose_receipts),
            )

    def _now(self) -> Behaviour:
        if self._passes_at is not None and self._clock() >= self._passes_at:
            self._passing, self._passes_at = self._lasting, None
        return self._passing

    def _breaks(self, now: Behaviour, when: Literal["before", "after"]) -> Break | None:
        return next((how for how in BREAKS if self._falls(getattr(now, f"{how}_{when}"))), None)

    def _falls(self, share: float) -> bool:
        return share > 0 and self._dice.random() < share


def _checked(name: str, value: object) -> float | tuple[float, float]:
    if name == "receipt_delay_s":
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise BadBehaviour(f"{name}: write [least, most]")
        least, most = (_number(name, bound, LONGEST_S) for bound in value)
        if least > most:
            raise BadBehaviour(f"{name}: write [least, most]")
        return least, most
    return _number(name, value, LONGER_S.get(name, LONGEST_S) if name.endswith("_s") else 1.0)


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadBehaviour(f"{name}: write a number from 0 to {most:g}")
    return float(value)
