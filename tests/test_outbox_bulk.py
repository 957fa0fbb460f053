"""Bulk posting: by the ten thousand the same promises are written as one by one, and no more often."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from gateway import outbox
from gateway.db import new_id
from gateway.outbox import Draft, Message, Promise
from tests.conftest import a_row, register
from tests.web.desk import homes, rows

ARABIC = "السجل الاجتماعي الموحد: " * 5
ITS_OWN = ("id", "to_sealed", "body_sealed", "_sa_instance_state")


def drafts(runtime) -> list[Draft]:
    """Of every kind: with a household and without, a text and a letter, in one part and in three."""
    register(runtime, a_row(phone=None))
    home = homes(runtime)[0].id
    about = [("sms", "ar-MA", ARABIC, "60401"), ("sms", "fr-MA", "l'été €", ""), ("letter", "fr-MA", "une lettre", "")]
    return [Draft(household, "data_round", f"subject é {place}", medium, locale, outbox.new_reference(),
                  f"+2126123456{place:02}", body, "at_most_once", place, runtime.clock() + timedelta(days=place),
                  network)
            for household in (None, home) for place, (medium, locale, body, network) in enumerate(about)]


def written(runtime, some: list[Draft]) -> dict:
    """Their rows by reference, as far as they are not made by lot."""
    wanted = {draft.reference for draft in some}
    return {row.reference: {name: value for name, value in vars(row).items() if name not in ITS_OWN}
            for row in rows(runtime, Message) if row.reference in wanted}


def test_rows_in_bulk_are_those_of_one_after_the_other(runtime):
    one_by_one = drafts(runtime)
    together = [replace(draft, once=f"another {place}") for place, draft in enumerate(one_by_one)]
    with runtime.database.write() as session:
        assert outbox.post(session, runtime.vault, one_by_one, runtime.clock()) == 6
    expected = written(runtime, one_by_one)
    with runtime.database.write() as session:
        session.execute(sa.delete(Message))
        assert outbox.post_all(session, runtime.vault, together, runtime.clock()) == 6
    assert written(runtime, together) == expected
    by_reference = {draft.reference: draft for draft in together}
    for row in rows(runtime, Message):
        draft = by_reference[row.reference]
        assert runtime.vault.open(row.to_sealed, "message.to", row.id) == draft.to
        assert runtime.vault.open(row.body_sealed, "message.body", row.id) == draft.body
        assert row.id.version == 7


def test_what_was_promised_is_not_promised_again_and_what_was_not_is(runtime):
    many = [Draft(None, "data_round", f"{place}", "sms", "fr-MA", outbox.new_reference(), f"+21261234{place:04}", "x")
            for place in range(30)]
    with runtime.database.write() as session:
        assert outbox.post(session, runtime.vault, many[:3], runtime.clock()) == 3
    for expected in (27, 0):
        with runtime.database.write() as session:
            assert outbox.post_all(session, runtime.vault, [*many, *many], runtime.clock()) == expected
    assert len(rows(runtime, Message)) == len(rows(runtime, Promise)) == 30
    assert {row.message_id for row in rows(runtime, Promise)} == {row.id for row in rows(runtime, Message)}
    with runtime.database.write() as session:
        assert outbox.post_all(session, runtime.vault, [], runtime.clock()) == 0


def test_what_names_itself_is_told_once_whichever_household_it_is(runtime):
    register(runtime, a_row(phone=None))
    one = Draft(homes(runtime)[0].id, "data_round", "a", "sms", "fr-MA", outbox.new_reference(), "+212612345678", "x",
                once="a telephone")
    with runtime.database.write() as session:
        assert outbox.post_all(session, runtime.vault, [one, replace(one, household_id=None)], runtime.clock()) == 1


def test_the_messages_of_a_campaign_are_held(runtime):
    campaign = new_id()
    some = drafts(runtime)
    with runtime.database.write() as session:
        outbox.post_all(session, runtime.vault, some, runtime.clock(), campaign)
    held = [row for row in rows(runtime, Message) if row.campaign_id == campaign]
    assert {row.state for row in held} == {"held"}
    assert len(held) == len(some)
    with runtime.database.write() as session:
        assert outbox.due(session, runtime.clock() + timedelta(days=1), 100) == []
