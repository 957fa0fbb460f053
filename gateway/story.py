"""Story: six households on their way through the registry, for the tour; no one in it exists.

The clock is set back for what happened some days ago, so that promises can be kept, broken and watched in a minute.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from gateway import paper
from gateway.answering import take_answers
from gateway.deadlines import strike
from gateway.importing import import_extract
from gateway.outbox import Message
from gateway.registry import audit, complaint, number_change, review, review_desk, score, scoring
from gateway.registry.clock import day_of, end_of_office, start_of
from gateway.registry.complaint import Complaint
from gateway.registry.events import ReviewAsked
from gateway.registry.household import Household
from gateway.registry.phones import telephone
from gateway.registry.registration import Registration
from gateway.registry.sample import write_answers
from gateway.registry.score import IndexScore
from gateway.registry.standing import standing
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from gateway.runtime import Runtime
from gateway.scans import Scan, take_one

HOUSEHOLDS = Path(__file__).with_name("story.jsonl")
NEW_NUMBER = "0613 00 05 91"
HEARD_WITHIN_S = 20

Say = Callable[[str], None]
Inbox = Callable[[str], list[dict[str, Any]]]


class Story:
    """One chapter a household. Each returns whether it ended as it should; a text is shown as its handset has it."""

    def __init__(self, runtime: Runtime, inbox: Inbox, folder: Path, say: Say, show: Say) -> None:
        self.runtime, self.inbox, self.folder, self.say, self.show = runtime, inbox, folder, say, show
        self.rows = [json.loads(line) for line in HOUSEHOLDS.read_text(encoding="utf-8").splitlines()]

    def tell(self) -> dict[str, bool]:
        """All chapters, in order."""
        chapters = (self.told_in_time, self.told_of_the_delay, self.contested, self.escalated, self.moved,
                    self.brought_back)
        return {chapter.__name__: chapter() for chapter in chapters}

    def told_in_time(self) -> bool:
        """Registered six days ago, verified since, told today."""
        row = self._registered(0, days_ago=6)
        self._answered(row, days_ago=1)
        self.say("1. A household registered six days ago. The last body answered yesterday; today it is told:")
        self._read(row, 2)
        return self._notified(row)

    def told_of_the_delay(self) -> bool:
        """Registered nine days ago; the telecom operators have not answered."""
        row = self._registered(1, days_ago=9)
        self._answered(row, days_ago=1, but="telecom")
        strike(self.runtime, "registrations")
        self.say("2. Nine days, and one body is silent. Before the tenth day the household is told which:")
        self._read(row, 2)
        with self.runtime.database.read() as session:
            here = standing(session, self.runtime.vault, self._home(session, row).id, self.runtime.clock())
        return here is not None and here.late and here.waits_for == ("telecom",)

    def contested(self) -> bool:
        """A car that is not theirs raises the index; they contest it, and are right."""
        row = self._registered(2, days_ago=7)
        self._answered(row, days_ago=2)
        self._read(row, 2, quiet=True)
        before = self._index(row)
        self._answer(row, "road_safety", "equipment.cars", 1)
        self.say("3. The road safety agency says that this household has a car. Its index rises:")
        self._read(row, 3)
        raised = self._index(row)
        number = self._reviewed(row)
        self.say(f"   It is not their car. Review {number}: one clerk corrects it, another decides. They are told:")
        self._read(row, 5)
        after = self._index(row)
        return bool(raised > before == after)

    def escalated(self) -> bool:
        """A complaint that nobody took up for a month."""
        row = self._registered(3, days_ago=40)
        with self.runtime.database.write() as session:
            filed = complaint.file(
                session, self.runtime.vault, household_id=self._home(session, row).id, category="request_late",
                channel="centre", msisdn_blind=None, asked_by="the story", now=self._ago(days=30), by="Salma")
        strike(self.runtime, "complaints")
        with self.runtime.database.read() as session:
            found = session.get_one(Complaint, filed.complaint_id)
        self.say(f"4. Nobody took up complaint {filed.number}, of a month ago. The clock moved it on: {found.state}.")
        return found.state == "escalated"

    def moved(self) -> bool:
        """A new telephone: the old one is warned, and three days later the new one counts."""
        row, now = self._registered(4, days_ago=3), self._ago(hours=73)
        with self.runtime.database.write() as session:
            asked = number_change.ask_number(
                session, self.runtime.vault, self._home(session, row).id, NEW_NUMBER, channel="ussd",
                asked_by="the story", by="household", now=now)
            self.runtime.teller.tell(session, [asked], now)
        self.say("5. Three days ago somebody asked for another telephone number. The old one was warned:")
        self._read(row, 2)
        with self.runtime.database.write() as session:
            # The text came just now; in the story it came three days ago.
            session.execute(sa.update(DataUpdate).where(DataUpdate.id == asked.update_id).values(warned_at=now))
        strike(self.runtime, "numbers")
        self.say("   Nobody refused. Now the new one is theirs, and the old one hears of it:")
        told = self._read({"contacts": [{"phone": NEW_NUMBER}]}, 1)
        return len(told) == 1 and len(self._read(row, 3)) == 3

    def brought_back(self) -> bool:
        """No telephone, and a letter that the post brings back: what it said was not told, and its days do not run."""
        row = self._registered(5, days_ago=6)
        self._answered(row, days_ago=1)
        letter, run = self._printed(row)
        posted_on = self.runtime.post.takes_on(self.runtime.clock())
        paper.post(self.runtime.at(lambda: end_of_office(posted_on)), run, posted_on)
        posted = self._told_on(row)
        back_on = posted_on + timedelta(days=9)
        then = self.runtime.at(lambda: start_of(back_on) + timedelta(hours=11))
        take_one(then, Scan(0, letter, "returned", back_on, "moved", run), by="the post")
        returned = self._told_on(row)
        self.say(f"6. No telephone: a letter, posted on {posted_on}, with a review until {review.last_day(posted_on)}.")
        with then.database.write() as session:
            then.teller.handed_over(session, letter, by="Salma", now=then.clock())
        self.say(f"   The post brought it back: it was not told. It is given to them at their centre on {back_on}, and "
                 f"they have until {review.last_day(back_on)}.")
        return (posted, returned, self._told_on(row)) == (posted_on, None, back_on)

    def _printed(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """The code of this household's letter, and its run in the tray. In the evening a worker may be printing it."""
        paper.print_due(self.runtime)
        deadline = time.monotonic() + HEARD_WITHIN_S
        while True:
            with self.runtime.database.read() as session:
                found = session.scalars(sa.select(Message).where(
                    Message.household_id == self._home(session, row).id, Message.medium == "letter")).one()
            if found.run in {run.name for run in self.runtime.tray.runs()} or time.monotonic() > deadline:
                return found.reference, str(found.run)
            time.sleep(0.2)

    def _told_on(self, row: Mapping[str, Any]) -> date | None:
        """The day from which the sixty days of its index run."""
        with self.runtime.database.read() as session:
            current = score.latest(session, self._home(session, row).id)
            told = score.notified(session, current.id) if current else None
            return told.notified_on if told else None

    def _reviewed(self, row: Mapping[str, Any]) -> str:
        """Asked, assigned, corrected and decided; who corrects may not decide."""
        vault, now = self.runtime.vault, self.runtime.clock()
        with self.runtime.database.write() as session:
            asked = review.ask(session, vault, self._home(session, row).id, channel="centre", asked_by="the story",
                               answer_within=timedelta(days=self.runtime.settings.review_answer_days), now=now,
                               contested=["equipment.cars"])
            if not isinstance(asked, ReviewAsked):
                raise RuntimeError("the story's household cannot ask for a review")
            self.runtime.teller.tell(session, [asked], now)
            review_desk.assign(session, vault, asked.review_id, "Salma", by="Salma", now=now)
            review_desk.enter_correction(session, vault, asked.review_id, "equipment.cars", 0,
                                         why="certificate of sale", by="Salma", now=now)
        try:
            self._accept(asked.review_id, "Salma")
        except NotAllowed as refused:
            self.say(f"   Salma may not: {refused}")
        self._accept(asked.review_id, "Driss")
        return asked.number

    def _accept(self, review_id: UUID, clerk: str) -> None:
        now = self.runtime.clock()
        with self.runtime.database.write() as session:
            events = review_desk.accept(session, self.runtime.vault, self.runtime.scorer, review_id, by=clerk, now=now)
            self.runtime.teller.tell(session, events, now)

    def _registered(self, place: int, days_ago: int) -> dict[str, Any]:
        """This household's row, registered so many days ago: it has its slip number, and bodies are asked."""
        then = self._ago(days=days_ago)
        row: dict[str, Any] = {**self.rows[place], "registered_on": str(day_of(then))}
        import_extract(self.runtime.at(lambda: then), io.BytesIO(_line(row)), self.folder / "story.report.jsonl",
                       lambda _: None, verified=False)
        return row

    def _answered(self, row: Mapping[str, Any], days_ago: int, but: str = "") -> None:
        """Every body has confirmed what was declared, but for one."""
        then, answers = self._ago(days=days_ago), io.BytesIO()
        write_answers(answers, io.BytesIO(_line(row)), 580, day_of(then), share_corrected=0)
        lines = [line for line in answers.getvalue().splitlines(keepends=True) if json.loads(line)["partner"] != but]
        self._take(b"".join(lines))

    def _answer(self, row: Mapping[str, Any], partner: str, item: str, value: object) -> None:
        self._take(_line({"partner": partner, "household_number": row["household_number"], "item": item,
                          "outcome": "corrected", "value": value, "answered_on": str(day_of(self.runtime.clock())),
                          "reference": "STORY-1"}))

    def _take(self, answers: bytes) -> None:
        take_answers(self.runtime, io.BytesIO(answers), self.folder / "story.report.jsonl", lambda _: None)

    def _read(self, row: Mapping[str, Any], texts: int, *, quiet: bool = False) -> list[dict[str, Any]]:
        """What the handset has once it has so many texts; the one that was written last is shown."""
        msisdn, deadline = telephone(row["contacts"][0]["phone"]).msisdn, time.monotonic() + HEARD_WITHIN_S
        while len(received := self.inbox(msisdn)) < texts and time.monotonic() < deadline:
            time.sleep(0.2)
        if received and not quiet:
            written = self._written(msisdn)
            self.show(max((text["body"] for text in received), key=written.index))
        return received

    def _notified(self, row: Mapping[str, Any]) -> bool:
        """Whether the receipt has come and is settled: a moment after the text lies in the inbox."""
        deadline = time.monotonic() + HEARD_WITHIN_S
        while True:
            with self.runtime.database.read() as session:
                told = session.scalars(sa.select(Registration.notified_on).where(
                    Registration.household_id == self._home(session, row).id)).one()
            if told is not None or time.monotonic() > deadline:
                return told is not None
            time.sleep(0.2)

    def _written(self, msisdn: str) -> list[str]:
        """The texts to a number in the order of their writing; they need not arrive so."""
        vault = self.runtime.vault
        with self.runtime.database.read() as session:
            texts = session.scalars(sa.select(Message).where(Message.to_blind.in_(vault.blinds(msisdn, "message.to")))
                                    .order_by(Message.id)).all()
        return [vault.open(text.body_sealed, "message.body", text.id) for text in texts]

    def _index(self, row: Mapping[str, Any]) -> Any:
        with self.runtime.database.read() as session:
            found = score.latest(session, self._home(session, row).id)
            return found.value if found else None

    def _home(self, session: Any, row: Mapping[str, Any]) -> Household:
        blinds = self.runtime.vault.blinds(row["household_number"], "household.number")
        home: Household = session.scalars(sa.select(Household).where(Household.number_blind.in_(blinds))).one()
        return home

    def _ago(self, **by: float) -> datetime:
        return self.runtime.clock() - timedelta(**by)


def reproduced(runtime: Runtime) -> tuple[int, int]:
    """Compute every score once more: how many agree to the last digit, and how many do not."""
    with runtime.database.read() as session:
        whys = [why for _, why in scoring.reproduce_each(session, session.scalars(sa.select(IndexScore.id)).all())]
    return whys.count(None), len(whys) - whys.count(None)


def breaks(runtime: Runtime) -> int:
    """How many places of the audit do not fit."""
    return len(audit.verify(runtime.database, runtime.vault))


def _line(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"
