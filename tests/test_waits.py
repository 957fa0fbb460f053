"""Waits: what failed together does not come again together, and each kind of failure has its own patience."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from channels.base import Misconfigured, SendError, Throttled, Unavailable
from gateway import outbox
from gateway.outbox import Attempt, Draft, Message
from tests.conftest import NOON

LEASE = timedelta(seconds=60)


def waits(runtime, error: SendError, sends: int, jitter: float) -> list[float]:
    """The seconds that a text waits after each of so many sends that end by this error."""
    draft = Draft(None, "sms_help", "a text", "sms", "fr-MA", "100000009", "+212612345678", "le texte")
    now, found = NOON, []
    with runtime.database.write() as session:
        outbox.post(session, runtime.vault, [draft], now)
        row = session.scalars(sa.select(Message.id)).one()
    for _ in range(sends):
        with runtime.database.write() as session:
            held = outbox.claim(session, runtime.vault, [row], "twilio", now, LEASE)
            assert outbox.settle(session, [(one, error) for one in held], now, lambda: jitter) == []
        with runtime.database.read() as session:
            due = session.scalars(sa.select(Message.not_before)).one()
        found.append((due - now).total_seconds())
        now = due
    return found


@pytest.mark.parametrize(("error", "longest"), [
    (Unavailable("407"), [1, 4, 16, 64, 256, 1024, 3600]),
    (Unavailable("connect_timeout"), [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]),
    (Misconfigured("20003"), [1, 1, 1]),
    (Throttled("429", retry_after_s=7), [14, 14, 14]),
    (Throttled("429", retry_after_s=86400), [1800, 1800]),
])
def test_a_wait_is_drawn_from_nothing_to_what_its_kind_of_failure_bears(runtime, error, longest):
    assert waits(runtime, error, len(longest), 1.0) == longest


@pytest.mark.parametrize(("error", "shortest"), [
    (Unavailable("407"), 0), (Unavailable("refused"), 0), (Throttled("429", retry_after_s=7), 7),
])
def test_who_asks_for_patience_is_given_at_least_that_and_nobody_else_is(runtime, error, shortest):
    assert waits(runtime, error, 3, 0.0) == [shortest] * 3


def test_a_failure_that_is_the_accounts_never_ends_a_text(runtime):
    waits(runtime, Misconfigured("20003"), 20, 1.0)
    with runtime.database.read() as session:
        assert session.scalars(sa.select(Message.state)).one() == "created"
        assert session.scalars(sa.select(Attempt.outcome)).all() == ["misconfigured"] * 20
