"""Parts: a text that went in parts has arrived when all of them have, and whose receipt one is, is never guessed."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from channels.base import Accepted, Receipt, Unknown
from gateway import outbox
from gateway.outbox import Claim, Draft
from tests.test_outbox import OTHER, PHONE, Desk

# Two parts, and three.
TWO, THREE = "ج" * 100, "ج" * 180


class PartedDesk(Desk):
    """The outbox, whose texts go by SMPP."""

    def __init__(self, runtime) -> None:
        super().__init__(runtime)
        self.by = "smpp"

    def draft(self, *, body: str = "le texte", **given: object) -> Draft:
        return replace(super().draft(**given), body=body)

    def sent(self, *names: str, **given: object) -> Claim:
        held = self.sending(**given)
        self.settle(held, Accepted(names[0], parts=len(names), more=names[1:]))
        return held

    def unsure(self, *accepted: str, **given: object) -> Claim:
        held = self.sending(**given)
        self.settle(held, Unknown("no_answer", accepted=accepted))
        return held

    def hear(self, *names: str, outcome: str | None = "delivered", to: str = PHONE) -> None:
        """Each name with its other spellings behind it, parted by spaces. They are settled one by one."""
        for name, *also in map(str.split, names):
            with self.runtime.database.write() as session:
                outbox.receive(session, self.vault, Receipt(
                    "smpp", name, str(outcome), outcome, to, also=tuple(also)), self.now)
            self.look()


@pytest.fixture
def desk(runtime) -> PartedDesk:
    return PartedDesk(runtime)


@pytest.mark.parametrize("order", list(permutations(("a1", "a2", "a3"))))
def test_a_text_has_arrived_with_its_last_part_whichever_that_is(desk, order):
    held = desk.sent("a1", "a2", "a3", body=THREE)
    desk.hear(*order[:2])
    assert desk.state(held) == "sent"
    desk.hear(order[0])
    assert desk.state(held) == "sent"
    desk.hear(order[2])
    assert desk.state(held) == "delivered"


def test_a_text_has_failed_with_one_of_its_parts_and_has_arrived_if_that_does_after_all(desk):
    held = desk.sent("a1", "a2", body=TWO)
    desk.hear("a2", outcome="failed")
    assert desk.state(held) == "failed"
    desk.hear("a1")
    assert desk.state(held) == "failed"
    desk.hear("a2")
    assert desk.state(held) == "delivered"
    desk.hear("a2", outcome="failed")
    assert desk.state(held) == "delivered"


def test_receipts_of_parts_that_come_together_are_settled_together(desk):
    held = desk.sent("a1", "a2", "a3", body=THREE)
    for name in ("a1", "a2", "a3"):
        desk.report(name, "delivered")
    assert [settled.state for settled in desk.look()] == ["delivered"]
    assert desk.state(held) == "delivered"


def test_receipts_that_come_before_the_answers_are_settled_with_them(desk):
    held = desk.sending(body=TWO)
    desk.hear("a1", "a2")
    assert desk.state(held) == "sending"
    desk.settle(held, Accepted("a1", parts=2, more=("a2",)))
    desk.look()
    assert desk.state(held) == "delivered"


def test_the_parts_that_were_taken_of_a_text_in_doubt_settle_neither_it_nor_another(desk):
    half, other = desk.unsure("a1", body=TWO), desk.unsure()
    desk.hear("a1")
    assert (desk.state(half), desk.state(other)) == ("unknown", "unknown")


def test_a_text_in_doubt_has_arrived_when_what_was_in_doubt_has(desk):
    held = desk.unsure("a1", body=TWO)
    desk.hear("a1", "strange")
    assert desk.state(held) == "delivered"


def test_of_a_text_whose_sender_died_there_must_be_a_receipt_for_each_part(desk):
    held = desk.unsure(body=THREE)
    desk.hear("x1", "x2")
    assert desk.state(held) == "unknown"
    desk.hear("x3")
    assert desk.state(held) == "delivered"


def test_of_two_texts_in_doubt_to_one_telephone_nobody_says_which_has_arrived(desk):
    half, other = desk.unsure("a1", body=TWO), desk.unsure()
    desk.hear("a1", "strange")
    assert (desk.state(half), desk.state(other)) == ("unknown", "unknown")
    desk.hear("stranger")
    assert (desk.state(half), desk.state(other)) == ("delivered", "delivered")


def test_another_spelling_of_a_name_counts_only_where_the_telephone_is_the_same(desk):
    held = desk.sent("c")
    desk.hear("12 18 c", to=OTHER)
    assert desk.state(held) == "sent"
    desk.hear("12 18 c")
    assert desk.state(held) == "delivered"


def test_a_receipt_that_may_be_of_two_parts_is_of_the_one_that_it_names_as_it_stands(desk):
    held = desk.sent("12", "18", body=TWO)
    desk.hear("12 18 c")
    assert desk.state(held) == "sent"
    desk.hear("18 24")
    assert desk.state(held) == "delivered"


def test_of_two_texts_that_go_by_one_name_in_two_spellings_the_telephone_decides(desk):
    one, another = desk.sent("12", to=OTHER), desk.sent("c")
    desk.hear("12 18 c")
    assert (desk.state(one), desk.state(another)) == ("sent", "delivered")
    desk.hear("12 18 c", to=OTHER)
    assert desk.state(one) == "delivered"
