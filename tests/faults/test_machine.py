"""Whatever happens in whatever order: nobody is lost, and nobody is sent twice what is to be sent once.

Hypothesis invents the story: workers that claim, send, fall asleep and are killed, providers that accept and do
not say so, receipts that come early, late, twice, in any order or with another number, and the clock going on. The
outbox, the notices and the sweep are the real ones, on a real database.
"""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from channels.base import Accepted, Misconfigured, Outbound, Receipt, Rejected, Throttled, Unavailable, Unknown
from gateway import outbox
from gateway.outbox import FINAL, Attempt, Claim, Draft, Message, Promise, ReceiptRecord
from gateway.registry.events import IndexAssigned
from gateway.registry.score import Notification
from gateway.runtime import Runtime
from jobs.receipts import settle_receipts
from jobs.sweep import sweep
from tests.conftest import NOON, Clock, a_row, open_house, register
from tests.databases import named

LEASE = timedelta(seconds=60)
STRANGER = "+212699999999"
SHARED = "0612345601"
REFUSALS = {"rejected": Rejected, "unavailable": Unavailable, "throttled": Throttled, "misconfigured": Misconfigured,
            "unknown, not accepted": Unknown}
ANSWERS = ("accepted", "unknown, but accepted", "unknown, but accepted", *REFUSALS)
SECONDS = (1, 30, 61, 125, 125, 1000, 1000, 4000, 260_000)

# What may happen. One rule draws among all: Hypothesis leaves whole rules out of a story, and a story without sends
# or sweeps proves little.
WORKER = st.sampled_from("AB")
EVENTS = st.one_of(
    st.tuples(st.just("claim"), WORKER, st.sampled_from(["twilio", "africastalking"])),
    st.tuples(st.just("send"), WORKER, st.sampled_from(ANSWERS), st.booleans()),
    st.tuples(st.just("send"), WORKER, st.sampled_from(ANSWERS), st.booleans()),
    st.tuples(st.just("settle"), WORKER),
    st.tuples(st.just("kill"), WORKER),
    st.tuples(st.just("receipt"), st.integers(0, 9), st.sampled_from(["final", "sent", None]), st.integers(1, 2),
              st.sampled_from([False, False, True])),
    st.tuples(st.just("time_passes"), st.sampled_from(SECONDS)),
    st.tuples(st.just("time_passes"), st.sampled_from(SECONDS)),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("receipts_settled")),
    st.tuples(st.just("tell_again")),
    st.tuples(st.just("print_letters"), st.booleans()),
    st.tuples(st.just("post_letters"), st.integers(0, 9)),
)


@dataclass(frozen=True)
class Text:
    """One text that a provider has accepted, whatever it said."""

    provider: str
    provider_id: str
    message: UUID
    token: str
    msisdn: str
    body: str
    at: datetime


class Provider:
    """What a provider knows. Twilio can be asked; Africa's Talking cannot."""

    def __init__(self, name: str, texts: list[Text]) -> None:
        self.name = name
        self.texts = texts

    def accept(self, held: Claim, at: datetime) -> Accepted:
        text = Text(self.name, f"{self.name}-{len(self.texts)}", held.id, held.token, held.msisdn, held.body, at)
        self.texts.append(text)
        return Accepted(text.provider_id)

    def find(self, message: Outbound, sent_after: datetime) -> Accepted | None:
        if self.name != "twilio":
            raise Unknown("no_query")
        found = [text for text in self.texts if text.provider == self.name
                 and (text.msisdn, text.body) == (message.msisdn, message.body)]
        return Accepted(found[-1].provider_id) if found else None


