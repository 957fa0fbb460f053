"""Notices: an event of the registry becomes a message, in a language, by a medium, at an hour; or silence.

A household with a mobile telephone that agreed to texts gets a text; any other a letter; one whose text
failed for good, a text at its next telephone while there is time, and a letter when there is none. A legal answer
goes by both.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import sqlalchemy as sa
from jinja2 import TemplateError
from sqlalchemy.exc import NoResultFound
from sqlalchemy.orm import Session

from channels.text import fold
from gateway import outbox, proof, reasons, unreached, untold
from gateway.errands import Errand
from gateway.hours import awake
from gateway.outbox import (
    DECISION,
    LANES,
    REPLY,
    SILENT_AFTER,
    TELEPHONES,
    Draft,
    Message,
    Settlement,
    Texted,
    placed,
    subject_of,
)
from gateway.registry import audit, number_change, registration, suppression
from gateway.registry import household as households
from gateway.registry.clock import day_of, start_of
from gateway.registry.events import Event, NumberDoubted
from gateway.registry.household import Household
from gateway.registry.networks import network_of
from gateway.registry.registration import TOLD_WITHIN
from gateway.registry.review import last_day
from gateway.settings import AsleepHours
from gateway.tellings import OF_A_SCORE, OF_THE_REGISTER, Facts, Reader, Telling, tellings
from gateway.vault import CannotOpen, Vault
from gateway.words import LOCALES, Words

log = logging.getLogger(__name__)

# What a notice fails of by a fault of ours: a text, a fact or a sealed value that is not as it should be.
FAULTS = (TemplateError, CannotOpen, LookupError, ValueError, TypeError, AttributeError, NoResultFound)
Failed = dict[Telling, Exception]

# A letter takes days: as long as one with a PIN may be under way, no other is sent.
PIN_TAKES = timedelta(days=14)
A_DAY = timedelta(days=1)
# What a conversation says next is a message under this name; no document words it.
ANSWER = "answer"
# Who has a telephone is told by text that the post has taken a letter, and its code.
ANNOUNCES = "letter_posted"
# Where a theft may be under way, no new PIN goes out with the warning; nor does one because a programme wrote.
WITHOUT_PIN = ("number_change_asked", "programme_invites")


# How to tell: as its notice says; at the household's next telephone, or else by post; by post.
Way = Literal["any", "next", "post"]


@dataclass(frozen=True)
class _Telephone:
    """Where a text goes: its place among those that are told the same, and until when (None: as its notice says)."""

    place: int
    msisdn: str = field(repr=False)
    tell_by: datetime | None = None


@dataclass(frozen=True)
class Teller:
    """What it takes to word and post a notice."""

    vault: Vault
    words: Words
    reader: Reader
    service_code: str
    asleep: AsleepHours

    def tell(self, session: Session, events: Iterable[Event], now: datetime) -> int:
        """Post what these events call for. Returns how many messages are new.

        One that cannot be worded, by a fault of ours, is kept as `untold` and hinders no other.
        """
        return self._tell(session, [telling for event in events for telling in tellings(event)], now)

    def run_errand(self, session: Session, errand: Errand, now: datetime) -> None:
        """Post the notice that a programme asks for, by text or by letter."""
        self._tell(session, [Telling(errand.notice, errand.household_id, str(errand.id))], now)

    def tell_again(self, session: Session, now: datetime) -> int:
        """Try once more what could not be told an hour ago and before. Returns how many were tried."""
        waiting = untold.due(session, now)
        for by_post in (False, True):
            again = [one for one in waiting if one.by_post == by_post]
            _, failed = self._post(session, [one.telling for one in again], now, "post" if by_post else "any")
            untold.keep(session, failed, now, by_post=by_post)
            for one in again:
                if one.telling not in failed:
                    session.delete(one)
        return len(waiting)

    def disowned(self, session: Session, msisdn: str, events: Sequence[Event], now: datetime) -> int:
        """These households do not have this number (E.164) any more: tell them so, and by letter what went there."""
        homes = [event.household_id for event in events if event.household_id]
        unheard = list(proof.disowned(session, self.vault, msisdn, homes, now))
        return self.tell(session, events, now) + self._tell(session, unheard, now, "post")

    def doubted(self, session: Session, events: Sequence[NumberDoubted], now: datetime) -> int:
        """These numbers may be a stranger's: what still waits to be texted there goes elsewhere; then they are told."""
        for event in events:
            msisdn = households.number_of(session, self.vault, event.contact_id)
            self.heard_all(session, outbox.close(session, self.vault, msisdn, self.words.notices(), now,
                                                 event.household_id), now)
        return self.tell(session, events, now)

    def heard(self, session: Session, settlement: Settlement | None, now: datetime) -> None:
        """A message has ended, or none has."""
        if settlement:
            self.heard_all(session, [settlement], now)

    def heard_all(self, session: Session, settlements: Sequence[Settlement], now: datetime) -> None:
        """Messages have ended: keep the proofs, announce what is in the post, try another way for what has failed."""
        arrived = [one for one in settlements if one.state == "delivered"]
        proof.keep(session, self.vault, arrived, now)
        self._announce(session, [one for one in arrived if one.medium == "letter" and one.household_id], now)
        for one in settlements:
            if one.opted_out and (msisdn := outbox.number_of(session, self.vault, one.message_id)):
                self.stop(session, msisdn, now, "provider", "receipt")
        failed = []
        for one in settlements:
            if one.state == "failed" and one.medium == "sms" and one.household_id:
                failed.append(Telling(one.notice, one.household_id, subject_of(one.subject)))
                if one.notice == "number_change_asked":
                    # The warning takes the post's time now, and so does the change.
                    number_change.postpone(session, self.vault, UUID(one.subject.partition("/")[0]), now)
        if failed:
            self._tell(session, self.reader.instead(session, failed), now, "next")

    def _announce(self, session: Session, posted: Sequence[Settlement], now: datetime) -> None:
        """Tell by text that a letter comes, but not where a text has told the same, or could not: that was the news.

        An index goes by letter only where no text of it can arrive.
        """
        told = {one.message_id: (one.household_id, one.notice, subject_of(one.subject)) for one in posted
                if one.household_id and one.notice not in OF_A_SCORE}
        texted = outbox.texted(session, list(told.values())) if told else {}
        self._tell(session, [Telling(ANNOUNCES, telling[0], str(letter)) for letter, telling in told.items()
                             if telling not in texted], now)

    def came_back(self, session: Session, letter: Message, reason: str, *, by: str, now: datetime) -> None:
        """The post has brought this letter back: what it told was not told, and its household is called in."""
        if letter.household_id is None:
            return
        proof.take_back(session, self.vault, letter, now)
        outbox.cancel(session, letter.household_id, ANNOUNCES, str(letter.id), "sms", now)
        audit.record(session, self.vault, "letter.returned", by=by, now=now, household_id=letter.household_id,
                     subject=letter.id, notice=letter.notice, reason=reason)
        self.call_in(session, {letter.id: letter.household_id}, reason, now)

    def call_in(self, session: Session, letters: Mapping[UUID, UUID], reason: str, now: datetime) -> None:
        """Nobody can bring these letters, each named with its household: they are listed, and who has a telephone is
        texted to come to the centre, once a day."""
        call = day_of(now).isoformat()
        unreached.keep(session, letters, reason, call, now)
        self._tell(session, [Telling(unreached.CALLS, home, call) for home in dict.fromkeys(letters.values())], now)

    def handed_over(self, session: Session, reference: str, *, by: str, now: datetime) -> bool:
        """The household was given this letter at its centre, and so was told today. False when it does not wait."""
        found = [one.message for one in outbox.track(session, [reference])
                 if unreached.end(session, one.message.id, now)]
        for letter in found:
            if letter.household_id is None:
                continue
            audit.record(session, self.vault, "letter.handed_over", by=by, now=now, household_id=letter.household_id,
                         subject=letter.id, notice=letter.notice)
            proof.keep(session, self.vault, [Settlement(
                letter.id, letter.household_id, letter.notice, letter.subject, "centre", letter.state, now)], now)
        return bool(found)

    def forget(self, session: Session, household_id: UUID, now: datetime) -> None:
        """The household has left the register: what nobody has begun to tell it is not told any more."""
        outbox.cancel_all(session, household_id, now)
        unreached.forget(session, household_id, now)

    def send_pin(self, session: Session, home: Household, now: datetime) -> bool:
        """Post a letter with a new PIN. False when one is on its way already, or a new telephone number waits."""
        under_way = sa.select(Message.id).where(
            Message.household_id == home.id, Message.notice == "pin",
            sa.or_(Message.state.in_(("created", "sending", "sent", "handed")),
                   sa.and_(Message.state == "delivered", Message.changed_at > now - PIN_TAKES)))
        if session.scalar(under_way.limit(1)) or number_change.frozen(session, home.id, now):
            return False
        draft = self._paper(session, home, Telling("pin", home.id, now.isoformat()), {}, now)
        return outbox.post(session, self.vault, [draft], now) == 1

    def stop(self, session: Session, msisdn: str, now: datetime, why: suppression.Why = "stop",
             by: str = "telephone") -> None:
        """No more texts to this number; what it has not been told yet goes elsewhere."""
        households.suspend(session, self.vault, msisdn, now, why, by)
        self.heard_all(session, outbox.close(session, self.vault, msisdn, self.by_day, now), now)

    def reply(self, session: Session, notice: str, locale: str, msisdn: str, subject: str, now: datetime,
              **facts: object) -> None:
        """Answer a text or a call by a text, to the number that it came from; replies know no quiet hours."""
        reference = outbox.new_reference()
        body = self.words.notice(notice, "sms", locale, reference=reference, service_code=self.service_code, **facts)
        outbox.post(session, self.vault, [Draft(None, notice, subject, "sms", locale, reference, msisdn, body,
                                                self.words.about(notice).policy, REPLY,
                                                network=network_of(msisdn))], now)

    def answer(self, session: Session, body: str, locale: str, msisdn: str, subject: str, now: datetime) -> None:
        """Send back what a conversation says next, in its own words."""
        locale = locale if locale in LOCALES else LOCALES[0]
        outbox.post(session, self.vault, [Draft(None, ANSWER, subject, "sms", locale, outbox.new_reference(), msisdn,
                                                fold(body).text, "at_most_once", REPLY,
                                                network=network_of(msisdn))], now)

    @property
    def by_day(self) -> tuple[str, ...]:
        """The notices that wait for the day."""
        return tuple(name for name in self.words.notices() if self.words.about(name).lane != "reply")

    def _tell(self, session: Session, told: Sequence[Telling], now: datetime, way: Way = "any") -> int:
        posted, failed = self._post(session, told, now, way)
        untold.keep(session, failed, now, by_post=way != "any")
        return posted

    def _post(self, session: Session, told: Sequence[Telling], now: datetime,
              way: Way) -> tuple[int, Collection[Telling]]:
        """How many messages are new, and what could not be told. What is superseded is taken back in any case."""
        known, failed = self._known(session, told)
        drafts, unworded = self._drafts(session, known, now, way)
        failed.update(unworded)
        for notice, number in Counter(telling.notice for telling in failed).items():
            log.error("%d notices %s could not be told and are tried again in an hour", number, notice,
                      exc_info=next(error for telling, error in failed.items() if telling.notice == notice))
        return outbox.post(session, self.vault, drafts, now), failed.keys()

    def _known(self, session: Session, told: Sequence[Telling]) -> tuple[dict[Telling, Facts], Failed]:
        """The facts, fetched for all at once; when that fails one by one, so that it is found whose are missing."""
        try:
            return self.reader.facts(session, told), {}
        except FAULTS as error:
            if len(told) == 1:
                return {}, {told[0]: error}
        known: dict[Telling, Facts] = {}
        failed: Failed = {}
        for one in told:
            facts, missing = self._known(session, [one])
            known.update(facts)
            failed.update(missing)
        return known, failed

    def _drafts(self, session: Session, known: Mapping[Telling, Facts], now: datetime,
                way: Way) -> tuple[list[Draft], Failed]:
        """A text or a letter for each."""
        ids = [telling.household_id for telling in known]
        homes = {home.id: home for home in session.scalars(sa.select(Household).where(Household.id.in_(ids)))}
        telephones = self._telephones(session, known, now, way)
        out = registration.standing_out(session, ids)
        due = {telling: facts for telling, facts in known.items()
               if telling.household_id not in out or telling.notice not in OF_THE_REGISTER}
        self._supersede(session, due, now)
        drafts: list[Draft] = []
        failed: Failed = {}
        for telling, facts in due.items():
            if facts.get("silent"):
                proof.stands_in(session, [telling.household_id], now)
                continue
            about = self.words.about(telling.notice)
            texted = telephones.get(telling, ()) if "sms" in about.media else ()
            try:
                drafts += self._worded(session, homes[telling.household_id], telling, facts, texted, now)
            except FAULTS as error:
                failed[telling] = error
        return drafts, failed

    def _supersede(self, session: Session, due: Mapping[Telling, Facts], now: datetime) -> None:
        """What nobody has begun to tell is not told any more: two at once would contradict each other."""
        outbox.cancel_others(session, (*OF_A_SCORE, "registration_late"), {
            telling.household_id: telling.subject for telling in due if telling.notice in OF_A_SCORE}, now)
        for telling in due:
            if telling.notice == "decision_changed":
                for former in self.reader.former_decisions(session, telling.subject):
                    for subject in outbox.placed_all(str(former)):
                        for medium in ("sms", "letter"):
                            outbox.cancel(session, telling.household_id, telling.notice, subject, medium, now)

    def _worded(self, session: Session, home: Household, telling: Telling, facts: Facts,
                texted: Sequence[_Telephone], now: datetime) -> list[Draft]:
        """A text to each of the telephones; and a letter where there is none, or where one goes as well."""
        about = self.words.about(telling.notice)
        drafts = [self._text(home, telling, one, facts, now) for one in texted]
        if "letter" in about.media and (not texted or about.also_by_letter):
            drafts.append(self._paper(session, home, telling, facts, now))
        return drafts

    def _telephones(self, session: Session, told: Collection[Telling], now: datetime,
                    way: Way) -> dict[Telling, Sequence[_Telephone]]:
        """A household is told at its first number, then at the next; of its numbers themselves, all that it concerns
        are."""
        if way == "post":
            return {}
        concerned = {telling: numbers for telling in told
                     if (numbers := self.reader.told_at(session, telling)) is not None}
        silent = suppression.suppressed(session, self.vault, [one for numbers in concerned.values() for one in numbers])
        ids = [telling.household_id for telling in told if telling not in concerned]
        if way == "next":
            return self._next_telephones(session, [one for one in told if one not in concerned], ids, now)
        first = households.texted_at(session, self.vault, ids)
        return {telling: [_Telephone(place, msisdn) for place, msisdn in enumerate(
            concerned.get(telling, (first[telling.household_id],) if telling.household_id in first else ()))
            if msisdn not in silent] for telling in told}

    def _next_telephones(self, session: Session, told: Sequence[Telling], ids: Sequence[UUID],
                         now: datetime) -> dict[Telling, Sequence[_Telephone]]:
        """The next number that was not texted the same, while there is time for a text that nothing is heard of."""
        agreed = households.telephones(session, self.vault, ids)
        tried = outbox.texted(session, [(one.household_id, one.notice, one.subject) for one in told])
        found: dict[Telling, Sequence[_Telephone]] = {}
        for telling in told:
            texts = tried.get((telling.household_id, telling.notice, telling.subject), [])
            if 0 < len(texts) < TELEPHONES and now + SILENT_AFTER <= texts[0].tell_by:
                left = self._left(agreed.get(telling.household_id, ()), texts)
                found[telling] = [_Telephone(len(texts), msisdn, texts[0].tell_by) for msisdn in left[:1]]
        return found

    def _left(self, numbers: Iterable[str], texts: Iterable[Texted]) -> list[str]:
        blinds = {text.to_blind for text in texts}
        return [msisdn for msisdn in numbers if blinds.isdisjoint(self.vault.blinds(msisdn, "message.to"))]

    def _text(self, home: Household, telling: Telling, to: _Telephone, facts: Facts, now: datetime) -> Draft:
        until = last_day(day_of(awake(now, self.asleep, LANES.index(self.words.about(telling.notice).lane))))
        told = {"review_until": until, "reference": outbox.new_reference(), **self._common(home, facts, home.locale)}
        body = self.words.notice(telling.notice, "sms", home.locale, **told)
        draft = self._draft(home, telling, "sms", told["reference"], to.msisdn, body, facts, now)
        return replace(draft, subject=placed(telling.subject, to.place), tell_by=to.tell_by or draft.tell_by)

    def _paper(self, session: Session, home: Household, telling: Telling, facts: Facts, now: datetime) -> Draft:
        """The day of printing and the last day of a review are filled in when the sheet is printed."""
        reference = outbox.new_reference()
        weighing = self.reader.weighing(session, telling)
        documents = {locale: self.words.notice(telling.notice, "letter", locale, reference=reference,
                                               with_pin=telling.notice not in WITHOUT_PIN,
                                               weighs=[reasons.weight(self.words, locale, line) for line in weighing],
                                               **self._common(home, facts, locale)) for locale in LOCALES}
        lines = households.address_of(self.vault, home).lines
        return self._draft(home, telling, "letter", reference, json.dumps(lines), json.dumps(documents), facts, now)

    def _common(self, home: Household, facts: Facts, locale: str) -> Facts:
        """What every notice may say; lines of an explanation are worded in its language."""
        lines = [reasons.moved(self.words, locale, one) for one in facts.get("movements", ())]
        return {"registered_on": home.registered_on, "service_code": self.service_code, "reasons": lines, **facts}

    def _draft(self, home: Household, telling: Telling, medium: str, reference: str, to: str, body: str, facts: Facts,
               now: datetime) -> Draft:
        about = self.words.about(telling.notice)
        lane = LANES.index(about.lane)
        # The first index has its day by law; what else has been decided is told as fast.
        since = home.registered_on if telling.notice == "index_assigned" else day_of(now)
        last = facts.get("tell_by") or (since + TOLD_WITHIN if lane == DECISION else None)
        return Draft(home.id, telling.notice, telling.subject, medium, home.locale, reference, to, body, about.policy,
                     lane, start_of(last + A_DAY) if last else None, network_of(to) if medium == "sms" else "")
