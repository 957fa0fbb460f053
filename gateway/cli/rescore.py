"""Commands on the whole registry: every index by another formula, and what that would do, before it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date

import click

from gateway.cli.opening import by, opened
from gateway.registry import recalculation
from gateway.registry.clock import day_of
from gateway.registry.crossings import BANDS, Crossing, Crossings
from gateway.registry.formula import BadFormula, Formula
from gateway.registry.programme import Programme
from gateway.registry.recalculation import Disagreement
from gateway.registry.scoring import EditedFormula
from gateway.runtime import Runtime

# One household in so many may lack what a formula needs; it keeps its former index, and a clerk looks at it.
FAIL_AT_MOST = 100
ROW = "{:14} {:6} {:>6} {:>12} {:>12}"


@click.command()
@click.option("--formula", "name", required=True, help="the formula's id, as in its file")
@click.option("--dry-run", is_flag=True, help="only say what would happen")
@click.option("--yes", is_flag=True, help="do it without asking")
@by
def rescore(name: str, dry_run: bool, yes: bool, by: str) -> None:
    """Give every household its index by FORMULA; first say how many would cross each programme's threshold."""
    try:
        formula = Formula.load(name)
        with opened() as runtime:
            _rescore(runtime, formula, dry_run, yes, by)
    except (BadFormula, EditedFormula, Disagreement) as error:
        raise click.ClickException(str(error)) from None


def _rescore(runtime: Runtime, formula: Formula, dry_run: bool, yes: bool, by: str) -> None:
    programmes, now = Programme.load_all(), runtime.clock()
    count = recalculation.households(runtime.database)
    with _bar(count, f"try {formula.id}") as progress:
        expected = recalculation.dry_run(runtime.database, formula, programmes, on=day_of(now), progress=progress)
    for line in _table(expected):
        click.echo(line)
    if not dry_run:
        _check(runtime, formula, expected, day_of(now))
    if dry_run or not expected.rising + expected.falling:
        click.echo("Nothing was changed.")
        return
    if not yes:
        click.confirm("Store these indexes, and tell the households?", abort=True)
    with _bar(count, f"score by {formula.id}") as progress:
        done = recalculation.run(runtime.database, runtime.vault, formula, programmes, by=by, now=now,
                                 progress=progress)
    click.echo(f"{done.scores} new indexes, {done.decisions} decisions of programmes changed, "
               f"{done.events} households to be told by and by")


def _check(runtime: Runtime, formula: Formula, expected: Crossings, today: date) -> None:
    """Raises `ClickException` where no household may get its index by this formula."""
    failed = sum(expected.failed.values())
    if not formula.in_effect(today):
        raise click.ClickException(f"{formula.id} is in effect from {formula.effective_from} to "
                                   f"{formula.effective_to or 'no known end'}: no household gets its index by it today "
                                   "(--dry-run only tries it)")
    if formula.id != runtime.settings.formula:
        raise click.ClickException(f"imports and corrections are scored by {runtime.settings.formula}: set FORMULA to "
                                   f"{formula.id} everywhere first, or two formulas count side by side")
    if failed * FAIL_AT_MOST > expected.households:
        raise click.ClickException(f"{failed} of {expected.households} cannot be computed by {formula.id}: that is no "
                                   "formula for these data")


@contextmanager
def _bar(count: int, label: str) -> Iterator[Callable[[int], None]]:
    with click.progressbar(length=max(count, 1), label=label) as bar:
        yield bar.update


def _table(found: Crossings) -> Iterator[str]:
    yield (f"{found.households} households with an index: {found.rising} rise, {found.falling} fall, "
           f"{found.staying} stay, {sum(found.failed.values())} cannot be computed")
    for reason, count in sorted(found.failed.items()):
        yield f"  {count:>10}  {reason}"
    yield "change of the index, up or down:"
    names = [*(f"less than {end}" for end in BANDS), f"{BANDS[-1]} or more"]
    for name, count in zip(names, found.bands, strict=True):
        yield f"  {count:>10}  {name}"
    yield ROW.format("threshold", "area", "region", "newly below", "newly above")
    for crossing in found.crossed:
        yield ROW.format(crossing.programme, crossing.area, crossing.region, crossing.newly_below, crossing.newly_above)
    for programme in dict.fromkeys(crossing.programme for crossing in found.crossed):
        yield _sum(programme, (crossing for crossing in found.crossed if crossing.programme == programme))


def _sum(programme: str, crossed: Iterable[Crossing]) -> str:
    crossed = list(crossed)
    return ROW.format(programme, "all", "all", sum(each.newly_below for each in crossed),
                      sum(each.newly_above for each in crossed))


commands: tuple[click.Command, ...] = (rescore,)
