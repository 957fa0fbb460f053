"""The faults a provider was told to show, and the dice that say which request meets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from random import Random
from threading import Lock

LONGEST_S = 3600.0


class BadBehaviour(ValueError):
    """A behaviour that does not exist, or is out of its bounds. The message names it."""


@dataclass(frozen=True)
class Behaviour:
    """All times are in seconds; everything that is not a time is a share, from 0 (never) to 1 (always).

    A stalled request is held for `stall_s` and then dropped without an answer; *before* means that the text
    was not accepted, *after* that it was.
    """

    delay_s: float = 0.0
    stall_s: float = 30.0
    retry_after_s: float = 1.0
    receipt_delay_s: tuple[float, float] = (0.1, 0.5)
    refuse: float = 0.0
    throttle: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    stall_before: float = 0.0
    stall_after: float = 0.0
    undelivered: float = 0.0
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
    """What befalls one request to send."""

    delay_s: float
    stall_s: float
    retry_after_s: float
    stall_before: bool
    error_before: bool
    throttle: bool
    stall_after: bool
    error_after: bool


@dataclass(frozen=True)
class Journey:
    """What befalls one accepted text. The waits are those before its first and before its second receipt."""

    waits_s: tuple[float, float]
    undelivered: bool
    duplicated: bool
    reordered: bool
    early: bool
    lost: bool


class Temper:
    """One provider's behaviour and its dice. Safe to use from several threads."""

    def __init__(self, seed: str) -> None:
        self._lock = Lock()
        self._dice = Random(seed)  # noqa: S311 - it throws faults, and must throw the same ones again
        self._behaviour = Behaviour()

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    def change(self, changes: Mapping[str, object], *, reset: bool = False) -> Behaviour:
        """Raises `BadBehaviour` and changes nothing."""
        with self._lock:
            self._behaviour = (Behaviour() if reset else self._behaviour).changed(changes)
            return self._behaviour

    def fate(self) -> Fate:
        """Throw the dice for a request."""
        with self._lock:
            now = self._behaviour
            return Fate(
                delay_s=now.delay_s,
                stall_s=now.stall_s,
                retry_after_s=now.retry_after_s,
                stall_before=self._falls(now.stall_before),
                error_before=self._falls(now.error_before),
                throttle=self._falls(now.throttle),
                stall_after=self._falls(now.stall_after),
                error_after=self._falls(now.error_after),
            )

    def refuses(self) -> bool:
        """Throw the dice for one recipient."""
        with self._lock:
            return self._falls(self._behaviour.refuse)

    def journey(self) -> Journey:
        """Throw the dice for an accepted text."""
        with self._lock:
            now = self._behaviour
            first, second = sorted(self._dice.uniform(*now.receipt_delay_s) for _ in range(2))
            return Journey(
                waits_s=(first, second - first),
                undelivered=self._falls(now.undelivered),
                duplicated=self._falls(now.duplicate_receipts),
                reordered=self._falls(now.reorder_receipts),
                early=self._falls(now.early_receipts),
                lost=self._falls(now.lose_receipts),
            )

    def _falls(self, share: float) -> bool:
        return self._dice.random() < share


def _checked(name: str, value: object) -> float | tuple[float, float]:
    if name == "receipt_delay_s":
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise BadBehaviour(f"{name}: write [least, most]")
        least, most = (_number(name, bound, LONGEST_S) for bound in value)
        if least > most:
            raise BadBehaviour(f"{name}: write [least, most]")
        return least, most
    return _number(name, value, LONGEST_S if name.endswith("_s") else 1.0)


def _number(name: str, value: object, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadBehaviour(f"{name}: write a number from 0 to {most:g}")
    return float(value)
