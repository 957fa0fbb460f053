"""Tellings: which notice an event calls for, and the facts of the registry that fill it.

A telling names its notice and the row it is about. Its facts are read from that row whenever they are needed: at
the event, and days later, when a text has failed and a letter takes its place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.db import among
from gateway.errands import Errand
from gateway.outbox import Message, placed_all, subject_of
from gateway.registry import complaint, events, explain, inquiry, number_change, programme, review_desk, score
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint
from gateway.registry.events import Event
from gateway.registry.formula import BadFormula
from gateway.registry.household import Contact, number_of
from gateway.registry.measures import CannotCompute
from gateway.registry.registration import TOLD_WITHIN, Registration
from gateway.registry.review import Review, last_day
from gateway.registry.score import IndexScore, Notification, ProgrammeDecision
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from gateway.vault import Vault

log = logging.getLogger(__name__)

Facts = dict[str, Any]

# A telling of these is the notification of a score: the sixty days of its review run from the proof.
OF_A_SCORE = ("index_assigned", "index_changed")
# Who has left the register is not told these any more.
OF_THE_REGISTER = (*OF_A_SCORE, "decision_changed", "registration_late", "review_window_closes", "data_round",
                   "number_doubted", "programme_invites")
# What changed, and what weighs, is told in three lines at most; the whole accounts are those of `explain`.
MOVEMENTS = 3
WEIGHING = 3


@dataclass(frozen=True)
class Telling:
    """One notice for one household. `subject` names the row it is about; with the notice, it is told once."""

    notice: str
    household_id: UUID
    subject: str


@dataclass(frozen=True)
class Reader:
    """Reads the facts of tellings. `near` is how close to a limit an index is warned of."""

    vault: Vault
    near: Decimal

    def facts(self, session: Session, tellings: Sequence[Telling]) -> dict[Telling, Facts]:
        """The facts of each; one that need not be told any more is left out."""
        found: dict[Telling, Facts] = {}
        scored = [telling for telling in tellings if telling.notice in OF_A_SCORE]
        if scored:
            found.update(self._scores(session, scored))
        for telling in tellings:
            if telling.notice in FACTS:
                facts = FACTS[telling.notice](self, session, telling.subject)
                if facts is not None:
                    found[telling] = facts
        return found

    def former_decisions(self, session: Session, subject: str) -> Sequence[UUID]:
        """The decisions of the same programme on the same household before this one."""
        found = session.get_one(ProgrammeDecision, _row(subject))
        return session.scalars(sa.select(ProgrammeDecision.id).where(
            ProgrammeDecision.household_id == found.household_id, ProgrammeDecision.programme == found.programme,
            ProgrammeDecision.id < found.id)).all()

    def weighing(self, session: Session, telling: Telling) -> Sequence[explain.Line]:
        """What weighs most in a first index. For a letter alone: no text has room for it, and it costs a computation.

        Where it cannot be had there is none: the index itself has its day by law.
        """
        if telling.notice != "index_assigned":
            return ()
        try:
            return explain.explained(session, _row(telling.subject)).lines[:WEIGHING]
        except (NotAllowed, CannotCompute, BadFormula) as error:
            log.warning("a letter goes out without what weighs in its index: %s", error)
            return ()

    def told_at(self, session: Session, telling: Telling) -> tuple[str, ...] | None:
        """The numbers (E.164) that a notice about numbers goes to; None for any other notice."""
        if telling.notice == "number_change_asked":
            return number_change.warned(session, self.vault, telling.household_id)
        if telling.notice == "number_doubted":
            return (number_of(session, self.vault, _row(telling.subject)),)
        if telling.notice not in ("number_changed", "number_left"):
            return None
        numbers = number_change.numbers_of(session, self.vault, _row(telling.subject))
        return numbers.old if telling.notice == "number_left" else tuple(filter(None, [numbers.new]))

    def instead(self, session: Session, failed: Sequence[Telling]) -> list[Telling]:
        """What is to be told now that texts have failed: they themselves, or the index that has come in their place.

        That one may have gone untold because it looked like the one in the failed text.
        """
        current = score.currents(session, [one.household_id for one in failed if one.notice in OF_A_SCORE])
        new = [found for one in failed if one.notice in OF_A_SCORE and (found := current.get(one.household_id))
               and str(found.id) != one.subject]
        going = _on_their_way(session, new, "created") if new else set()
        untold = {found.household_id: found for found in new if found.id not in going}
        return [Telling("index_changed", one.household_id, str(untold[one.household_id].id))
                if one.notice in OF_A_SCORE and one.household_id in untold else one for one in failed]

    def standings(self, value: Decimal | None, judged: Sequence[ProgrammeDecision]) -> list[Facts]:
        """How an index stands to the limits that are told in texts, the highest first."""
        return [{"key": one.programme, "below": one.below, "threshold": one.threshold,
                 "near": value is not None and programme.near(one, value, self.near)}
                for one in judged if one.programme in programme.in_texts() and one.below is not None]

    def _scores(self, session: Session, tellings: Sequence[Telling]) -> dict[Telling, Facts]:
        """Fetched for all at once: an import tells hundreds. A score that counts no more is not told any more.

        A change is told against the index that the household heard of last; where it heard of none, the index is told
        as its first, and where it is the same again there is nothing to tell (`silent`), only to take back.
        """
        ids = [telling.household_id for telling in tellings]
        current = score.currents(session, ids)
        judged = score.decisions(session, list(current))
        before = all_heard_last(session, [current[telling.household_id] for telling in tellings
                                          if telling.notice == "index_changed" and telling.household_id in current])
        facts: dict[Telling, Facts] = {}
        for telling in tellings:
            found = current.get(telling.household_id)
            if found is None or str(found.id) != telling.subject:
                continue
            heard = before.get(found.id) if telling.notice == "index_changed" else None
            if heard and alike(heard, found):
                facts[telling] = {"silent": True}
                continue
            told = telling if heard or telling.notice == "index_assigned" else replace(telling, notice="index_assigned")
            facts[told] = {"index": found.value, "programmes": self.standings(found.value, judged[found.household_id]),
                           **(_movement(session, heard, found) if heard else {})}
        return facts

    def _registration(self, session: Session, subject: str) -> Facts:
        found = session.get_one(Registration, _row(subject))
        return {"number": found.number, "registered_on": found.registered_on,
                "due": found.registered_on + TOLD_WITHIN}

    def _registration_late(self, session: Session, subject: str) -> Facts | None:
        """Told when it still is so: an index that came meanwhile is told by its own notice."""
        found = session.get_one(Registration, _row(subject))
        if found.scored_at is not None:
            return None
        waits = inquiry.waits_for(session, [found.household_id]) if found.household_id else {}
        bodies = [body for waited in waits.values() for body in waited]
        return {**self._registration(session, subject), "bodies": bodies}

    def _decision(self, session: Session, subject: str) -> Facts | None:
        """Only what still counts is told."""
        found = session.get_one(ProgrammeDecision, _row(subject))
        later = sa.select(ProgrammeDecision.id).where(
            ProgrammeDecision.household_id == found.household_id, ProgrammeDecision.programme == found.programme,
            ProgrammeDecision.id > found.id)
        if session.scalar(later.limit(1)):
            return None
        judged = {True: "eligible", False: "not_eligible", None: "ask"}[found.eligible]
        unmet = [reason["code"] for reason in found.reasons if reason["met"] is False]
        return {"programme": {"key": found.programme}, "judged": judged, "unmet": unmet, "since": found.decided_on}

    def _review(self, session: Session, subject: str) -> Facts | None:
        found = session.get_one(Review, _row(subject))
        return {"number": found.number, "answer_by": found.promised_by, "needed": found.needs,
                "needed_by": found.needed_by}

    def _review_decided(self, session: Session, subject: str) -> Facts | None:
        """A reasoned answer always goes out, whatever became of the index meanwhile."""
        found = session.get_one(Review, _row(subject))
        return {"number": found.number, "outcome": found.outcome, "reason": found.reason,
                "text": review_desk.text_of(self.vault, found)}

    def _window(self, session: Session, subject: str) -> Facts | None:
        told = session.scalar(sa.select(Notification).where(Notification.score_id == _row(subject)))
        return {"review_until": last_day(told.notified_on)} if told else None

    def _complaint(self, session: Session, subject: str) -> Facts | None:
        """A sensitive one is told to nobody but who asks by its number: a telephone and a letter box are shared."""
        found = session.get_one(Complaint, _row(subject))
        if found.sensitive:
            return None
        text = self.vault.open(found.answer_sealed, "complaint.answer", found.id) if found.answer_sealed else None
        until = None if found.reopened_at else complaint.last_day_to_reopen(found)
        return {"number": found.number, "owner": found.owner, "until": found.hold_until, "text": text,
                "resolution": found.resolution, "reopen_until": until}

    def _update(self, session: Session, subject: str) -> Facts | None:
        found = session.get_one(DataUpdate, _row(subject))
        until = day_of(found.effective_at) if found.effective_at else None
        return {"number": found.number, "register": found.register, "until": until}

    def _doubted(self, session: Session, subject: str) -> Facts | None:
        """Nothing of anybody: whose the number is now, nobody knows. Told while it is in doubt."""
        found = session.get(Contact, _row(subject))
        return {} if found and found.verified_at is None and found.ended_by is None else None

    def _errand(self, session: Session, subject: str) -> Facts | None:
        """Of the programme that gave it nothing but its name: no word of a text is a client's."""
        found = session.get_one(Errand, _row(subject))
        return {"programme": {"key": found.client}, "tell_by": found.tell_by}

    def _posted(self, session: Session, subject: str) -> Facts | None:
        return {"reference": session.get_one(Message, _row(subject)).reference}

    def _nothing(self, session: Session, subject: str) -> Facts | None:
        return {}


