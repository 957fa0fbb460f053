"""Notices: an event of the registry becomes a message, in a language, by a medium, at an hour; or silence.

A household with a mobile telephone that agreed to texts gets a text; any other a letter; one whose text
failed for good, a letter as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox
from gateway.outbox import Draft, Settlement
from gateway.registry import household as households
from gateway.registry import score
from gateway.registry.clock import CASABLANCA, day_of
from gateway.registry.events import ComplaintReceived, Event, IndexAssigned, ReviewAsked
from gateway.registry.household import Household
from gateway.registry.review import last_day
from gateway.settings import QuietHours
from gateway.vault import Vault
from gateway.words import LOCALES, Words

# Notices that wait for the day. All others answer somebody who is awake.
BY_DAY = ("index_assigned",)
# A letter takes days: as long as one with a PIN may be under way, no other is sent.
POST_TAKES = timedelta(days=14)


@dataclass(frozen=True)
class Teller:
    """What it takes to word and post a notice."""

    vault: Vault
    words: Words
    service_code: str
    quiet_hours: QuietHours

    def tell(self, session: Session, events: Iterable[Event], now: datetime) -> int:
        """Post what these events call for. Returns how many messages are new."""
        events = list(events)
        assigned = [event for event in events if isinstance(event, IndexAssigned)]
        told = self._assigned(session, assigned, now)
        at_once = [draft for draft in told if draft.medium == "letter"]
        at_once += [draft for event in events for draft in self._confirmation(session, event)]
        texts = [draft for draft in told if draft.medium == "sms"]
        return (outbox.post(session, self.vault, at_once, now)
                + outbox.post(session, self.vault, texts, now, awake(now, self.quiet_hours)))

    def heard(self, session: Session, settlement: Settlement | None, now: datetime) -> None:
        """A message has ended: keep the proof of notification, or try another way."""
        if settlement is None or settlement.household_id is None or settlement.notice != "index_assigned":
            return
        score_id = UUID(settlement.subject)
        if settlement.state == "delivered":
            score.record_notification(
                session, household_id=settlement.household_id, score_id=score_id, medium=settlement.medium,
                notified_on=day_of(settlement.at), message_id=settlement.message_id, now=now,
                proof="posting" if settlement.medium == "letter" else "receipt")
            if settlement.medium == "sms":
                outbox.cancel(session, settlement.household_id, settlement.notice, settlement.subject, "letter", now)
        elif settlement.state == "failed" and settlement.medium == "sms":
            event = IndexAssigned(settlement.household_id, score_id)
            outbox.post(session, self.vault, self._assigned(session, [event], now, by_post=True), now)

    def send_pin(self, session: Session, home: Household, now: datetime) -> bool:
        """Post a letter with a new PIN. False when one is on its way already."""
        under_way = sa.select(outbox.Message.id).where(
            outbox.Message.household_id == home.id, outbox.Message.notice == "pin",
            sa.or_(outbox.Message.state.in_(("created", "sending", "sent")),
                   sa.and_(outbox.Message.state == "delivered", outbox.Message.changed_at > now - POST_TAKES)))
        if session.scalar(under_way.limit(1)):
            return False
        draft = self._paper(home, "pin", now.isoformat(), outbox.new_reference(), {})
        return outbox.post(session, self.vault, [draft], now) == 1

    def stop(self, session: Session, msisdn: str, now: datetime) -> None:
        """No more texts to this number; what it has not been told yet goes by letter."""
        households.suspend(session, self.vault, msisdn, now)
        for settlement in outbox.close(session, self.vault, msisdn, BY_DAY, now):
            self.heard(session, settlement, now)

    def reply(self, session: Session, notice: str, locale: str, msisdn: str, subject: str, now: datetime,
              **facts: object) -> None:
        """Answer a text or a call by a text, to the number that it came from; replies know no quiet hours."""
        reference = outbox.new_reference()
        body = self.words.notice(notice, "sms", locale, reference=reference, service_code=self.service_code, **facts)
        outbox.post(session, self.vault, [Draft(None, notice, subject, "sms", locale, reference, msisdn, body,
                                                self.words.about(notice).policy)], now)

    def _assigned(self, session: Session, events: Sequence[IndexAssigned], now: datetime, *,
                  by_post: bool = False) -> list[Draft]:
        """A text or a letter a household; what they are made of is fetched for all at once.

        The index before is not told any more where nobody has begun to: two at once would contradict each other.
        """
        ids = [event.household_id for event in events]
        homes = {home.id: home for home in session.scalars(sa.select(Household).where(Household.id.in_(ids)))}
        telephones = {} if by_post else households.texted_at(session, self.vault, ids)
        score_ids = [event.score_id for event in events]
        scores = {found.id: found for found in session.scalars(
            sa.select(score.IndexScore).where(score.IndexScore.id.in_(score_ids)))}
        decided = score.decisions(session, ids)
        drafts = []
        for event in events:
            home, found, msisdn = homes[event.household_id], scores[event.score_id], telephones.get(event.household_id)
            for medium in ("sms", "letter") if found.predecessor_id else ():
                outbox.cancel(session, home.id, "index_assigned", str(found.predecessor_id), medium, now)
            facts = {"index": found.value, "programmes": [
                {"key": decision.programme, "below": decision.below, "threshold": decision.threshold}
                for decision in decided[home.id] if decision.below is not None]}
            if msisdn:
                told_on = day_of(awake(now, self.quiet_hours))
                drafts.append(self._text(home, "index_assigned", str(found.id), msisdn,
                                         {**facts, "review_until": last_day(told_on)}))
            else:
                drafts.append(self._paper(home, "index_assigned", str(found.id), outbox.new_reference(), facts))
        return drafts

    def _confirmation(self, session: Session, event: Event) -> list[Draft]:
        """A text that repeats a number just told; where there is no telephone on file, the call was enough."""
        match event:
            case ReviewAsked(household_id, review_id, number, answer_by):
                notice, subject, facts = "review_received", review_id, {"number": number, "answer_by": answer_by}
            case ComplaintReceived(household_id, complaint_id, number, owner):
                notice, subject, facts = "complaint_received", complaint_id, {"number": number, "owner": owner}
            case _:
                return []
        home = session.get(Household, household_id) if household_id else None
        msisdn = households.texted_at(session, self.vault, [home.id]).get(home.id) if home else None
        return [self._text(home, notice, str(subject), msisdn, facts)] if home and msisdn else []

    def _text(self, home: Household, notice: str, subject: str, msisdn: str, facts: Mapping[str, object]) -> Draft:
        reference = outbox.new_reference()
        body = self.words.notice(notice, "sms", home.locale, reference=reference, service_code=self.service_code,
                                 **facts)
        return Draft(home.id, notice, subject, "sms", home.locale, reference, msisdn, body,
                     self.words.about(notice).policy)

    def _paper(self, home: Household, notice: str, subject: str, reference: str,
               facts: Mapping[str, object]) -> Draft:
        """The day of printing and the last day of a review are filled in when the sheet is printed."""
        documents = {locale: self.words.notice(notice, "letter", locale, reference=reference, with_pin=True,
                                               service_code=self.service_code, registered_on=home.registered_on,
                                               **facts) for locale in LOCALES}
        lines = households.address_of(self.vault, home).lines
        return Draft(home.id, notice, subject, "letter", home.locale, reference, json.dumps(lines),
                     json.dumps(documents), self.words.about(notice).policy)


def awake(now: datetime, quiet: QuietHours) -> datetime:
    """`now`, or the end of the quiet hours that it falls into, by the clock of Casablanca."""
    local = now.astimezone(CASABLANCA)
    if quiet.start == quiet.end:
        return now
    late, early = local.hour >= quiet.start, local.hour < quiet.end
    if not ((late or early) if quiet.start > quiet.end else (late and early)):
        return now
    morning = local.replace(hour=quiet.end, minute=0, second=0, microsecond=0, fold=0)
    if late and quiet.start > quiet.end:
        morning += timedelta(days=1)
    return morning.astimezone(now.tzinfo)
