"""Receipts, by hundreds: many at once are settled as each would be alone, and none stands in the way of another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.base import Accepted, Receipt
from gateway import outbox
from gateway.outbox import Claim, Message, ReceiptRecord
from gateway.registry.registration import Registration
from gateway.registry.score import Notification
from jobs.receipts import AGAIN_AFTER, settle_receipts
from tests.conftest import a_row, register
from tests.web.desk import homes, rows

PHONE = "+212612345678"
for_real = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def sent(runtime, number: int) -> list[Claim]:
    """So many households' texts, all of which Twilio has."""
    register(runtime, *(a_row(f"29{one:08}") for one in range(number)))
    with runtime.database.write() as session:
        ids = session.scalars(sa.select(Message.id).order_by(Message.id)).all()
        held = outbox.claim(session, runtime.vault, ids, "twilio", runtime.clock(), timedelta(minutes=1))
        outbox.settle(session, [(one, Accepted(name(one))) for one in held], runtime.clock())
    return held


def name(held: Claim) -> str:
    return f"SM{held.id.hex}"


def reported(held: Claim, outcome: str = "delivered", to: str = PHONE) -> Receipt:
    return Receipt("twilio", name(held), outcome, outcome, to, held.token)


def keep(runtime, receipts: Sequence[Receipt]) -> None:
    with runtime.database.write() as session:
        for receipt in receipts:
            outbox.receive(session, runtime.vault, receipt, runtime.clock())


def states(runtime) -> dict:
    return {message.id: message.state for message in rows(runtime, Message) if message.medium == "sms"}


def statements(runtime, work) -> int:
    """How many statements `work` takes."""
    seen = []
    sa.event.listen(runtime.database.engine, "before_cursor_execute", listener := lambda *_: seen.append(1))
    work()
    sa.event.remove(runtime.database.engine, "before_cursor_execute", listener)
    return len(seen)


def test_of_many_each_is_settled_by_its_own_receipt(runtime):
    held = sent(runtime, 6)
    delivered, failed, on_the_way, elsewhere, silent, twice = held
    keep(runtime, [reported(delivered), reported(failed, "failed"), reported(on_the_way, "sent"),
                   reported(elsewhere, to="+212712345678"), reported(twice, "failed"), reported(twice)])
    assert settle_receipts(runtime) == 3
    assert states(runtime) == {delivered.id: "delivered", failed.id: "failed", on_the_way.id: "sent",
                               elsewhere.id: "sent", silent.id: "sent", twice.id: "delivered"}
    assert {proof.message_id for proof in rows(runtime, Notification)} == {delivered.id, twice.id}
    assert len([message for message in rows(runtime, Message) if message.medium == "letter"]) == 1


def test_every_household_of_a_lot_is_notified_and_has_its_proof(runtime):
    keep(runtime, [reported(held) for held in sent(runtime, 20)])
    assert settle_receipts(runtime) == 20
    assert {proof.household_id for proof in rows(runtime, Notification)} == {home.id for home in homes(runtime)}
    assert {row.state for row in rows(runtime, Registration)} == {"notified"}


@for_real
def test_ten_times_the_receipts_take_no_more_statements(runtime):
    held = sent(runtime, 44)
    keep(runtime, [reported(one) for one in held[:4]])
    few = statements(runtime, lambda: settle_receipts(runtime))
    keep(runtime, [reported(one) for one in held[4:]])
    assert statements(runtime, lambda: settle_receipts(runtime)) == few
    assert set(states(runtime).values()) == {"delivered"}


@for_real
def test_two_who_settle_at_once_settle_each_receipt_once(runtime):
    keep(runtime, [reported(held) for held in sent(runtime, 40)])
    start = threading.Barrier(2)

    def settle(_: int) -> int:
        start.wait()
        return sum(settle_receipts(runtime, 5) for _ in range(8))

    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(settle, range(2))) == 40
    assert len(rows(runtime, Notification)) == 40


@for_real
def test_a_message_that_somebody_holds_is_not_waited_for(runtime, clock):
    first, second = sent(runtime, 2)
    keep(runtime, [reported(first), reported(second)])
    with runtime.database.write() as session:
        session.execute(sa.select(Message.id).where(Message.id == first.id).with_for_update())
        assert settle_receipts(runtime) == 1
    clock.forward(seconds=2)
    assert settle_receipts(runtime) == 1
    assert set(states(runtime).values()) == {"delivered"}


def test_one_that_cannot_be_settled_hinders_no_other_and_is_tried_again(runtime, clock):
    bad, good = sent(runtime, 2)
    with runtime.database.write() as session:
        subject = session.scalar(sa.select(Message.subject).where(Message.id == bad.id))
        session.execute(sa.update(Message).where(Message.id == bad.id).values(subject="no score of ours"))
    keep(runtime, [reported(bad), reported(good)])
    assert settle_receipts(runtime) == 1
    assert states(runtime) == {bad.id: "sent", good.id: "delivered"}
    with runtime.database.write() as session:
        session.execute(sa.update(Message).where(Message.id == bad.id).values(subject=subject))
    assert settle_receipts(runtime) == 0
    clock.now += AGAIN_AFTER
    assert settle_receipts(runtime) == 1


def test_a_lot_that_was_full_rings_for_the_next(runtime):
    keep(runtime, [reported(held) for held in sent(runtime, 3)])
    settle_receipts(runtime, 2)
    assert runtime.redis.exists("rung:settle_receipts")


def test_what_nobody_knows_is_looked_at_ever_more_rarely_and_one_day_no_more(runtime, clock):
    keep(runtime, [Receipt("africastalking", "ATXid_1", "Success", "delivered", PHONE)])
    looks = 0
    while (kept := rows(runtime, ReceiptRecord)[0]).look_at:
        clock.now = kept.look_at
        settle_receipts(runtime)
        looks += 1
    assert kept.message_id is None
    assert looks < 40


# At the door


def test_receipts_that_come_in_together_are_all_kept(runtime):
    held, start = sent(runtime, 1)[0], threading.Barrier(8)
    counted = []
    door = outbox.Door(runtime.database, runtime.vault, counted.extend)

    def come(number: int) -> None:
        start.wait()
        for order in range(10):
            door.keep(Receipt("twilio", f"SM{number}x{order}", "sent", "sent", PHONE, held.token), runtime.clock())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(come, range(8)))
    names = {f"SM{number}x{order}" for number in range(8) for order in range(10)}
    assert {kept.provider_id for kept in rows(runtime, ReceiptRecord)} == names
    assert sorted(one.provider_id for one in counted) == sorted(names)


@for_real
def test_one_that_the_database_does_not_take_is_refused_alone(runtime):
    start = threading.Barrier(8)
    door = outbox.Door(runtime.database, runtime.vault, lambda kept: None)

    def come(number: int) -> bool:
        start.wait()
        try:
            door.keep(Receipt("twilio", "x" * (81 if number == 3 else 5), "sent", "sent", PHONE), runtime.clock())
        except sa.exc.DataError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(come, range(8))) == [number != 3 for number in range(8)]
    assert len(rows(runtime, ReceiptRecord)) == 7