def tellings(event: Event) -> list[Telling]:
    """What an event calls for. A complaint of nobody we know was answered when it was filed."""
    household_id = event.household_id
    if type(event) not in SUBJECTS or household_id is None:
        return []
    notices, subjects = SUBJECTS[type(event)]
    return [Telling(notice, household_id, str(subject)) for notice in notices.split() for subject in subjects(event)]


SUBJECTS: Mapping[type, tuple[str, Callable[[Any], Sequence[object]]]] = {
    events.RegistrationReceived: ("registration_received", lambda event: (event.registration_id,)),
    events.RegistrationLate: ("registration_late", lambda event: (event.registration_id,)),
    events.IndexAssigned: ("index_assigned", lambda event: (event.score_id,)),
    events.IndexChanged: ("index_changed", lambda event: (event.score_id,)),
    events.DecisionChanged: ("decision_changed", lambda event: event.decision_ids),
    events.ReviewAsked: ("review_received", lambda event: (event.review_id,)),
    events.ReviewNeedsInformation: (
        "review_needs_information", lambda event: (f"{event.review_id}/{event.needed_by}",)),
    events.ReviewDecided: ("review_decided", lambda event: (event.review_id,)),
    events.ReviewLate: ("review_late", lambda event: (f"{event.review_id}/{event.answer_by}",)),
    events.ReviewWindowCloses: ("review_window_closes", lambda event: (event.score_id,)),
    events.ComplaintReceived: ("complaint_received", lambda event: (event.complaint_id,)),
    events.ComplaintOnHold: ("complaint_on_hold", lambda event: (f"{event.complaint_id}/{event.until}",)),
    events.ComplaintResolved: ("complaint_resolved", lambda event: (f"{event.complaint_id}/{event.reopen_until}",)),
    events.UpdateReceived: ("update_received", lambda event: (event.update_id,)),
    events.NumberChangeAsked: ("number_change_asked", lambda event: (event.update_id,)),
    events.NumberChanged: ("number_changed number_left", lambda event: (event.update_id,)),
    events.NumberDoubted: ("number_doubted", lambda event: (f"{event.contact_id}/{event.doubted_on}",)),
    events.DataRoundDue: ("data_round", lambda event: (event.round_on,)),
}