class Story(RuleBasedStateMachine):
    house: Runtime

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[Text] = []
        self.clock = Clock()
        self.runtime = replace(self.house, clock=self.clock, channels={
            name: Provider(name, self.texts) for name in ("twilio", "africastalking")})
        self.hands: dict[str, list[Claim]] = {"A": [], "B": []}
        self.answers: dict[str, list] = {"A": [], "B": []}
        self.delivered: set[UUID] = set()
        self.runs: list[str] = []

    @initialize(dead=st.sets(st.sampled_from(["+212612345601", "+212612345602"])),
                routes=st.lists(st.sampled_from(["twilio", "africastalking"]), min_size=5, max_size=5),
                answers=st.lists(st.tuples(st.sampled_from(ANSWERS), st.booleans()), min_size=5, max_size=5),
                late=st.booleans())
    def begin(self, dead: set[str], routes: list[str], answers: list[tuple[str, bool]], late: bool) -> None:
        """Four households, two of them with one telephone, and an answer that may go twice; some phones are dead.

        All are sent at once: a story in which nothing is sent proves nothing.
        """
        self.dead, self.late = dead, late
        with self.runtime.database.write() as session:
            for table in (Notification, ReceiptRecord, Attempt):
                session.execute(sa.delete(table))
            session.execute(sa.delete(Promise).where(Promise.message_id.in_(
                sa.select(Message.id).where(Message.medium == "letter"))))
            session.execute(sa.delete(Message).where(Message.medium == "letter"))
            session.execute(sa.update(Message).values(
                state="created", fence=0, resends=0, avoid=[], not_before=NOON, alarm_until=None, lease_until=None,
                created_at=NOON, changed_at=NOON))
        for worker, part in (("A", slice(3)), ("B", slice(3, 5))):
            self._claim(worker, part, routes[part])
            for answer, settled in answers[part]:
                self.send(worker, answer, settled)

    @rule(event=EVENTS)
    def happens(self, event: tuple) -> None:
        getattr(self, event[0])(*event[1:])

    # Workers

    def claim(self, worker: str, provider: str) -> None:
        self._claim(worker, slice(5), [provider] * 5)

    def _claim(self, worker: str, part: slice, routes: list[str]) -> None:
        with self.runtime.database.write() as session:
            ids = session.scalars(sa.select(Message.id).where(Message.medium == "sms").order_by(Message.id)).all()
            for message_id, route in zip(ids[part], routes, strict=False):
                self.hands[worker] += outbox.claim(session, self.runtime.vault, [message_id], route, self.clock(),
                                                   LEASE)

    def send(self, worker: str, answer: str, settled: bool) -> None:
        """What `jobs.deliver` does: nothing is sent after the lease."""
        if not self.hands[worker]:
            return
        held = self.hands[worker].pop(0)
        if self.clock() >= held.until:
            result = Unavailable("lease_over")
        elif answer in REFUSALS:
            result = REFUSALS[answer]("code")
        else:
            accepted = self.runtime.channels[held.provider].accept(held, self.clock())
            result = accepted if answer == "accepted" else Unknown("read_timeout")
        self.answers[worker].append((held, result))
        if settled:
            self.settle(worker)

    def settle(self, worker: str) -> None:
        if not self.answers[worker]:
            return
        held, result = self.answers[worker].pop(0)
        with self.runtime.database.write() as session:
            for told in outbox.settle(session, [(held, result)], self.clock()):
                self.runtime.teller.heard(session, told, self.clock())

    def kill(self, worker: str) -> None:
        self.hands[worker], self.answers[worker] = [], []

    # The world

    def receipt(self, which: int, outcome: str | None, times: int, wrong_number: bool) -> None:
        for text in self.texts[which:which + 1]:
            for _ in range(times):
                self._receipt(text, outcome, STRANGER if wrong_number else text.msisdn)

    def _receipt(self, text: Text, outcome: str | None, msisdn: str) -> None:
        if self.clock() - text.at > outbox.LATEST_RECEIPT:
            return
        if outcome == "final":
            outcome = "failed" if text.msisdn in self.dead else "delivered"
        token = text.token if text.provider == "twilio" else None
        with self.runtime.database.write() as session:
            outbox.receive(session, self.runtime.vault, Receipt(
                text.provider, text.provider_id, str(outcome), outcome, msisdn, token), self.clock())
        self.receipts_settled()

    def receipts_settled(self) -> None:
        settle_receipts(self.runtime)

    def time_passes(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)

    def sweep(self) -> None:
        sweep(self.runtime)

    def tell_again(self) -> None:
        with self.runtime.database.write() as session:
            events = [IndexAssigned(household, UUID(subject)) for household, subject in session.execute(
                sa.select(Message.household_id, Message.subject).where(
                    Message.medium == "sms", Message.household_id.is_not(None)))]
            assert self.runtime.teller.tell(session, events, self.clock()) == 0

    def print_letters(self, killed: bool) -> None:
        run = f"run {len(self.runs)}"
        with self.runtime.database.write() as session:
            outbox.claim_letters(session, self.runtime.vault, run, self.clock(), LEASE, 100)
        if not killed:
            with self.runtime.database.write() as session:
                outbox.printed(session, run, self.clock())
        self.runs.append(run)

    def post_letters(self, which: int) -> None:
        for run in self.runs[which:which + 1]:
            self._post(run)

    def _post(self, run: str) -> None:
        with self.runtime.database.write() as session:
            for told in outbox.posted(session, run, self.clock()):
                self.runtime.teller.heard(session, told, self.clock())

    # What must be true at any moment

    @invariant()
    def nobody_is_sent_twice_and_what_was_delivered_stays_so_and_is_proved_once(self) -> None:
        with self.runtime.database.read() as session:
            messages = session.scalars(sa.select(Message)).all()
            proofs = Counter(session.scalars(sa.select(Notification.household_id)))
        texts = {message.id: message for message in messages if message.medium == "sms"}
        letters = {letter.household_id: letter for letter in messages if letter.medium == "letter"}
        sent = Counter(text.message for text in self.texts)
        alive = Counter(text.message for text in self.texts if text.msisdn not in self.dead)
        for message in texts.values():
            assert message.policy != "at_most_once" or sent[message.id] <= 1, "sent twice"
            assert message.id not in self.delivered or message.state == "delivered", "a delivered text has moved"
            assert message.state != "delivered" or alive[message.id], "delivered, and no living telephone had it"
            if message.household_id:
                self._is_told(message, letters.get(message.household_id), proofs[message.household_id])
        self.delivered |= {key for key, message in texts.items() if message.state == "delivered"}

    def _is_told(self, text: Message, letter: Message | None, proofs: int) -> None:
        assert proofs == (text.state == "delivered" or (letter is not None and letter.state == "delivered"))
        assert (letter is not None) >= (text.state == "failed"), "neither text nor letter"
        assert letter is None or text.state in ("failed", "delivered"), "a letter beside a text under way"
        assert letter is None or text.state != "delivered" or letter.state != "created", "told, and to be printed"

    def messages(self) -> list[Message]:
        with self.runtime.database.read() as session:
            return list(session.scalars(sa.select(Message)))

    # And in the end

    def teardown(self) -> None:
        """Every worker wakes up, the providers are well again, and every receipt comes at last, if late."""
        if not hasattr(self, "dead"):
            return
        for _ in range(2 * self.late):
            self.time_passes(1000)
            self.sweep()
        rounds = 0
        while rounds < 30 and any(message.state not in FINAL for message in self.messages()):
            rounds += 1
            for worker in "AB":
                self.claim(worker, "twilio")
                while self.hands[worker]:
                    self.send(worker, "accepted", True)
                while self.answers[worker]:
                    self.settle(worker)
            for text in self.texts:
                self._receipt(text, "final", text.msisdn)
            self.nobody_is_sent_twice_and_what_was_delivered_stays_so_and_is_proved_once()
            self.time_passes(3700)
            self.receipts_settled()
            self.sweep()
            self.print_letters(False)
            self._post(self.runs[-1])
            self.nobody_is_sent_twice_and_what_was_delivered_stays_so_and_is_proved_once()
        for run in self.runs:
            self._post(run)
        for message in self.messages():
            assert message.state in FINAL, f"a {message.medium} stays {message.state} for ever"
        told = {message.household_id for message in self.messages() if message.state == "delivered"}
        assert told >= {message.household_id for message in self.messages() if message.household_id}, "lost"


