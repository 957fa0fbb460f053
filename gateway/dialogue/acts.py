"""Acts: what the dialogue asks to be done, done on the registry. One method an effect of `household.EFFECTS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, Session, mapped_column

from gateway.db import Base
from gateway.dialogue.access import check_pin
from gateway.dialogue.engine import Effect, Fact, Outcome
from gateway.notices import Teller
from gateway.outbox import Message
from gateway.registry import audit, complaint, number_change, review, score
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint, TooManyComplaints
from gateway.registry.events import ReviewAsked
from gateway.registry.household import Household, households_of
from gateway.registry.numbers import kind_of, read_number
from gateway.registry.programme import in_texts
from gateway.registry.registration import TOLD_WITHIN
from gateway.registry.review import Window


class Telephone(Base):
    """What a telephone chose: its language. The row's name is the number's blind index.

    The session in which it chose for the first time has a row as well, under its own: told once more from its
    beginning, that session is asked for the language again, and what was typed then means what it meant.
    """

    __tablename__ = "telephone"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    locale: Mapped[str] = mapped_column(sa.String(8))


@dataclass(frozen=True)
class Performer:
    """Acts for one caller in one session, inside one transaction. Performed again, an effect acts once.

    `may_look_up` is asked before a number is looked up and says whether this caller has any left today.
    """

    session: Session
    teller: Teller
    channel: str
    conversation: str
    now: datetime
    may_look_up: Callable[[str], bool]
    answer_within: timedelta
    msisdn: str = field(repr=False)

    def __call__(self, effect: Effect) -> Outcome:
        """Do what is asked. The dialogue lists every effect, so a name that is none is a fault of ours."""
        act: Callable[[Effect], Outcome] = getattr(self, f"_{effect.name}")
        return act(effect)

    def locale(self) -> str | None:
        """The language that this telephone had chosen before this session."""
        chosen_here = self.session.get(Telephone, self._named(self.conversation))
        found = None if chosen_here else self.session.get(Telephone, self._named(self.msisdn))
        return found.locale if found else None

    def _choose_language(self, effect: Effect) -> Outcome:
        if self.locale() is None:
            self.session.merge(Telephone(id=self._named(self.conversation), locale=effect.argument))
        self.session.merge(Telephone(id=self._named(self.msisdn), locale=effect.argument))
        return Outcome("ok", {"language": effect.argument})

    def _check_pin(self, effect: Effect) -> Outcome:
        found = check_pin(self.session, self.teller.vault, self.msisdn, self._homes(), effect.argument,
                          self.conversation, self.now)
        return Outcome("ok", {"proof": str(found.id)}) if isinstance(found, Household) else Outcome(found)

    def _send_pin_letter(self, _: Effect) -> Outcome:
        homes = self._homes()
        if not homes:
            return Outcome("wrong")
        sent = [self.teller.send_pin(self.session, home, self.now) for home in homes]
        return Outcome("ok" if any(sent) else "already")

    def _show_index(self, effect: Effect) -> Outcome:
        home = self.session.get_one(Household, UUID(effect.proof))
        current = score.latest(self.session, home.id)
        if current is None or current.value is None:
            due = home.registered_on + TOLD_WITHIN
            return Outcome("none", {"due": due}) if self._today() <= due else Outcome("late")
        audit.record(self.session, self.teller.vault, "index.seen", by="household", now=self.now,
                     household_id=home.id, subject=current.id, channel=self.channel)
        told = score.notified(self.session, current.id)
        judged = score.decisions(self.session, [home.id])[home.id]
        programmes = [{"key": decision.programme, "below": decision.below}
                      for decision in judged if decision.below is not None and decision.programme in in_texts()]
        return Outcome("ok", {"index": current.value, "programmes": programmes,
                              "last_day": review.last_day(told.notified_on) if told else None})

    def _review_state(self, effect: Effect) -> Outcome:
        seen = review.window(self.session, UUID(effect.proof), self.now)
        if seen.review and seen.review.asked_by == self.conversation:
            return Outcome("open", {"deadline": seen.last_day})
        return _window(seen)

    def _request_review(self, effect: Effect) -> Outcome:
        asked = review.ask(self.session, self.teller.vault, UUID(effect.proof), channel=self.channel,
                           asked_by=self.conversation, answer_within=self.answer_within, now=self.now)
        if isinstance(asked, Window):
            return _window(asked)
        self.teller.tell(self.session, [asked], self.now)
        return Outcome("ok", _asked(asked))

    def _file_complaint(self, effect: Effect) -> Outcome:
        homes = self._homes()
        if effect.argument == "phone_problem":
            # Whoever was warned of a new number and did not ask for it finds this key in the warning. It is refused
            # first: a telephone that has filed its complaints of the day is protected all the same.
            number_change.refuse_from(self.session, self.teller.vault, [home.id for home in homes], self.msisdn,
                                      now=self.now)
        try:
            filed = complaint.file(
                self.session, self.teller.vault, household_id=homes[0].id if len(homes) == 1 else None,
                category=effect.argument, channel=self.channel,
                msisdn_blind=self.teller.vault.blind(self.msisdn, "complaint.msisdn"),
                asked_by=f"{self.conversation}/{effect.argument}", now=self.now)
        except TooManyComplaints:
            return Outcome("too_many")
        self.teller.tell(self.session, [filed], self.now)
        return Outcome("ok", {"number": filed.number})

    def _request_status(self, effect: Effect) -> Outcome:
        number = read_number(effect.argument)
        if number is None:
            return Outcome("check")
        if not self.may_look_up(number):
            return Outcome("unknown")
        if kind_of(number) == "review":
            asked = review.state_of(self.session, number, self.now)
            if asked:
                return _found("review", asked.state, asked.on, asked.answer_by)
        if kind_of(number) == "complaint":
            filed = self.session.scalar(sa.select(Complaint).where(Complaint.number == number))
            if filed:
                return _found("complaint", filed.state, day_of(filed.received_at), None)
        if kind_of(number) == "message":
            ours = self.session.scalar(sa.select(Message.created_at).where(Message.reference == number))
            if ours:
                return Outcome("ours", {"date": day_of(ours)})
        return Outcome("unknown")

    def _homes(self) -> list[Household]:
        return households_of(self.session, self.teller.vault, self.msisdn)

    def _named(self, who: str) -> UUID:
        return UUID(bytes=self.teller.vault.blind(who, "telephone")[:16])

    def _today(self) -> date:
        return day_of(self.now)


def _window(seen: Window) -> Outcome:
    if seen.state == "already" and seen.review:
        return Outcome("already", {"number": seen.review.number})
    if seen.last_day and seen.state in ("open", "late"):
        return Outcome(seen.state, {"deadline": seen.last_day})
    return Outcome("none")


def _asked(asked: ReviewAsked) -> dict[str, Fact]:
    return {"number": asked.number, "answer_by": asked.answer_by}


# What a state of a request is called on the telephone.
COARSE = {
    "complaint": complaint.COARSE,
    "review": {
        "asked": "received",
        "acknowledged": "received",
        "assigned": "in_progress",
        "needs_information": "in_progress",
        "decided": "answered",
        "notified": "answered",
        "withdrawn": "withdrawn",
    },
}


def _found(kind: str, state: str, since: date, answer_by: date | None) -> Outcome:
    """Coarse on purpose: a number that was overheard proves nothing."""
    return Outcome("found", {"kind": kind, "state": COARSE[kind][state], "answer_by": answer_by, "date": since})