def heard_last(session: Session, found: IndexScore) -> IndexScore | None:
    """The last score before this one that was told, or is on its way: nobody can take it back any more."""
    return all_heard_last(session, [found]).get(found.id)


def all_heard_last(session: Session, found: Iterable[IndexScore]) -> dict[UUID, IndexScore]:
    """The same for each of these scores, by its id; as many questions as the longest way back has steps."""
    before = {one.id: one.predecessor_id for one in found if one.predecessor_id}
    heard: dict[UUID, IndexScore] = {}
    while before:
        formers = {one.id: one for one in session.scalars(sa.select(IndexScore).where(
            among(session, IndexScore.id, list(set(before.values())))))}
        told = _on_their_way(session, formers.values())
        heard.update({this: formers[former] for this, former in before.items() if former in told})
        further = {this: formers[former].predecessor_id for this, former in before.items() if former not in told}
        before = {this: former for this, former in further.items() if former}
    return heard


def alike(heard: IndexScore, found: IndexScore) -> bool:
    """Whether there is nothing to tell: the index looks as it did, and nobody asked for it anew."""
    return heard.displayed == found.displayed and found.cause != "yearly_verification"


def _on_their_way(session: Session, found: Iterable[IndexScore], *more: str) -> set[UUID]:
    """Those scores that were told, or of which a notice is in one of these states, or out of our hands."""
    homes = {one.id: one.household_id for one in found}
    notices = session.scalars(sa.select(Message.subject).where(
        among(session, Message.household_id, list(set(homes.values()))), Message.notice.in_(OF_A_SCORE),
        among(session, Message.subject, [subject for one in homes for subject in placed_all(str(one))]),
        Message.state.in_(("sending", "unknown", "sent", "handed", "delivered", *more))))
    going = {UUID(subject_of(subject)) for subject in notices}
    return going | score.all_notified(session, homes.keys() - going).keys()