def told(url: str, redis_url: str, folder) -> Iterator[Runtime]:
    """A house in which four households are to be told, and one person answered."""
    opened = open_house(url, redis_url, folder, Clock())
    phones = (SHARED, SHARED, "0612345602", "0612345603")
    register(opened, *(a_row(f"290000000{digit}", phone) for digit, phone in enumerate(phones, 1)))
    with opened.database.write() as session:
        outbox.post(session, opened.vault, [Draft(None, "sms_help", "an answer", "sms", "fr-MA", "000000000",
                                                  "+212612345601", "une réponse", "at_least_once")], NOON)
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def house(request, tmp_path_factory, redis_server) -> Iterator[Runtime]:
    folder = tmp_path_factory.mktemp("machine")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "house.db")
        yield from told(f"sqlite:///{folder / 'house.db'}", redis_server, folder)
        return
    server = request.getfixturevalue("postgresql_url")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("CREATE DATABASE machine TEMPLATE template_house STRATEGY FILE_COPY")
    yield from told(f"{named(server, 'machine')}&options=-csynchronous_commit%3Doff", redis_server, folder)


def test_nobody_is_lost_and_nobody_is_sent_twice_whatever_happens(house):
    examples = 30 if house.settings.database_url.startswith("sqlite") else 6
    run_state_machine_as_test(
        type("Told", (Story,), {"house": house}),
        settings=settings(max_examples=examples, stateful_step_count=30, deadline=None, database=None,
                          derandomize=True, suppress_health_check=list(HealthCheck)))
