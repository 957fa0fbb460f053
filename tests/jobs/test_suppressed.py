"""Delivery to suppressed numbers: what was queued before goes by letter, within one round, and nothing by text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import sqlalchemy as sa

from channels.base import Accepted, Outbound, Rejected
from gateway import outbox
from gateway.outbox import REPLY, Draft, Message
from gateway.registry import suppression
from gateway.registry.suppression import Suppression
from jobs.deliver import deliver
from tests.conftest import a_row, register
from tests.web.desk import PHONE, rows


@dataclass
class Accepting:
    """A provider that accepts every text, or has this to say."""

    error: Rejected | None = None
    together: int = 1
    sent: list[str] = field(default_factory=list)

    async def send(self, message: Outbound) -> Accepted:
        self.sent.append(message.msisdn)
        if self.error:
            raise self.error
        return Accepted(f"id of {message.token}")

    async def close(self) -> None:
        """Nothing is open."""


def with_provider(runtime, provider):
    return replace(runtime, channels={"twilio": provider})


def ids(runtime):
    return [str(message.id) for message in rows(runtime, Message) if message.medium == "sms"]


def told(runtime):
    return sorted((message.medium, message.state) for message in rows(runtime, Message))


def test_a_text_queued_before_its_number_was_suppressed_goes_by_letter_in_the_same_round(runtime):
    house = with_provider(runtime, provider := Accepting())
    register(house, a_row(), a_row("2900000002", "0712345678"))
    with house.database.write() as session:
        suppression.suppress(session, house.vault, PHONE, "stop", "telephone", house.clock())
    assert deliver(house, "twilio", 2, ids(house)) == 1
    assert provider.sent == ["+212712345678"]
    assert told(house) == [("letter", "created"), ("sms", "failed"), ("sms", "sent")]


def test_an_answer_goes_to_whoever_stopped(runtime):
    house = with_provider(runtime, provider := Accepting())
    with house.database.write() as session:
        suppression.suppress(session, house.vault, PHONE, "stop", "telephone", house.clock())
        outbox.post(session, house.vault, [Draft(None, "stopped", "in-1", "sms", "fr-MA", "100000009", PHONE, "Bien",
                                                 lane=REPLY)], house.clock())
    assert deliver(house, "twilio", REPLY, ids(house)) == 1
    assert provider.sent == [PHONE]


def test_whom_a_provider_refuses_to_text_is_suppressed_in_its_name(runtime):
    house = with_provider(runtime, Accepting(Rejected("21610", opted_out=True)))
    register(house, a_row())
    deliver(house, "twilio", 2, ids(house))
    assert [(one.why, one.by) for one in rows(house, Suppression)] == [("provider", "twilio")]
    with house.database.write() as session:
        session.execute(sa.text("DELETE FROM contact"))
    register(house, a_row("2900000003"))
    assert told(house) == [("letter", "created"), ("letter", "created"), ("sms", "failed")]
