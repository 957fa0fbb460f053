"""Commands on programmes: their limits and conditions, and how they judge one household."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import click

from gateway.cli.naming import household_of
from gateway.cli.opening import by, opened
from gateway.judging import judge_again
from gateway.registry import audit, score
from gateway.registry.clock import day_of
from gateway.registry.programme import BadProgramme, Programme
from gateway.registry.score import ProgrammeDecision
from gateway.registry.steps import NotAllowed
from gateway.words import LOCALES, Words

ANSWERS = {True: "yes", False: "no", None: "?"}
WORDS_OF = {True: "met", False: "unmet", None: "unknown"}
VERDICTS = {True: "eligible", False: "not eligible", None: "ask at the centre"}


@click.command()
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), help="the limits of that day; today if not given")
def programmes(day: datetime | None) -> None:
    """List the support programmes: the limit in force, the conditions, and where each comes from."""
    on = day.date() if day else day_of(datetime.now(UTC))
    for programme in _loaded():
        threshold = programme.threshold_on(on)
        limit = (f"{programme.comparator} {threshold.value} since {threshold.since}" if threshold
                 else f"{programme.comparator} a limit that is not published")
        click.echo(f"{programme.key:12} {limit}{', told in texts' if programme.in_texts else ''}")
        if threshold:
            click.echo(f"  {threshold.source}")
        for condition in programme.conditions:
            click.echo(f"  {condition.name}: {' '.join(condition.expression.split())}\n    {condition.source}")


@click.command()
@click.argument("household")
@click.option("--language", type=click.Choice(LOCALES), default="fr-MA", show_default=True)
@by
def decisions(household: str, language: str, by: str) -> None:
    """Say how each programme judges a household now, and why. That you saw it is written down."""
    known = {programme.key: programme for programme in _loaded()}
    with opened() as runtime, runtime.database.write() as session:
        household_id = household_of(session, runtime.vault, household)
        current = score.latest(session, household_id)
        judged = score.decisions(session, [household_id])[household_id]
        if current is None or not judged:
            raise NotAllowed("This household has no index yet, so no programme has judged it; see how its "
                             "registration stands.")
        audit.record(session, runtime.vault, "decision.seen", by=by, now=runtime.clock(), household_id=household_id,
                     subject=current.id, programmes=[decision.programme for decision in judged])
        for decision in judged:
            for line in _lines(runtime.words, language, decision, known.get(decision.programme)):
                click.echo(line)


def _loaded() -> tuple[Programme, ...]:
    try:
        return Programme.load_all()
    except BadProgramme as error:
        raise click.ClickException(str(error)) from None


@click.command()
@by
def rejudge(by: str) -> None:
    """Judge every household again by the limits and conditions in force today, and tell those it turns."""
    with opened() as runtime:
        judged, posted = judge_again(runtime, by, lambda count: click.echo(f"\r{count} judged", nl=False, err=True))
    click.echo(f"\n{judged} households judged, {posted} notices posted")


def _lines(words: Words, locale: str, decision: ProgrammeDecision, programme: Programme | None) -> Iterator[str]:
    """A programme, or a condition, that is no longer in the file stands there by its code."""
    name = _said(words, locale, f"programme.{decision.programme}.name", decision.programme)
    limit = (f"{decision.comparator} {decision.threshold} since {decision.threshold_since}" if decision.threshold
             else "no limit published")
    yield f"{decision.programme:12} {VERDICTS[decision.eligible]:18} decided {decision.decided_on}  {limit}  {name}"
    for reason in decision.reasons:
        answer = reason["met"]
        words_of = f"condition.{reason['code']}.{WORDS_OF[answer]}"
        yield f"  {ANSWERS[answer]:4} {_said(words, locale, words_of, reason['code'])}"
    if programme and decision.eligible is not False:
        yield f"  to apply: {words.say(locale, f'apply.{programme.where_to_apply}')}"
        yield f"  with: {', '.join(words.say(locale, f'document.{name}') for name in programme.documents)}"


def _said(words: Words, locale: str, name: str, otherwise: str) -> str:
    return words.say(locale, name) if words.has(locale, name) else otherwise


commands: tuple[click.Command, ...] = (programmes, decisions, rejudge)
