"""House: the registry of a story, how something is done to it, and how its notices go out and come back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.base import Accepted, Receipt, Rejected, Unavailable
from gateway import outbox
from gateway.db import Base
from gateway.outbox import Claim
from gateway.registry.clock import day_of
from gateway.registry.complaint import Complaint, TooManyComplaints
from gateway.registry.events import Event
from gateway.registry.household import Household
from gateway.registry.review import Review
from gateway.registry.scoring import Scorer
from gateway.registry.steps import NotAllowed
from gateway.registry.update import DataUpdate
from gateway.runtime import Runtime
from gateway.vault import Vault
from tests.conftest import Clock

HOUSES = ("2900000001", "2900000002", "2900000003")
PHONES = ("0612345601", "0612345602", "0661234503", "0522123404")
LEASE = timedelta(minutes=5)
REFUSALS = {"rejected": Rejected("21211"), "unavailable": Unavailable("down")}
# What fits where a row stands.
APT: dict[type[Base], dict[str, tuple[str, ...]]] = {
    Review: {
        "acknowledged": ("assign",),
        "assigned": ("correct", "accept", "correct", "accept", "correct", "accept", "refuse", "need", "withdraw"),
        "needs_information": ("received",)},
    Complaint: {
        "acknowledged": ("assign",), "reopened": ("assign",),
        "assigned": ("begin", "hold", "resolve", "resolve", "escalate"),
        "in_progress": ("hold", "resolve", "escalate"), "on_hold": ("resume",), "escalated": ("assign", "begin"),
        "resolved": ("close", "reopen"), "closed": ("rate", "reopen")},
    DataUpdate: {
        "received": ("apply", "apply", "apply", "refuse", "withdraw"), "forwarded": ("answered",),
        "in_person": ("refuse", "withdraw"), "waiting": ("refuse_number", "withdraw")},
}


class House:
    """A registry, and what may be done to it. `told` are the events of the last act, `written` whether it did any."""

    def __init__(self, runtime: Runtime, clock: Clock) -> None:
        self.runtime, self.clock = runtime, clock
        self.vault: Vault = runtime.vault
        self.scorer: Scorer = runtime.scorer
        self.told: list[Event] = []
        self.written = False
        self.hand: list[Claim] = []
        self.texts: list[tuple[Claim, str]] = []
        self.calls = self.runs = 0

    def do(self, verb: Callable[[Session], object]) -> None:
        """One transaction: the verb, and the telling of what it returns. A refusal is a sentence, and nothing else."""
        try:
            with self._writing() as session:
                done = verb(session)
                events = [one for one in (done if isinstance(done, list) else [done]) if isinstance(one, Event)]
                self.runtime.teller.tell(session, events, self.now)
                self.told += events
        except TooManyComplaints:
            return
        except NotAllowed as refused:
            sentence = str(refused)
        else:
            return
        assert len(sentence.split()) > 3, "a refusal says what stands in the way"

    @contextmanager
    def _writing(self) -> Iterator[Session]:
        with self.runtime.database.write() as session:
            yield session
        self.written = True

    @property
    def now(self) -> datetime:
        return self.clock()

    @property
    def today(self) -> date:
        return day_of(self.now)

    # What is acted on

    def rows(self, model: type[Base]) -> Sequence[Any]:
        with self.runtime.database.read() as session:
            table: Any = model
            return session.scalars(sa.select(model).order_by(table.id)).all()

    def one(self, model: type[Base], which: int) -> Any:
        """The latest, the one before it, and so on around; None where there is none."""
        found = self.rows(model)
        return found[-1 - which % len(found)] if found else None

    def picked(self, verbs: dict[str, Callable[[Session], object]], row: Any, verb: int, apt: bool) -> None:
        """Do the verb of this place among all, or (`apt`) among those that fit where the row stands."""
        names = APT[type(row)].get(row.state, ()) if apt else ()
        names = names or tuple(verbs)
        self.do(verbs[names[verb % len(names)]])

    def home(self, house: int) -> UUID | None:
        with self.runtime.database.read() as session:
            return session.scalar(sa.select(Household.id).where(
                Household.number_blind.in_(self.vault.blinds(HOUSES[house], "household.number"))))

    # Notices on their way

    def texts_are_taken(self) -> None:
        """A worker takes what is due; what becomes of it comes later."""
        with self._writing() as session:
            due = [one.id for one in outbox.due(session, self.now, 100)]
            self.hand += outbox.claim(session, self.vault, due, "twilio", self.now, LEASE)

    def texts_are_sent(self, how: str) -> None:
        """The provider takes them all, or none."""
        self.texts_are_taken()
        held, self.hand = self.hand, []
        for claim in held:
            named = f"{claim.id}.{claim.fence}"
            answer = REFUSALS.get(how) or Accepted(named)
            self._heard(lambda session, claim=claim, answer=answer: [
                *outbox.settle(session, [(claim, answer)], self.now)])
            if how == "accepted":
                self.texts.append((claim, named))

    def receipts_come(self, outcome: str, which: slice) -> None:
        for claim, named in self.texts[which]:
            receipt = Receipt("twilio", named, outcome, outcome, claim.msisdn, claim.token)
            with self._writing() as session:
                outbox.receive(session, self.vault, receipt, self.now)
            self._heard(lambda session: outbox.settle_receipts(session, self.now))

    def silent_texts_end(self) -> None:
        self._heard(lambda session: outbox.give_up(session, self.now - LEASE, self.now))

    def letters_are_posted(self) -> None:
        """The post takes the last run, and the next one is printed."""
        self._heard(lambda session: outbox.posted(session, f"run {self.runs}", self.now))
        self.runs += 1
        with self._writing() as session:
            outbox.claim_letters(session, self.vault, f"run {self.runs}", self.now, LEASE, 100)
            outbox.printed(session, f"run {self.runs}", self.now)

    def _heard(self, settled: Callable[[Session], Iterable[outbox.Settlement | None]]) -> None:
        with self._writing() as session:
            for settlement in settled(session):
                self.runtime.teller.heard(session, settlement, self.now)

    def stops_texts(self, phone: int) -> None:
        with self._writing() as session:
            self.runtime.teller.stop(session, msisdn(phone), self.now)


def msisdn(phone: int) -> str:
    """As it is kept: E.164."""
    return "+212" + PHONES[phone][1:]
