"""Registrations: how many come to their end, how long it takes, and how long the partner bodies take of it."""

from __future__ import annotations

import sqlalchemy as sa

from gateway.figures.figure import Figure, Line
from gateway.figures.scope import Cases, DaysBetween, Scope
from gateway.registry.evidence import Finding
from gateway.registry.inquiry import Inquiry
from gateway.registry.registration import OUT, Registration

OPENED = Cases(Registration, Registration.household_id, (Registration.state != "pre_registered",))


def acc_01(scope: Scope) -> Figure:
    """From the population register into this one."""
    # A pre-registration has no household yet, and so no region, area or head to be grouped by.
    whole = Scope(scope.session, scope.first, scope.last, scope.today)
    came = Cases(Registration, Registration.household_id, (scope.within(Registration.pre_registered_at),))
    lines = [line for days in (30, 90) for line in whole.share(
        f"registered within {days} days", came.only(scope.passed(Registration.pre_registered_at, days)),
        DaysBetween(Registration.pre_registered_at, Registration.received_at) < days)]
    return Figure("ACC-01", "From the population register to this register", "% of households", tuple(lines),
                  note="Counted from households that were pre-registered here, waiting for a member's identifier; "
                       "the enrolments of the population register itself are not held. Not by groups.")


def ins_01(scope: Scope) -> Figure:
    """Registrations that come to their end: the household is told its index."""
    promised = OPENED.only(
        Registration.registered_on.between(scope.first, scope.last),
        sa.or_(Registration.state.not_in(OUT), Registration.notified_on.is_not(None)))
    lines = [line for days in (10, 30, 60, 90) for line in scope.share(
        f"told within {days} days", promised.only(scope.passed(Registration.registered_on, days)),
        DaysBetween(Registration.registered_on, Registration.notified_on) <= days)]
    return Figure("INS-01", "Registrations whose household was told its index", "% of registrations", tuple(lines),
                  note="By day of registration; a registration counts once its days have passed.")


def ins_02(scope: Scope) -> Figure:
    """How long it takes from registering to being told."""
    told = OPENED.only(Registration.notified_on.between(scope.first, scope.last))
    lines = scope.delay("registered to told", told, Registration.registered_on, Registration.notified_on)
    return Figure("INS-02", "Time from registration to being told the index", "days", tuple(lines))


def ins_03(scope: Scope) -> Figure:
    """Members of whom the population register says otherwise than the household."""
    compared = Cases(Finding, Finding.household_id, (
        Finding.partner == "population_register", Finding.outcome != "unknown", scope.within(Finding.received_at)))
    lines = _corrected(scope, "any field", compared)
    for item in scope.each(compared, Finding.item):
        lines += _corrected(scope, item.removeprefix("members."), compared.only(Finding.item == item))
    return Figure("INS-03", "Members whose declaration the population register corrects", "% of members compared",
                  tuple(lines), note="A member counts once, whatever number of fields or answers: the lines of the "
                                     "fields do not add up to the first.")


def fsc_01(scope: Scope) -> Figure:
    """How long each body takes to answer."""
    answered = Cases(Inquiry, Inquiry.household_id, (scope.within(Inquiry.answered_at),))
    asked = Cases(Inquiry, Inquiry.household_id)
    lines = []
    for partner in scope.each(asked, Inquiry.partner):
        of_one = Inquiry.partner == partner
        lines += scope.delay(f"{partner}: asked to answered", answered.only(of_one),
                             Inquiry.asked_at, Inquiry.answered_at)
        lines += scope.change(f"{partner}: waiting at the end", asked.only(of_one), *(
            sa.and_(Inquiry.asked_at < at, sa.or_(Inquiry.answered_at.is_(None), Inquiry.answered_at >= at))
            for at in (scope.start, scope.end)))
    return Figure("FSC-01", "Time until a partner body has answered", "days, inquiries", tuple(lines),
                  note="An inquiry is answered when every item of it is; asked anew, its time begins anew.")


def _corrected(scope: Scope, measure: str, answers: Cases) -> list[Line]:
    """Of the members that these answers are about, those of whom one of them says otherwise."""
    members = (sa.select(Finding.household_id, sa.func.count().filter(Finding.outcome == "corrected").label("wrong"))
               .where(*answers.where).group_by(Finding.household_id, Finding.member_blind).subquery())
    return scope.share(measure, Cases(members, members.c.household_id), members.c.wrong > 0)


FIGURES = (acc_01, ins_01, ins_02, ins_03, fsc_01)
