"""Judging again: a limit that takes effect finds every household, and tells whom it turns."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.judging import judge_again
from gateway.outbox import Message
from gateway.registry.programme import Programme, Threshold
from gateway.registry.score import IndexScore, ProgrammeDecision
from gateway.registry.scoring import Scorer
from tests.conftest import NOON, a_row, register
from tests.test_tellings import arrives, messages
from tests.web.desk import rows

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def with_a_limit(value: str) -> tuple[Programme, ...]:
    """The programmes as they are, but for a limit of the direct aid from today on."""
    limit = Threshold(Decimal(value), NOON.date(), "a test")
    return tuple(replace(programme, thresholds=(*programme.thresholds, limit)) if programme.key == "asd" else programme
                 for programme in Programme.load_all())


def test_a_new_limit_judges_every_household_again_and_tells_those_it_turns(runtime):
    register(runtime, a_row(), a_row("2900000002", "0712345678"))
    (value,) = {score.value for score in rows(runtime, IndexScore)}
    before = len(rows(runtime, ProgrammeDecision))
    assert judge_again(runtime, "Salma", lambda _: None) == (2, 0)
    assert len(rows(runtime, ProgrammeDecision)) == before
    object.__setattr__(runtime, "scorer", Scorer(runtime.scorer.formula, with_a_limit(str(value + 1))))
    assert judge_again(runtime, "Salma", lambda _: None) == (2, 2)
    assert judge_again(runtime, "Salma", lambda _: None) == (2, 0)
    assert len([one for one in rows(runtime, Message) if one.notice == "decision_changed"]) == 2
    assert len(rows(runtime, IndexScore)) == 2


def test_a_decision_that_another_one_overtakes_is_not_told_at_the_next_telephone_either(runtime):
    register(runtime, a_row(contacts=[{"phone": phone, "consent": True} for phone in ("0612345678", "0712345678")]))
    (value,) = {score.value for score in rows(runtime, IndexScore)}
    for limit in (value + 1, value - 1):
        object.__setattr__(runtime, "scorer", Scorer(runtime.scorer.formula, with_a_limit(str(limit))))
        judge_again(runtime, "Salma", lambda _: None)
        (text,) = messages(runtime, notice="decision_changed", state="created")
        arrives(runtime, "failed", id=text.id)
    assert [message.state for message in messages(runtime, notice="decision_changed")] == [
        "failed", "cancelled", "failed", "created"]


def test_to_judge_again_moves_no_index_however_old_its_members_are_by_now(runtime, clock):
    register(runtime, a_row())
    clock.forward(days=800)
    assert judge_again(runtime, "Salma", lambda _: None) == (1, 0)
    assert len(rows(runtime, IndexScore)) == 1
