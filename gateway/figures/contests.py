"""Contests: reviews of the index and complaints: how long they take, how many are open, how they end."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from gateway.figures.figure import Figure
from gateway.figures.scope import Cases, Condition, DaysBetween, Scope
from gateway.registry.complaint import ENDED, Complaint
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.update import DataUpdate

REVIEWS = Cases(Review, Review.household_id)
COMPLAINTS = Cases(Complaint, Complaint.household_id)


def rec_01(scope: Scope) -> Figure:
    """How long a review takes."""
    lines = scope.delay("asked to decided", REVIEWS.only(scope.within(Review.decided_at)),
                        Review.asked_at, Review.decided_at)
    return Figure("REC-01", "Time until a review is decided", "days", tuple(lines))


def rec_02(scope: Scope) -> Figure:
    """Reviews that wait for their decision."""
    lines = scope.change("open at the end, and before the first day", REVIEWS, *(
        sa.and_(Review.asked_at < at, sa.or_(Review.decided_at.is_(None), Review.decided_at >= at),
                sa.or_(Review.state != "withdrawn", Review.since >= at)) for at in (scope.start, scope.end)))
    return Figure("REC-02", "Open reviews", "reviews", tuple(lines))


def rec_03(scope: Scope) -> Figure:
    """Reviews in which the household was right."""
    lines = scope.share("accepted", REVIEWS.only(scope.within(Review.decided_at)), Review.outcome == "accepted")
    return Figure("REC-03", "Reviews accepted", "% of reviews decided", tuple(lines))


def rec_04(scope: Scope) -> Figure:
    """How long a complaint takes, by the way it came."""
    resolved = _resolved(scope)
    lines = scope.delay("all", resolved, Complaint.received_at, Complaint.resolved_at)
    for channel in scope.each(resolved, Complaint.channel):
        lines += scope.delay(channel, resolved.only(Complaint.channel == channel),
                             Complaint.received_at, Complaint.resolved_at)
    lines += scope.change("open at the end, and before the first day", COMPLAINTS,
                          _open(scope.start), _open(scope.end))
    return Figure("REC-04", "Time until a complaint is answered", "days, complaints", tuple(lines),
                  note="From the first day, also where the complaint was reopened in between.")


def rec_05(scope: Scope) -> Figure:
    """Complaints beside the work that gives rise to them."""
    began = sa.or_(scope.within(Registration.pre_registered_at), sa.and_(
        Registration.pre_registered_at.is_(None), Registration.registered_on.between(scope.first, scope.last)))
    lines = scope.per("complaints", COMPLAINTS.only(scope.within(Complaint.received_at)),
                      Cases(Registration, Registration.household_id, (began,)),
                      Cases(DataUpdate, DataUpdate.household_id, (scope.within(DataUpdate.asked_at),)))
    return Figure("REC-05", "Complaints to registrations and updates begun", "% of registrations and updates",
                  tuple(lines), note="Two flows of the same days, and no share of the same cases; it may pass 100.")


def grm_01(scope: Scope) -> Figure:
    """Complaints acknowledged within a day."""
    received = COMPLAINTS.only(scope.within(Complaint.received_at), scope.passed(Complaint.received_at, 1))
    lines = scope.share("within 24 hours", received, DaysBetween(Complaint.received_at, Complaint.acknowledged_at) < 1)
    return Figure("GRM-01", "Complaints acknowledged within a day", "% of complaints received", tuple(lines))


def grm_02(scope: Scope) -> Figure:
    """Complaints answered within their time limit."""
    lines = scope.share("in time", _resolved(scope), Complaint.resolved_at <= Complaint.due_at)
    lines += scope.count("open and late at the end", COMPLAINTS.only(_open(scope.end), Complaint.due_at < scope.end))
    return Figure("GRM-02", "Complaints answered in time", "% of complaints answered", tuple(lines))


def grm_03(scope: Scope) -> Figure:
    """Answers that the household did not accept."""
    answered = COMPLAINTS.only(scope.within(Complaint.received_at),
                               sa.or_(Complaint.resolved_at.is_not(None), Complaint.reopened_at.is_not(None)))
    lines = scope.share("reopened", answered, Complaint.reopened_at.is_not(None))
    return Figure("GRM-03", "Complaints reopened", "% of complaints answered", tuple(lines),
                  note="By day of receipt, of those that have had an answer by today.")


def grm_04(scope: Scope) -> Figure:
    """How content households are, 1 to 5."""
    closed = COMPLAINTS.only(scope.within(Complaint.closed_at))
    rated = closed.only(Complaint.satisfaction.is_not(None))
    lines = scope.share("rated", closed, Complaint.satisfaction.is_not(None))
    lines += scope.share("rated 4 or 5", rated, Complaint.satisfaction >= 4)
    return Figure("GRM-04", "Households content with the handling of their complaint", "% of complaints closed, rated",
                  tuple(lines), note="Marks are an order and no quantity: they have no mean.")


def _resolved(scope: Scope) -> Cases:
    """Those whose last answer lies in the period and stands."""
    return COMPLAINTS.only(scope.within(Complaint.resolved_at), Complaint.state.in_(ENDED))


def _open(at: datetime) -> Condition:
    """It waited for an answer at this moment. What was reopened is taken to have waited all the time."""
    return sa.and_(Complaint.received_at < at,
                   sa.or_(Complaint.state.not_in(ENDED), Complaint.resolved_at >= at))


FIGURES = (rec_01, rec_02, rec_03, rec_04, rec_05, grm_01, grm_02, grm_03, grm_04)
