"""Commands on scores: why an index is what it is, what moved it, whether it can still be computed, by which formula."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.cli.naming import household_of
from gateway.cli.opening import by, opened
from gateway.reasons import moved, said, withheld
from gateway.registry import audit, score
from gateway.registry.explain import Comparison, Explanation, compared, explained
from gateway.registry.formula import BadFormula, Formula, formulas
from gateway.registry.score import FormulaVersion, IndexScore
from gateway.registry.scoring import reproduce_each
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.words import LOCALES

# So many ids are read from the database at a time.
STREAMED = 1_000

language = click.option("--language", type=click.Choice(LOCALES), default="fr-MA", show_default=True)


@click.group(name="score")
def scores() -> None:
    """Scores: what weighs in an index, what moved it, and whether it is reproduced to the last digit."""


@scores.command()
@click.argument("household")
@language
@by
def explain(household: str, language: str, by: str) -> None:
    """Say what weighs in a household's index, most first, against the reference household of its area and region."""
    with opened() as runtime, runtime.database.write() as session:
        found = _seen(session, runtime, household, by, "explained")
        told = explained(session, found.id)
        click.echo(f"index {found.displayed} by {found.formula}, computed {found.computed_at:%Y-%m-%d}, {found.cause}\n"
                   f"score {found.id} (mouachir score reproduce)")
        for line in told.lines:
            _row(line.weight, line.terms, said(runtime.words, language, line))
        _more(runtime, language, told)


@scores.command()
@click.argument("household")
@language
@by
def compare(household: str, language: str, by: str) -> None:
    """Say what moved a household's index from the one before, the biggest movement first."""
    with opened() as runtime, runtime.database.write() as session:
        found = _seen(session, runtime, household, by, "compared")
        told = compared(session, found.id)
        before = session.get_one(IndexScore, found.predecessor_id)
        click.echo(f"index {before.displayed} -> {found.displayed}, {found.cause}")
        if told.formula_changed:
            click.echo(f"the formula is another one: {before.formula} -> {found.formula}")
        for movement in told.movements:
            _row(movement.delta, movement.terms, moved(runtime.words, language, movement))
        _more(runtime, language, told)


@scores.command(name="reproduce")
@click.argument("score_ids", metavar="[SCORE]...", nargs=-1, type=click.UUID)
@click.option("--all", "everything", is_flag=True, help="every score there is")
def reproduce_(score_ids: tuple[UUID, ...], everything: bool) -> None:
    """Compute scores once more from their snapshots and their formula, and compare them to the last digit."""
    if bool(score_ids) == everything:
        raise click.UsageError("give the scores, or --all")
    agree, failing = 0, 0
    with opened() as runtime, runtime.database.read() as session:
        for score_id, why in reproduce_each(session, _all(session) if everything else score_ids):
            agree, failing = agree + (why is None), failing + (why is not None)
            if why:
                click.echo(f"{score_id}  {why}")
    click.echo(f"{agree} agree to the last digit, {failing} do not")
    if failing:
        raise SystemExit(1)


@click.command(name="formulas")
def formulas_() -> None:
    """List the formulas: since when, by whom, the digest, and whether one has been computed with."""
    with opened() as runtime, runtime.database.read() as session:
        used = {version.id: version for version in session.scalars(sa.select(FormulaVersion))}
        try:
            for formula in formulas():
                click.echo(_about(formula, used.pop(formula.id, None), runtime.settings.formula))
        except BadFormula as error:
            raise click.ClickException(str(error)) from None
        for version in used.values():
            click.echo(f"{version.id:20} {version.digest[:12]}  used; its file is gone, its scores are reproduced")


def _seen(session: Session, runtime: Runtime, typed: str, by: str, how: str) -> IndexScore:
    """The score that counts for a household. That somebody looked at it is written down."""
    household_id = household_of(session, runtime.vault, typed)
    latest = score.latest(session, household_id)
    if latest is None:
        raise NotAllowed("This household has no index yet.")
    audit.record(session, runtime.vault, "score.seen", by=by, now=runtime.clock(), household_id=household_id,
                 subject=latest.id, how=how)
    return latest


def _row(weight: Decimal | None, terms: tuple[str, ...], text: str) -> None:
    click.echo(f"{'' if weight is None else f'{weight:+.7f}':>12}  {'+'.join(terms):8}  {text}")


def _more(runtime: Runtime, language: str, told: Explanation | Comparison) -> None:
    if told.withheld:
        click.echo(withheld(runtime.words, language, told))


def _all(session: Session) -> Iterator[UUID]:
    """Every score's id, in order, some at a time: new ones that come meanwhile are the next call's."""
    last: UUID | None = None
    while page := session.scalars(sa.select(IndexScore.id).where(IndexScore.id > last if last else sa.true())
                                  .order_by(IndexScore.id).limit(STREAMED)).all():
        yield from page
        last = page[-1]


def _about(formula: Formula, version: FormulaVersion | None, in_force: str) -> str:
    ends = formula.effective_to or "no end"
    use = "not used" if version is None else f"used since {version.first_used_at:%Y-%m-%d}"
    if version is not None and version.digest != formula.digest:
        use = "EDITED after use: undo that"
    marks = ", ".join(mark for mark, true in ((use, True), ("in force", formula.id == in_force),
                                              ("not checked against its source", not formula.checked)) if true)
    return (f"{formula.id:20} {formula.digest[:12]}  {formula.effective_from} to {ends}  {marks}\n"
            f"{'':20} {formula.approver or 'approver not named'}")


commands: tuple[click.Command, ...] = (scores, formulas_)
