"""Registry: loading an extract, and computing indexes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.importing import import_extract
from gateway.registry import index
from gateway.registry.extract import Row, read
from gateway.registry.index import Formula
from gateway.registry.measures import measure
from gateway.registry.sample import write_sample
from gateway.runtime import Runtime
from tests.bench.figure import Figure, per_second, scaled

HOUSEHOLDS = scaled(2_500, 20_000)
SEED = 580


def imports(runtime: Runtime, file: Path) -> Figure:
    """Read, checked, stored, scored, worded and posted; beside read and checked alone."""
    with file.open("wb") as out:
        lines = write_sample(out, HOUSEHOLDS, SEED, _today()).lines

    def load() -> None:
        with file.open("rb") as stream:
            import_extract(runtime, stream, file.with_suffix(".report.jsonl"), lambda _: None)

    # Once only: the same file again changes nothing.
    return Figure("import_rows_per_s", per_second(lines, load, rounds=1), "rows/s",
                  per_second(lines, lambda: _households(file), rounds=1))


def scores(file: Path) -> list[Figure]:
    """The index from a household's facts, and its sum alone; exact and explained, beside binary fractions."""
    formula = Formula.load("rsu-2021")
    plain = Plain(formula)
    households = _households(file)
    values = [_measured(formula, home) for home in households]
    floats = [_floats(measured) for measured in values]

    def score() -> None:
        for home in households:
            index.score(formula, home, date.fromisoformat(home["registered_on"]))

    def score_plainly() -> None:
        for home in households:
            plain.sum(home, _floats(_measured(formula, home)))

    def sum_up() -> None:
        for home, measured in zip(households, values, strict=True):
            index.compute(formula, home["area"], home["region"], measured)

    def sum_up_plainly() -> None:
        for home, measured in zip(households, floats, strict=True):
            plain.sum(home, measured)

    count = len(households)
    return [
        Figure("scores_per_s", per_second(count, score), "households/s", per_second(count, score_plainly)),
        Figure("sums_per_s", per_second(count, sum_up), "households/s", per_second(count, sum_up_plainly)),
    ]


class Plain:
    """The formula as a spreadsheet has it: last digits that wander, and no record of what a sum is made of."""

    def __init__(self, formula: Formula) -> None:
        self._equations = {
            area: (float(equation.constant), {region: float(part) for region, part in equation.regions.items()},
                   [(term.name, float(term.coefficient)) for term in equation.terms])
            for area, equation in formula.equations.items()}

    def sum(self, home: Mapping[str, Any], values: Mapping[str, float]) -> float:
        constant, regions, terms = self._equations[home["area"]]
        return constant + regions[home["region"]] + sum(part * values[name] for name, part in terms)


def _households(file: Path) -> list[dict[str, Any]]:
    """The good rows of an extract."""
    with file.open("rb") as stream:
        return [row.household for row in read(stream, _today()) if isinstance(row, Row)]


def _measured(formula: Formula, home: Mapping[str, Any]) -> dict[str, Decimal]:
    terms = formula.equations[home["area"]].terms
    found = measure((term.measure for term in terms), home, date.fromisoformat(home["registered_on"]),
                    share_denominator=formula.share_denominator)
    return {term.name: found[term.measure] for term in terms}


def _floats(values: Mapping[str, Decimal]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _today() -> date:
    return datetime.now(UTC).date()
