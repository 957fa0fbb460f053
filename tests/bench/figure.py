"""Figure: one line of the bench, and how it is timed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

# `SCALE=full make bench` takes some minutes instead of one.
FULL = os.environ.get("SCALE") == "full"


@dataclass(frozen=True)
class Figure:
    """A measured value beside that of the plain way to do the same. `target` is what the project aims at."""

    name: str
    value: float
    unit: str
    baseline: float
    target: str | None = None

    def row(self) -> dict[str, Any]:
        """As it stands in `var/bench.json`. `ratio` is value over baseline."""
        ratio = round(self.value / self.baseline, 3)
        named = {**asdict(self), "value": round(self.value, 3), "baseline": round(self.baseline, 3), "ratio": ratio}
        return {key: named[key] for key in ("name", "value", "unit", "baseline", "ratio", "target")}


def scaled(usual: int, full: int) -> int:
    """How many, by `SCALE`."""
    return full if FULL else usual


def per_second(count: int, work: Callable[[], object], rounds: int = 3) -> float:
    """Do `work`, which handles `count` things; the best of some rounds, since a neighbour only ever slows."""
    return max(count / _seconds(work) for _ in range(rounds))


def cpu_ms(count: int, work: Callable[[], object]) -> float:
    """Processor time of each of `count` things, whichever of our threads took it."""
    began = time.process_time()
    work()
    return (time.process_time() - began) * 1000 / count


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
