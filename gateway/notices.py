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
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway import outbox
from gateway.outbox import Draft, Settlement
from gateway.registry import household as households
from gateway.registry import score
from gateway.registry.events import ComplaintReceived, Event, IndexAssigned, ReviewAsked
from gateway.registry.household import Household
from gateway.registry.review import last_day
from gateway.settings import QuietHours
from gateway.vault import Vault
from gateway.words import LOCALES, Words

CASABLANCA = ZoneInfo("Africa/Casablanca")


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
        drafts = self._assigned(session, assigned, now)
        drafts += [draft for event in events for draft in self._confirmation(session, event)]
        letters = [draft for draft in drafts if draft.medium == "letter"]
        texts = [draft for draft in drafts if draft.medium == "sms"]
        return (outbox.post(session, self.vault, letters, now)
                + outbox.post(session, self.vault, texts, now, awake(now, self.quiet_hours)))

    def heard(self, session: Session, settlement: Settlement | None, now: datetime) -> None:
        """A message has ended: keep the proof of notification, or try another way."""
        if settlement is None or settlement.household_id is None or settlement.notice != "index_assigned":
            return
        score_id = UUID(settlement.subject)
        if settlement.state == "delivered":
            score.record_notification(
                session, household_id=settlement.household_id, score_id=score_id, medium=settlement.medium,
                notified_on=settlement.at.astimezone(CASABLANCA).date(), message_id=settlement.message_id, now=now,
                proof="posting" if settlement.medium == "letter" else "receipt")
            if settlement.medium == "sms":
                outbox.cancel(session, settlement.household_id, settlement.notice, settlement.subject, "letter", now)
        elif settlement.state == "failed" and settlement.medium == "sms":
            event = IndexAssigned(settlement.household_id, score_id)
            outbox.post(session, self.vault, self._assigned(session, [event], now, by_post=True), now)

    def send_pin(self, session: Session, home: Household, now: datetime) -> bool:
        """Post a letter with a new PIN; one a day at most. False when one is on its way already."""
        day = now.astimezone(CASABLANCA).date().isoformat()
        draft = self._paper(home, "pin", day, outbox.new_reference(), {"today": now.astimezone(CASABLANCA).date()})
        return outbox.post(session, self.vault, [draft], now) == 1

    def reply(self, session: Session, notice: str, locale: str, msisdn: str, subject: str, now: datetime,
              **facts: object) -> None:
        """Answer a text or a call by a text, to the number that it came from; replies know no quiet hours."""
        reference = outbox.new_reference()
        body = self.words.notice(notice, "sms", locale, reference=reference, service_code=self.service_code, **facts)
        outbox.post(session, self.vault, [Draft(None, notice, subject, "sms", locale, reference, msisdn, body,
                                                self.words.about(notice).policy)], now)

    def _assigned(self, session: Session, events: Sequence[IndexAssigned], now: datetime, *,
                  by_post: bool = False) -> list[Draft]:
        """A text or a letter a household; what they are made of is fetched for all at once."""
        ids = [event.household_id for event in events]
        homes = {home.id: home for home in session.scalars(sa.select(Household).where(Household.id.in_(ids)))}
        telephones = {} if by_post else households.texted_at(session, self.vault, ids)
        facts = self._index_facts(session, [event.score_id for event in events], now)
        drafts = []
        for event in events:
            home, subject, told = homes[event.household_id], str(event.score_id), facts[event.score_id]
            msisdn = telephones.get(home.id)
            drafts.append(self._text(home, "index_assigned", subject, msisdn, told) if msisdn
                          else self._paper(home, "index_assigned", subject, outbox.new_reference(), told))
        return drafts

    def _confirmation(self, session: Session, event: Event) -> list[Draft]:
        """A text that repeats a number just told; where there is no telephone on file, the call was enough."""
        match event:
            case ReviewAsked(household_id, review_id, number, answer_by):
                notice, subject, facts = "review_received", review_id, {"number": number, "answer_by": answer_by}
            case ComplaintReceived(household_id, complaint_id, number):
                notice, subject, facts = "complaint_received", complaint_id, {"number": number}
            case IndexAssigned():
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
        documents = {locale: self.words.notice(notice, "letter", locale, reference=reference, with_pin=True,
                                               service_code=self.service_code, registered_on=home.registered_on,
                                               **facts) for locale in LOCALES}
        lines = households.address_of(self.vault, home).lines
        return Draft(home.id, notice, subject, "letter", home.locale, reference, json.dumps(lines),
                     json.dumps(documents), self.words.about(notice).policy)

    def _index_facts(self, session: Session, score_ids: Sequence[UUID], now: datetime) -> dict[UUID, dict[str, object]]:
        today = now.astimezone(CASABLANCA).date()
        decided = score.decisions(session, score_ids)
        scores = session.scalars(sa.select(score.IndexScore).where(score.IndexScore.id.in_(score_ids)))
        return {found.id: {
            "index": found.value, "today": today, "review_until": last_day(today),
            "programmes": [{"key": decision.programme, "below": decision.below, "threshold": decision.threshold}
                           for decision in decided[found.id] if decision.below is not None],
        } for found in scores}


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
