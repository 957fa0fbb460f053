"""Renewals: data updates, the new indexes that follow them, and households whose index has grown old."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from gateway.figures.figure import Figure
from gateway.figures.scope import Cases, Scope
from gateway.registry.registration import OUT, Registration
from gateway.registry.score import IndexScore
from gateway.registry.update import DataUpdate

OLD = timedelta(days=365)
UPDATES = Cases(DataUpdate, DataUpdate.household_id)


def maj_01(scope: Scope) -> Figure:
    """How long it takes until a change that was reported is in the index."""
    source = sa.join(DataUpdate, IndexScore, IndexScore.id == DataUpdate.score_id)
    led = Cases(source, DataUpdate.household_id, (scope.within(IndexScore.computed_at),))
    lines = [line for measure, cases in (
        ("all", led),
        ("standard: data of this register", led.only(DataUpdate.register == "rsu")),
        ("other: data of another register", led.only(DataUpdate.register != "rsu")),
    ) for line in scope.delay(measure, cases, DataUpdate.asked_at, IndexScore.computed_at)]
    return Figure("MAJ-01", "Time from a data update to the new index", "days", tuple(lines),
                  note="Updates that moved neither index nor decision lead to no score and are left out.")


def maj_02(scope: Scope) -> Figure:
    """Updates that are under way."""
    lines = scope.change("open at the end, and before the first day", UPDATES, *(
        sa.and_(DataUpdate.asked_at < at, sa.or_(DataUpdate.ended_at.is_(None), DataUpdate.ended_at >= at))
        for at in (scope.start, scope.end)))
    return Figure("MAJ-02", "Open data updates", "updates", tuple(lines))


def maj_03(scope: Scope) -> Figure:
    """Updates that households have begun."""
    lines = scope.change("begun, and in as many days before", UPDATES,
                         scope.before().within(DataUpdate.asked_at), scope.within(DataUpdate.asked_at))
    return Figure("MAJ-03", "Data updates begun", "updates", tuple(lines))


def maj_04(scope: Scope) -> Figure:
    """Households whose index nobody has computed for a year."""
    lately = (sa.select(IndexScore.household_id).where(
        IndexScore.value.is_not(None), IndexScore.computed_at >= scope.end - OLD, IndexScore.computed_at < scope.end)
        .distinct().subquery())
    source = sa.outerjoin(Registration, lately, lately.c.household_id == Registration.household_id)
    active = Cases(source, Registration.household_id, (
        Registration.household_id.is_not(None), Registration.registered_on <= scope.last,
        sa.not_(sa.and_(Registration.state.in_(OUT), Registration.since < scope.end))))
    lines = scope.share("not computed in 365 days", active, sa.and_(
        lately.c.household_id.is_(None), Registration.registered_on <= scope.last - OLD))
    return Figure("MAJ-04", "Households not scored anew for a year", "% of active households", tuple(lines),
                  note="As of the last day.")


FIGURES = (maj_01, maj_02, maj_03, maj_04)
