"""Notices: an event of the registry becomes a message, in a language, by a medium, at an hour; or silence.

A household with a mobile telephone that agreed to texts gets a text; any other a letter; one whose text
failed for good, a letter as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

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
        drafts = [draft for event in events for draft in self._drafts(session, event, now)]
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
            home = session.get_one(Household, settlement.household_id)
            outbox.post(session, self.vault, [self._letter(session, home, score_id, now)], now)

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

    def _drafts(self, session: Session, event: Event, now: datetime) -> list[Draft]:
        match event:
            case IndexAssigned(household_id, score_id):
                home = session.get_one(Household, household_id)
                msisdn = households.texted_at(session, self.vault, household_id)
                if msisdn is None:
                    return [self._letter(session, home, score_id, now)]
                return [self._text(home, "index_assigned", str(score_id), msisdn, self._index_facts(
                    session, score_id, now))]
            case ReviewAsked(household_id, review_id, number, answer_by):
                return self._confirmation(session, household_id, "review_received", review_id,
                                          {"number": number, "answer_by": answer_by})
            case ComplaintReceived(household_id, complaint_id, number):
                return self._confirmation(session, household_id, "complaint_received", complaint_id,
                                          {"number": number})

    def _confirmation(self, session: Session, household_id: UUID | None, notice: str, subject: UUID,
                      facts: Mapping[str, object]) -> list[Draft]:
        """A text that repeats a number just told; where there is no telephone on file, the call was enough."""
        home = session.get(Household, household_id) if household_id else None
        msisdn = households.texted_at(session, self.vault, home.id) if home else None
        return [self._text(home, notice, str(subject), msisdn, facts)] if home and msisdn else []

    def _text(self, home: Household, notice: str, subject: str, msisdn: str, facts: Mapping[str, object]) -> Draft:
        reference = outbox.new_reference()
        body = self.words.notice(notice, "sms", home.locale, reference=reference, service_code=self.service_code,
                                 **facts)
        return Draft(home.id, notice, subject, "sms", home.locale, reference, msisdn, body,
                     self.words.about(notice).policy)

    def _letter(self, session: Session, home: Household, score_id: UUID, now: datetime) -> Draft:
        facts = self._index_facts(session, score_id, now)
        return self._paper(home, "index_assigned", str(score_id), outbox.new_reference(), facts)

    def _paper(self, home: Household, notice: str, subject: str, reference: str,
               facts: Mapping[str, object]) -> Draft:
        documents = {locale: self.words.notice(notice, "letter", locale, reference=reference, with_pin=True,
                                               service_code=self.service_code, registered_on=home.registered_on,
                                               **facts) for locale in LOCALES}
        lines = households.address_of(self.vault, home).lines
        return Draft(home.id, notice, subject, "letter", home.locale, reference, json.dumps(lines),
                     json.dumps(documents), self.words.about(notice).policy)

    def _index_facts(self, session: Session, score_id: UUID, now: datetime) -> dict[str, object]:
        today = now.astimezone(CASABLANCA).date()
        programmes = [{"key": decision.programme, "below": decision.below, "threshold": decision.threshold,
                       "eligible": decision.eligible} for decision in score.decisions(session, score_id)
                      if decision.below is not None]
        return {"programmes": programmes, "review_until": last_day(today), "today": today,
                "index": session.get_one(score.IndexScore, score_id).value}


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
