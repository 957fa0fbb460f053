"""Figure: what is handed over: a code, a name, a unit, and the values of the whole and of each group."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

TENTH = Decimal("0.1")
# The groups' names and values, as (("region", "6"), ("area", "rural")); () is the whole.
Group = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Share:
    """So many `of` so many `among`. Where there is none among whom to count there is no percentage."""

    of: int
    among: int

    @property
    def percent(self) -> Decimal | None:
        """To one decimal."""
        return (Decimal(100 * self.of) / self.among).quantize(TENTH) if self.among else None

    def as_text(self) -> str:
        """For a person."""
        return f"{self.of} of {self.among}" + ("" if self.percent is None else f"  {self.percent} %")

    def as_json(self) -> dict[str, Any]:
        """For a machine; the percentage is text, for it is exact."""
        return {"of": self.of, "among": self.among, "percent": _text(self.percent)}


@dataclass(frozen=True)
class Delay:
    """Whole days over all `cases`. A percentile is the smallest number of days that so many cases do not exceed."""

    cases: int
    mean: Decimal | None = None
    median: int | None = None
    p75: int | None = None
    p90: int | None = None

    @classmethod
    def over(cls, cases_by_days: Mapping[int, int]) -> Delay:
        """Of all cases, given how many took how many days."""
        cases = sum(cases_by_days.values())
        if not cases:
            return cls(0)
        mean = Decimal(sum(days * count for days, count in cases_by_days.items())) / cases
        return cls(cases, mean.quantize(TENTH), *(percentile(cases_by_days, p) for p in (50, 75, 90)))

    def as_text(self) -> str:
        """For a person."""
        return f"{self.cases} cases" + (
            f"  median {self.median}  P75 {self.p75}  P90 {self.p90}  mean {self.mean} days" if self.cases else "")

    def as_json(self) -> dict[str, Any]:
        """For a machine."""
        return {"cases": self.cases, "median": self.median, "p75": self.p75, "p90": self.p90, "mean": _text(self.mean)}


@dataclass(frozen=True)
class Change:
    """A number then and now: a stock at the period's beginning and end, or a flow in the period before and in this."""

    before: int
    now: int

    def as_text(self) -> str:
        """For a person."""
        return f"{self.now}  ({self.now - self.before:+} from {self.before})"

    def as_json(self) -> dict[str, Any]:
        """For a machine."""
        return {"before": self.before, "now": self.now}


@dataclass(frozen=True)
class Count:
    """So many."""

    count: int

    def as_text(self) -> str:
        """For a person."""
        return str(self.count)

    def as_json(self) -> dict[str, Any]:
        """For a machine."""
        return {"count": self.count}


Value = Share | Delay | Change | Count


@dataclass(frozen=True)
class Line:
    """One value of a figure: what exactly is measured, and for which group."""

    measure: str
    group: Group
    value: Value


@dataclass(frozen=True)
class Figure:
    """One figure. `missing` says why our rows do not hold it, and the lines then what they hold instead; `note` what
    stands for something else."""

    code: str
    name: str
    unit: str
    lines: tuple[Line, ...]
    note: str = ""
    missing: str = ""

    def as_json(self) -> dict[str, Any]:
        """For a machine."""
        lines = [{"measure": line.measure, "group": dict(line.group), **line.value.as_json()} for line in self.lines]
        return {"code": self.code, "name": self.name, "unit": self.unit, "not_computable": self.missing or None,
                "note": self.note or None, "lines": lines}


def percentile(counts: Mapping[int, int], p: int) -> int:
    """The smallest value that at least `p` % of all cases do not exceed (as SQL's percentile_disc). Not of none."""
    needed, passed = p * sum(counts.values()), 0
    for value in sorted(counts):
        passed += counts[value]
        if 100 * passed >= needed:
            return value
    raise ValueError("there is no case")


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)
