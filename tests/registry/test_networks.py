"""Networks: a number's first digits are a hint at who carries it, and never more."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from gateway.outbox import Message
from gateway.registry.networks import CODES, network_of
from tests.conftest import a_row, register


@pytest.mark.parametrize(("msisdn", "code"), [
    ("+212612345678", "60400"), ("+212661234567", "60401"), ("+212601234567", "60402"), ("+212700000000", "60402"),
    ("+212692112345", "60404"),
])
def test_a_number_is_of_the_network_that_its_prefix_was_given_to(msisdn, code):
    assert network_of(msisdn) == code


@pytest.mark.parametrize("msisdn", ["", "+", "+212", "+212512345678", "+33612345678", "not a number"])
def test_where_the_plan_names_no_network_there_is_no_hint(msisdn):
    assert network_of(msisdn) == ""


def test_every_network_that_has_numbers_has_a_code():
    assert {network_of(f"+212{prefix:04d}00000") for prefix in range(6000, 8000)} == {*CODES.values(), ""}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_text_knows_its_network_and_a_letter_has_none(runtime, clock):
    register(runtime, a_row(phone="0612345678"), a_row("2900000002", None))
    with runtime.database.write() as session:
        runtime.teller.reply(session, "sms_help", "fr-MA", "+212661234567", "a text", clock())
        runtime.teller.answer(session, "Bonjour", "fr-MA", "+212601234567", "another", clock())
    with runtime.database.read() as session:
        found = session.execute(sa.select(Message.medium, Message.network).order_by(Message.network)).all()
    assert [tuple(row) for row in found] == [("letter", ""), ("sms", "60400"), ("sms", "60401"), ("sms", "60402")]
