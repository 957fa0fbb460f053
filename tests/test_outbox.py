"""The outbox: what is promised is sent, once where once is meant, and moves by its table only."""

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

import psycopg
import pytest
import sqlalchemy as sa

from channels.base import Accepted, Misconfigured, Receipt, Rejected, Throttled, Unavailable, Unknown
from gateway import outbox
from gateway.migrations.guards import APPEND_ONLY
from gateway.outbox import TRANSITIONS, Attempt, Claim, Draft, Message, ReceiptRecord, Settlement
from gateway.runtime import Runtime
from tests.conftest import NOON, Clock, open_house
from tests.databases import named

PHONE, OTHER = "+212612345678", "+212661234567"
LEASE = timedelta(seconds=60)
on_postgresql = pytest.mark.parametrize("house", ["postgresql"], indirect=True)


class Desk:
    """The outbox in sentences, each in a transaction of its own. `by` is the provider that `claim` draws."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.vault = runtime.vault
        self.by = "twilio"
        self._subjects = count()

    @property
    def now(self) -> datetime:
        return self.runtime.clock()

    def draft(self, subject: str = "", to: str = PHONE, medium: str = "sms", policy: str = "at_most_once",
              lane: int = outbox.NOTICE, tell_by: datetime | None = None) -> Draft:
        return Draft(None, "sms_help", subject or f"subject {next(self._subjects)}", medium, "fr-MA",
                     outbox.new_reference(), to, "le texte", policy, lane, tell_by)

    def post(self, **draft: object) -> UUID:
        given = self.draft(**draft)
        with self.runtime.database.write() as session:
            assert outbox.post(session, self.vault, [given], self.now) == 1
            return session.scalars(sa.select(Message.id).where(Message.subject == given.subject)).one()

    def claim(self, *ids: UUID) -> list[Claim]:
        with self.runtime.database.write() as session:
            return outbox.claim(session, self.vault, ids, self.by, self.now, LEASE)

    def sending(self, **draft: str) -> Claim:
        (held,) = self.claim(self.post(**draft))
        return held

    def settle(self, held: Claim, result: object) -> Settlement | None:
        with self.runtime.database.write() as session:
            return next(iter(outbox.settle(session, [(held, result)], self.now)), None)

    def unknown(self, **draft: str) -> Claim:
        held = self.sending(**draft)
        self.settle(held, Unknown("read_timeout"))
        return held

    def receive(self, provider_id: str, outcome: str | None, *, token: str | None = None, to: str = PHONE,
                provider: str = "", status: str = "") -> Settlement | None:
        """Keep a receipt and settle it at once."""
        self.report(provider_id, outcome, token=token, to=to, provider=provider, status=status)
        return next(iter(self.look()), None)

    def report(self, provider_id: str, outcome: str | None, *, token: str | None = None, to: str = PHONE,
               provider: str = "", status: str = "") -> None:
        with self.runtime.database.write() as session:
            outbox.receive(session, self.vault, Receipt(
                provider or self.by, provider_id, status or str(outcome), outcome, to, token), self.now)

    def look(self) -> list[Settlement]:
        """Settle what has come, and what still waits for its message, whenever that is looked at next."""
        with self.runtime.database.write() as session:
            session.execute(sa.update(ReceiptRecord).where(ReceiptRecord.look_at.is_not(None)).values(
                look_at=self.now))
            return outbox.settle_receipts(session, self.now)

    def sweep(self, verb: Callable, *arguments: object) -> object:
        with self.runtime.database.write() as session:
            return verb(session, *arguments)

    def unknowns(self, limit: int = 50) -> list[UUID]:
        with self.runtime.database.write() as session:
            return [held.id for held, _ in outbox.unknowns(session, self.vault, self.now, LEASE, limit)]

    def state(self, message: UUID | Claim) -> str:
        return self.message(message).state

    def message(self, message: UUID | Claim) -> Message:
        with self.runtime.database.read() as session:
            return session.get_one(Message, message.id if isinstance(message, Claim) else message)

    def attempts(self, message: UUID | Claim) -> list[Attempt]:
        with self.runtime.database.read() as session:
            return list(session.scalars(sa.select(Attempt).where(
                Attempt.message_id == (message.id if isinstance(message, Claim) else message))
                .order_by(Attempt.fence)))

    def count(self, model: type) -> int:
        with self.runtime.database.read() as session:
            return session.scalar(sa.select(sa.func.count()).select_from(model))


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def house(request, tmp_path_factory, redis_server) -> Iterator[Runtime]:
    """One house of each kind for all these tests: they are many, and a new database takes longer than they do."""
    folder = tmp_path_factory.mktemp("outbox")
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "house.db")
        address = f"sqlite:///{folder / 'house.db'}"
    else:
        server = request.getfixturevalue("postgresql_url")
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute("CREATE DATABASE outbox TEMPLATE template_house STRATEGY FILE_COPY")
        # To wait for the disk proves nothing here.
        address = f"{named(server, 'outbox')}&options=-csynchronous_commit%3Doff"
    opened = open_house(address, redis_server, folder, Clock())
    yield opened
    opened.close()


@pytest.fixture
def clock(house) -> Clock:
    house.clock.now = NOON
    return house.clock


@pytest.fixture
def desk(house, clock) -> Desk:
    """The outbox, empty, at noon."""
    with house.database.write() as session:
        for table in reversed(Message.metadata.sorted_tables):
            if table.name not in APPEND_ONLY:
                session.execute(sa.delete(table))
    return Desk(house)


# The promise


def test_the_same_draft_twice_is_one_message(desk):
    draft = desk.draft()
    again = replace(draft, reference=outbox.new_reference(), body="autrement dit")
    assert [desk.sweep(outbox.post, desk.vault, drafts, desk.now) for drafts in ([draft], [again], [again, draft])] \
        == [1, 0, 0]
    assert desk.count(Message) == 1


def test_two_who_post_the_same_at_once_post_one_message(desk):
    drafts, start = [desk.draft() for _ in range(20)], threading.Barrier(2)

    def post(order: int) -> int:
        start.wait()
        return sum(desk.sweep(outbox.post, desk.vault, [draft], desk.now) for draft in drafts[::order])

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(post, (1, -1))) == 20
    assert desk.count(Message) == 20


@on_postgresql
def test_a_post_waits_for_the_same_post_of_another_and_follows_its_fate(desk):
    draft = desk.draft()
    with ThreadPoolExecutor(1) as other:
        with desk.runtime.database.write() as session:
            outbox.post(session, desk.vault, [draft], desk.now)
            second = other.submit(desk.sweep, outbox.post, desk.vault, [draft], desk.now)
            session.rollback()
        assert second.result() == 1
    assert desk.count(Message) == 1


def test_a_message_is_a_household_a_notice_a_subject_and_a_medium(desk):
    draft = desk.draft()
    others = [replace(draft, notice="stopped"), replace(draft, subject="another"), replace(draft, medium="letter")]
    assert desk.sweep(outbox.post, desk.vault, [draft, *others], desk.now) == 4


# The table

# What may be done to a message that was claimed once, as `verb(desk, held)`. Together they are all public verbs.
VERBS: dict[str, Callable[[Desk, Claim], object]] = {
    "post": lambda desk, held: desk.sweep(outbox.post, desk.vault, [replace(
        desk.draft(subject=desk.message(held).subject), medium=desk.message(held).medium)], desk.now),
    "due": lambda desk, held: desk.sweep(outbox.due, desk.now, 10),
    "rest": lambda desk, held: desk.sweep(outbox.rest, [held.id]),
    "close": lambda desk, held: desk.sweep(outbox.close, desk.vault, PHONE, ["sms_help"], desk.now),
    "claim": lambda desk, held: desk.claim(held.id),
    "claim, all asleep": lambda desk, held: desk.sweep(
        outbox.claim, desk.vault, [held.id], "twilio", desk.now, LEASE, ()),
    "claim_letters": lambda desk, held: desk.sweep(outbox.claim_letters, desk.vault, "run 2", desk.now, LEASE, 10),
    "accepted": lambda desk, held: desk.settle(held, Accepted("SM1")),
    "rejected": lambda desk, held: desk.settle(held, Rejected("21211")),
    "unavailable": lambda desk, held: desk.settle(held, Unavailable("connect_timeout")),
    "refused": lambda desk, held: desk.settle(held, Unavailable("407")),
    "throttled": lambda desk, held: desk.settle(held, Throttled("429")),
    "unknown": lambda desk, held: desk.settle(held, Unknown("read_timeout")),
    "misconfigured": lambda desk, held: desk.settle(held, Misconfigured("20003")),
    "accepted, of an older send": lambda desk, held: desk.settle(replace(held, fence=0), Accepted("SM0")),
    "receipt: on the way": lambda desk, held: desk.receive("SM1", None, token=held.token),
    "receipt: sent": lambda desk, held: desk.receive("SM1", "sent", token=held.token),
    "receipt: failed": lambda desk, held: desk.receive("SM1", "failed", token=held.token),
    "receipt: delivered": lambda desk, held: desk.receive("SM1", "delivered", token=held.token),
    "receipt: by number": lambda desk, held: desk.receive("SM1", "delivered"),
    "expire": lambda desk, held: desk.sweep(outbox.expire, desk.now),
    "found": lambda desk, held: desk.sweep(outbox.resolve, held, Accepted("SM1"), desk.now),
    "not found": lambda desk, held: desk.sweep(outbox.resolve, held, None, desk.now),
    "not found, at least once": lambda desk, held: [
        desk.sweep(lambda session: session.execute(sa.update(Message).values(policy="at_least_once"))),
        desk.sweep(outbox.resolve, held, None, desk.now)],
    "give_up": lambda desk, held: desk.sweep(outbox.give_up, desk.now, desk.now),
    "give_up, at least once": lambda desk, held: [
        desk.sweep(lambda session: session.execute(sa.update(Message).values(policy="at_least_once"))),
        desk.sweep(outbox.give_up, desk.now, desk.now)],
    "printed": lambda desk, held: desk.sweep(outbox.printed, "run", desk.now),
    "unprintable": lambda desk, held: desk.sweep(outbox.printed, "run", desk.now, [held.id]),
    "posted": lambda desk, held: desk.sweep(outbox.posted, "run", desk.now),
    "run_state": lambda desk, held: desk.sweep(outbox.run_state, "run"),
    "unknowns": lambda desk, held: desk.unknowns(),
    "cancel": lambda desk, held: desk.sweep(
        lambda session: [outbox.cancel(session, held.id, "sms_help", desk.message(held).subject, medium, desk.now)
                         for medium in ("sms", "letter")]),
}


def standing(desk: Desk, state: str, medium: str) -> Claim:
    """A message that was sent once, long ago, and now stands in `state`."""
    held = desk.sending()
    long_ago = desk.now - timedelta(hours=100)
    with desk.runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == held.id).values(
            state=state, medium=medium, changed_at=long_ago, lease_until=long_ago,
            run="run" if medium == "letter" else None))
    return held


@pytest.mark.parametrize("medium", ["sms", "letter"])
def test_what_the_table_does_not_list_does_not_happen(desk, medium):
    seen = set()
    for state in TRANSITIONS:
        for name, verb in VERBS.items():
            held = standing(desk, state, medium)
            verb(desk, held)
            after = desk.state(held)
            assert after == state or after in TRANSITIONS[state], f"{name}: {state} -> {after}"
            seen |= {(state, after)} - {(state, state)}
            with desk.runtime.database.write() as session:
                for model in (ReceiptRecord, Attempt, Message):
                    session.execute(sa.delete(model))
    if medium == "sms":
        listed = {(state, after) for state, afters in TRANSITIONS.items() for after in afters}
        unseen = {("held", "created"), ("created", "cancelled"), ("sent", "created"),
                  ("sent", "handed"), ("handed", "created"), ("handed", "delivered"), ("handed", "returned"),
                  ("delivered", "returned")}
        assert listed - seen == unseen, "the table lists what no verb does to a text"


# Claims


def test_each_message_is_claimed_by_one_of_many_workers(desk):
    ids, start = [desk.post() for _ in range(40)], threading.Barrier(4)

    def work(_: int) -> list[UUID]:
        start.wait()
        return [held.id for chunk in range(0, 40, 5) for held in desk.claim(*ids[chunk:chunk + 10])]

    with ThreadPoolExecutor(4) as pool:
        claimed = [one for claims in pool.map(work, range(4)) for one in claims]
    assert sorted(claimed) == sorted(ids)
    assert desk.count(Attempt) == 40


@on_postgresql
def test_a_worker_does_not_wait_for_what_another_is_claiming(desk):
    first, second = desk.post(), desk.post()
    with desk.runtime.database.write() as session:
        (mine,) = outbox.claim(session, desk.vault, [first], "twilio", desk.now, LEASE)
        (theirs,) = desk.claim(first, second)
    assert (mine.id, theirs.id) == (first, second)


def test_the_send_is_written_down_before_it_is_made(desk):
    held = desk.sending()
    (attempt,) = desk.attempts(held)
    assert (attempt.fence, attempt.provider, attempt.outcome, attempt.provider_id) == (held.fence, "twilio", None, None)


def test_what_is_not_due_yet_is_not_claimed(desk, clock):
    message = desk.post()
    desk.sweep(lambda session: session.execute(sa.update(Message).values(not_before=desk.now + timedelta(hours=1))))
    assert desk.claim(message) == []
    clock.forward(hours=1)
    assert [held.id for held in desk.claim(message)] == [message]


def test_a_letter_is_never_sent_as_a_text(desk):
    letter = desk.post(medium="letter", to='["Une rue"]')
    assert desk.claim(letter) == []
    assert desk.state(letter) == "created"


def test_a_message_that_no_key_opens_holds_up_no_other(desk):
    spoilt, sound = desk.post(), desk.post()
    with desk.runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == spoilt).values(body_sealed=b"\x01\x01spoilt"))
    assert [held.id for held in desk.claim(spoilt, sound)] == [sound]
    assert desk.state(spoilt) == "created"


# The alarm


def test_a_due_row_is_woken_once_in_the_time_of_its_alarm(desk, clock):
    message = desk.post()
    assert [one.id for one in desk.sweep(outbox.due, desk.now, 10)] == [message]
    clock.forward(seconds=outbox.ALARM.total_seconds())
    assert desk.sweep(outbox.due, desk.now, 10) == []
    clock.forward(seconds=1)
    assert [one.id for one in desk.sweep(outbox.due, desk.now, 10)] == [message]


def test_a_lane_that_sleeps_is_neither_woken_nor_claimed_and_others_are(desk):
    told, answer = desk.post(lane=outbox.DECISION), desk.post(lane=outbox.REPLY)
    assert [one.id for one in desk.sweep(outbox.due, desk.now, 10, [outbox.REPLY])] == [answer]
    claimed = desk.sweep(outbox.claim, desk.vault, [told, answer], "twilio", desk.now, LEASE, [outbox.REPLY])
    assert [held.id for held in claimed] == [answer]


def test_who_waits_is_served_first_and_then_what_has_the_nearest_day(desk, clock):
    announced = desk.post(lane=outbox.ANNOUNCEMENT, tell_by=desk.now)
    notice = desk.post(lane=outbox.NOTICE)
    late = desk.post(lane=outbox.DECISION, tell_by=desk.now + timedelta(days=9))
    soon = desk.post(lane=outbox.DECISION, tell_by=desk.now + timedelta(days=1))
    answer = desk.post(lane=outbox.REPLY)
    assert [one.id for one in desk.sweep(outbox.due, desk.now, 10)] == [answer, soon, late, notice, announced]


def test_what_nobody_took_may_be_woken_at_once(desk):
    message = desk.post()
    desk.sweep(outbox.due, desk.now, 10)
    desk.sweep(outbox.rest, [message])
    assert [one.id for one in desk.sweep(outbox.due, desk.now, 10)] == [message]


def test_who_wants_no_texts_is_sent_none_that_waits(desk):
    waiting, other, flying = desk.post(), desk.post(to=OTHER), desk.sending()
    told = desk.sweep(outbox.close, desk.vault, PHONE, ["sms_help"], desk.now)
    assert [settlement.message_id for settlement in told] == [waiting]
    assert [desk.state(message) for message in (waiting, other, flying)] == ["failed", "created", "sending"]


# How a send ends


@pytest.mark.parametrize("code", ["407", "connect_timeout"])
def test_a_route_that_does_not_take_it_is_left_for_another(desk, clock, code):
    held = desk.sending()
    desk.settle(held, Unavailable(code))
    assert (desk.state(held), desk.message(held).avoid) == ("created", ["twilio"])
    clock.forward(seconds=1)
    assert [again.fence for again in desk.claim(held.id)] == [2]


def test_a_time_out_is_neither_sent_again_nor_failed(desk, clock):
    held = desk.sending()
    assert desk.settle(held, Unknown("read_timeout")) is None
    clock.forward(hours=1)
    assert (desk.state(held), desk.claim(held.id)) == ("unknown", [])


def test_a_person_who_cannot_be_reached_is_told_of_at_once(desk):
    held = desk.sending()
    settlement = desk.settle(held, Rejected("21211"))
    assert (settlement.state, settlement.message_id) == ("failed", held.id)


def test_an_outage_of_an_hour_turns_nobody_to_paper(desk, clock):
    message = desk.post()
    while desk.now < NOON + timedelta(hours=1):
        for held in desk.claim(message):
            desk.settle(held, Unavailable("connect_timeout"))
        clock.forward(seconds=10)
    assert desk.state(message) == "created"


def test_what_every_route_refuses_ends_on_paper(desk, clock):
    message = desk.post()
    for _ in range(outbox.SENDS_AT_MOST):
        assert desk.state(message) == "created"
        (held,) = desk.claim(message)
        settlement = desk.settle(held, Unavailable("407"))
        clock.forward(hours=1)
    assert settlement.state == desk.state(message) == "failed"


def test_to_be_asked_for_patience_is_not_a_refusal(desk, clock):
    message = desk.post()
    for _ in range(3 * outbox.SENDS_AT_MOST):
        (held,) = desk.claim(message)
        desk.settle(held, Throttled("429"))
        clock.forward(minutes=15)
    (held,) = desk.claim(message)
    desk.settle(held, Unavailable("407"))
    assert desk.state(message) == "created"


@pytest.mark.parametrize("answer", [Throttled("429"), Misconfigured("20003"), Unavailable("connect_timeout")])
def test_what_nobody_takes_for_three_days_ends_on_paper(desk, clock, answer):
    message = desk.post()
    while desk.state(message) == "created":
        assert desk.now < NOON + timedelta(days=4)
        for held in desk.claim(message):
            desk.settle(held, answer)
        clock.forward(hours=2)
    assert desk.state(message) == "failed"


def test_a_provider_that_fails_each_time_and_never_has_it_is_not_tried_for_ever(desk, clock):
    message = desk.post(policy="at_least_once")
    for _ in range(outbox.SENDS_AT_MOST):
        (held,) = desk.claim(message)
        desk.settle(held, Unknown("http_500"))
        desk.sweep(outbox.resolve, held, None, desk.now)
    assert desk.state(message) == "failed"


# A slow worker


def test_a_dead_workers_text_is_unknown_and_not_sent_again(desk, clock):
    held = desk.sending()
    clock.forward(seconds=61)
    assert desk.sweep(outbox.expire, desk.now) == 1
    assert (desk.state(held), desk.claim(held.id)) == ("unknown", [])


def test_a_slow_worker_is_believed_while_nobody_has_sent_again(desk, clock):
    for result, after in ((Accepted("SM1"), "sent"), (Rejected("21211"), "failed"),
                          (Unavailable("connect_timeout"), "created"), (Throttled("429"), "created"),
                          (Unknown("read_timeout"), "unknown")):
        held = desk.sending()
        clock.forward(seconds=61)
        desk.sweep(outbox.expire, desk.now)
        desk.settle(held, result)
        assert desk.state(held) == after


def test_a_send_that_was_thought_lost_and_is_accepted_after_all_is_not_made_again(desk):
    held = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.resolve, held, None, desk.now)
    assert desk.state(held) == "created"
    desk.settle(held, Accepted("SM1"))
    assert (desk.state(held), desk.claim(held.id)) == ("sent", [])


@pytest.mark.parametrize("late", [Rejected("21211"), Unavailable("connect_timeout"), Unknown("read_timeout"),
                                  Throttled("429"), Misconfigured("20003"), Accepted("SM1")])
def test_a_worker_whose_message_another_has_taken_moves_nothing(desk, late):
    first = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.resolve, first, None, desk.now)
    (second,) = desk.claim(first.id)
    assert desk.settle(first, late) is None
    assert (desk.state(first), desk.message(first).fence) == ("sending", 2)
    desk.settle(second, Accepted("SM2"))
    assert (desk.state(first), [a.provider_id for a in desk.attempts(first)][1]) == ("sent", "SM2")


def test_a_delivery_by_the_send_of_the_slow_worker_is_a_delivery(desk):
    first = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.resolve, first, None, desk.now)
    (second,) = desk.claim(first.id)
    desk.settle(first, Accepted("SM1"))
    desk.settle(second, Unknown("read_timeout"))
    assert desk.receive("SM1", "delivered").state == "delivered"


@on_postgresql
def test_two_workers_settle_one_message_at_once_and_the_later_send_counts(desk):
    first = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.resolve, first, None, desk.now)
    (second,) = desk.claim(first.id)
    start = threading.Barrier(2)

    def settle(held: Claim, result: object) -> object:
        start.wait()
        return desk.settle(held, result)

    with ThreadPoolExecutor(2) as both:
        results = list(both.map(settle, (first, second), (Rejected("21211"), Accepted("SM2"))))
    assert (results, desk.state(first)) == ([None, None], "sent")


# Receipts


def test_a_repeated_receipt_changes_nothing(desk):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    assert desk.receive("SM1", "delivered").state == "delivered"
    assert [desk.receive("SM1", "delivered") for _ in range(3)] == [None] * 3
    assert desk.look() == []


def test_a_late_receipt_does_not_move_a_delivered_message(desk):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    desk.receive("SM1", "delivered")
    assert [desk.receive("SM1", outcome) for outcome in (None, "sent", "failed")] == [None] * 3
    assert desk.state(held) == "delivered"


def test_a_late_delivery_corrects_a_failure(desk, clock):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    clock.forward(hours=73)
    assert [told.state for told in desk.sweep(outbox.give_up, desk.now, desk.now)] == ["failed"]
    clock.forward(days=3)
    assert desk.receive("SM1", "delivered").state == "delivered"


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_before_our_own_commit_is_honoured_where_it_bears_our_token(desk, outcome):
    held = desk.sending()
    assert desk.receive("SM1", outcome, token=held.token).state == outcome
    assert desk.settle(held, Accepted("SM1")) is None
    assert desk.state(held) == outcome


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_before_our_own_commit_is_honoured_where_it_bears_no_token(desk, outcome):
    desk.by = "africastalking"
    held = desk.sending()
    assert desk.receive("ATXid_1", outcome) is None
    assert desk.settle(held, Accepted("ATXid_1")) is None
    assert [told.state for told in desk.look()] == [outcome]


@pytest.mark.parametrize("result", [Unknown("read_timeout"), Unavailable("connect_timeout"), Rejected("21211")])
def test_a_receipt_knows_better_than_a_send_that_did_not_hear_its_answer(desk, result):
    held = desk.sending()
    desk.receive("SM1", "sent", token=held.token)
    desk.settle(held, result)
    assert (desk.state(held), desk.attempts(held)[0].provider_id) == ("sent", "SM1")
    assert desk.receive("SM1", "delivered").state == "delivered"


def test_a_step_on_the_way_proves_that_the_provider_has_it(desk):
    held = desk.unknown()
    desk.receive("SM1", None, token=held.token, status="queued")
    assert desk.state(held) == "sent"
    assert desk.sweep(outbox.give_up, desk.now + timedelta(hours=1), desk.now) == []


def test_a_receipt_for_another_number_changes_nothing(desk):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    assert desk.receive("SM1", "delivered", to=OTHER) is None
    assert desk.receive("SM1", "delivered", to=OTHER, token=held.token) is None
    assert desk.state(held) == "sent"
    assert desk.receive("SM1", "delivered").state == "delivered"


def test_a_receipt_without_a_number_needs_our_token(desk):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    assert desk.receive("SM1", "delivered", to="") is None
    assert desk.receive("SM1", "delivered", to="", token=held.token).state == "delivered"


def test_a_receipt_is_known_by_its_number_while_the_keys_are_being_changed(desk, clock, tmp_path):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    settings, keys = desk.runtime.settings, f"2:{'Ag' * 21}I=,1:{'AQEB' * 10}AQE="
    changed = open_house(settings.database_url, settings.redis_url, tmp_path, clock, SECRET_KEYS=keys)
    assert Desk(changed).receive("SM1", "delivered").state == "delivered"
    changed.close()


def test_a_failure_of_an_earlier_send_says_nothing_of_the_present_one(desk):
    first = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.give_up, desk.now + LEASE, desk.now)
    (second,) = desk.claim(first.id)
    desk.settle(second, Accepted("SM2"))
    assert desk.receive("SM1", "failed", token=first.token) is None
    assert desk.state(first) == "sent"
    assert desk.receive("SM1", "delivered", token=first.token).state == "delivered"


def test_a_failure_that_may_be_of_either_send_waits_until_the_sends_have_names(desk):
    first = desk.unknown(policy="at_least_once")
    desk.sweep(outbox.give_up, desk.now + LEASE, desk.now)
    (second,) = desk.claim(first.id)
    assert desk.receive("SM2", "failed", token=first.token) is None
    assert desk.settle(second, Accepted("SM2")) is None
    assert [told.state for told in desk.look()] == ["failed"]


def test_a_receipt_with_a_token_that_was_never_sent_changes_nothing(desk):
    message = desk.post()
    assert desk.receive("SM1", "delivered", token=desk.message(message).token) is None
    assert desk.receive("SM2", "delivered", token="0" * 32) is None
    assert desk.state(message) == "created"


# Receipts that find no message


def test_a_strange_receipt_to_the_number_of_an_unknown_send_is_its_answer(desk):
    desk.by = "africastalking"
    held = desk.unknown()
    assert desk.receive("ATXid_1", "delivered").state == "delivered"
    assert desk.attempts(held)[0].provider_id == "ATXid_1"


@pytest.mark.parametrize("receipt", [{"to": OTHER}, {"provider": "twilio"}])
def test_a_strange_receipt_to_another_number_or_by_another_provider_is_nobodys(desk, receipt):
    desk.by = "africastalking"
    held = desk.unknown()
    assert desk.receive("ATXid_1", "delivered", **receipt) is None
    assert desk.state(held) == "unknown"


def test_a_receipt_from_before_the_send_is_not_its_answer(desk, clock):
    desk.by = "africastalking"
    desk.receive("ATXid_1", "delivered")
    clock.forward(seconds=1)
    held = desk.unknown()
    assert desk.look() == []
    assert desk.state(held) == "unknown"


def test_one_receipt_to_a_shared_telephone_is_not_taken_for_either_household(desk):
    desk.by = "africastalking"
    first, second = desk.unknown(), desk.unknown()
    assert desk.receive("ATXid_1", "delivered") is None
    desk.report("ATXid_2", "delivered")
    assert len(desk.look()) == 2
    assert (desk.state(first), desk.state(second)) == ("delivered", "delivered")


def test_a_receipt_of_a_send_in_flight_is_not_taken_for_an_unknown_one_to_the_same_telephone(desk):
    desk.by = "africastalking"
    lost, flying = desk.unknown(), desk.sending()
    assert desk.receive("ATXid_1", "delivered") is None
    desk.settle(flying, Accepted("ATXid_1"))
    assert [told.message_id for told in desk.look()] == [flying.id]
    assert (desk.state(lost), desk.state(flying)) == ("unknown", "delivered")


def test_a_receipt_that_comes_after_days_is_not_taken_for_a_later_send_to_the_same_telephone(desk, clock):
    desk.by = "africastalking"
    first = desk.unknown()
    desk.sweep(outbox.give_up, desk.now + LEASE, desk.now)
    clock.forward(days=4)
    second = desk.unknown()
    assert desk.receive("ATXid_1", "delivered") is None
    assert (desk.state(first), desk.state(second)) == ("failed", "unknown")


def test_a_late_strange_receipt_corrects_a_send_that_was_given_up(desk, clock):
    desk.by = "africastalking"
    held = desk.unknown()
    desk.sweep(outbox.give_up, desk.now + LEASE, desk.now)
    assert desk.state(held) == "failed"
    clock.forward(hours=5)
    assert desk.receive("ATXid_1", "delivered").state == "delivered"


def test_receipts_that_are_nobodys_do_not_stand_before_those_that_are_somebodys(desk, clock):
    """Who was looked at in vain is looked at again after as long as it has waited."""
    desk.by = "africastalking"
    for number in range(20):
        desk.report(f"ATXid_x{number}", "delivered", to=OTHER)
    clock.forward(seconds=1)
    held = desk.unknown()
    desk.report("ATXid_1", "delivered")
    assert desk.sweep(outbox.settle_receipts, desk.now, 20) == []
    assert [told.message_id for told in desk.sweep(outbox.settle_receipts, desk.now, 20)] == [held.id]


@on_postgresql
def test_a_receipt_and_a_settlement_that_do_not_see_each_other_meet_later(desk):
    desk.by = "africastalking"
    held = desk.sending()
    with desk.runtime.database.write() as session:
        outbox.settle(session, [(held, Accepted("ATXid_1"))], desk.now)
        assert desk.receive("ATXid_1", "delivered") is None
    assert desk.state(held) == "sent"
    assert [told.state for told in desk.look()] == ["delivered"]


# Sends that nobody is sure of


def test_an_unknown_send_is_asked_for_after_a_while_and_not_at_once(desk, clock):
    held = desk.unknown()
    clock.forward(seconds=60)
    assert desk.unknowns() == []
    clock.forward(seconds=1)
    assert desk.unknowns() == [held.id]
    assert desk.unknowns() == []
    clock.forward(seconds=61)
    assert desk.unknowns() == [held.id]


def test_sends_that_nobody_can_answer_for_do_not_stand_before_the_others(desk, clock):
    mute = [desk.unknown() for _ in range(3)]
    clock.forward(seconds=1)
    answerable = desk.unknown()
    clock.forward(seconds=61)
    assert {*desk.unknowns(limit=3)} == {held.id for held in mute}
    assert desk.unknowns(limit=3) == [answerable.id]


@on_postgresql
def test_two_sweepers_do_not_ask_for_the_same_send(desk, clock):
    desk.unknown()
    clock.forward(seconds=61)
    with desk.runtime.database.write() as session:
        assert len(outbox.unknowns(session, desk.vault, desk.now, LEASE, 10)) == 1
        assert desk.unknowns() == []


def test_a_send_that_the_provider_has_is_sent_and_its_receipts_are_honoured(desk):
    held = desk.unknown()
    assert desk.receive("SM1", "delivered", provider="africastalking") is None
    desk.by = "twilio"
    desk.sweep(outbox.resolve, held, Accepted("SM1"), desk.now)
    assert desk.state(held) == "sent"
    assert desk.receive("SM1", "delivered").state == "delivered"


def test_what_the_provider_has_not_is_sent_again_where_it_may_come_twice_and_not_where_it_must_not(desk):
    careful, again = desk.unknown(policy="at_most_once"), desk.unknown(policy="at_least_once")
    for held in (careful, again):
        desk.sweep(outbox.resolve, held, None, desk.now)
    assert (desk.state(careful), desk.claim(careful.id)) == ("unknown", [])
    assert [second.fence for second in desk.claim(again.id)] == [2]


def test_an_answer_for_a_send_that_is_settled_by_now_changes_nothing(desk):
    held = desk.unknown()
    desk.receive("SM1", "delivered", token=held.token)
    for found in (None, Accepted("SM1")):
        assert desk.sweep(outbox.resolve, held, found, desk.now) is None
    assert desk.state(held) == "delivered"


@pytest.mark.parametrize(("policy", "after"), [("at_most_once", "failed"), ("at_least_once", "created")])
def test_what_stays_unknown_ends_by_the_policy_of_its_notice(desk, clock, policy, after):
    held = desk.unknown(policy=policy)
    clock.forward(minutes=16)
    told = desk.sweep(outbox.give_up, desk.now - timedelta(minutes=15), desk.now)
    assert (desk.state(held), [settlement.state for settlement in told]) == (after, ["failed"][after == "created":])


def test_a_text_that_no_receipt_follows_for_three_days_has_not_arrived(desk, clock):
    held = desk.sending()
    desk.settle(held, Accepted("SM1"))
    clock.forward(hours=72)
    assert desk.sweep(outbox.give_up, desk.now, desk.now) == []
    clock.forward(seconds=1)
    assert [told.state for told in desk.sweep(outbox.give_up, desk.now, desk.now)] == ["failed"]
    assert desk.state(held) == "failed"