def _movement(session: Session, before: IndexScore, now: IndexScore) -> Facts:
    told = explain.compare(explain.account_of(session, before.id), explain.account_of(session, now.id))
    return {"old": before.value, "cause": now.cause, "moved": _moved(before.displayed, now.displayed),
            "movements": told.movements[:MOVEMENTS],
            "source": next((one.source.by for one in told.movements if one.source.by != "declaration"), None)}


def _moved(before: Decimal | None, now: Decimal | None) -> str:
    if before is None or now is None or before == now:
        return "same"
    return "up" if now > before else "down"


def _row(subject: str) -> UUID:
    """A row told of several times has the day behind its name."""
    return UUID(subject.partition("/")[0])


FACTS: Mapping[str, Callable[[Reader, Session, str], Facts | None]] = {
    "registration_received": Reader._registration,
    "registration_late": Reader._registration_late,
    "decision_changed": Reader._decision,
    "review_received": Reader._review,
    "review_needs_information": Reader._review,
    "review_decided": Reader._review_decided,
    "review_late": Reader._review,
    "review_window_closes": Reader._window,
    "complaint_received": Reader._complaint,
    "complaint_on_hold": Reader._complaint,
    "complaint_resolved": Reader._complaint,
    "update_received": Reader._update,
    "number_change_asked": Reader._update,
    "number_changed": Reader._update,
    "number_left": Reader._update,
    "number_doubted": Reader._doubted,
    "data_round": Reader._nothing,
    "programme_invites": Reader._errand,
    "letter_posted": Reader._posted,
    "letter_returned": Reader._nothing,
}
