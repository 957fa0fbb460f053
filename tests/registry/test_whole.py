"""Whatever is done to the registry, by whomever and in whatever order: its laws hold after every act.

Hypothesis invents the story: households that register, contest and leave, bodies that answer late and contradict
themselves, clerks of whom two act as one, notices that arrive or do not, and the clocks. All of it is the real one,
on a real PostgreSQL. What may be done is `whole_acts` and `whole_house`, and what must be true `whole_laws`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from gateway.db import Base
from gateway.deadlines import CLOCKS
from gateway.registry import audit
from gateway.registry.inquiry import PARTNERS
from gateway.runtime import Runtime
from tests.conftest import NOON, Clock, open_house
from tests.databases import named
from tests.registry.whole_acts import DECLARED, SAID, Acts
from tests.registry.whole_house import HOUSES, PHONES
from tests.registry.whole_laws import Laws

EXAMPLES, STEPS = 10, 50


def act(name: str, *drawn: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.tuples(st.just(name), *drawn)


def any_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


HOUSE, PHONE = st.integers(0, len(HOUSES) - 1), st.integers(0, len(PHONES) - 1)
SAYING, CLERK, WHICH = st.integers(0, len(SAID) - 1), any_of(0, 1, 1, 2), any_of(0, 0, 0, 0, 1, 2)
CHOICE, APT = st.integers(0, 8), any_of(True, True, True, True, False)

# One rule draws among all: Hypothesis leaves whole rules out of a story, and without clocks or clerks little happens.
# What leads deeper stands several times, each time anew: of one strategy twice it would make one.
HAPPENS = st.one_of(
    *[act("time_passes", any_of(1, 10, 24, 24, 73, 73, 200, 200, 400, 1500, 9000), APT) for _ in range(5)],
    *[act("clock_strikes", any_of(*CLOCKS)) for _ in range(2)],
    *[act("declares", HOUSE, st.integers(0, len(DECLARED) - 1), PHONE, st.booleans()) for _ in range(3)],
    *[act("body_answers", HOUSE, SAYING, any_of("corrected", "corrected", "confirmed", "unknown"), any_of(0, 0, 1, 30),
          any_of("1", "2")) for _ in range(3)],
    *[act("all_answer", HOUSE, any_of("", "", "", *PARTNERS)) for _ in range(2)],
    act("contests_a_finding", HOUSE, WHICH),
    act("is_scored_anyway", HOUSE),
    act("leaves", WHICH, any_of("withdrawn", "struck_off")),
    *[act("is_reinstated", WHICH) for _ in range(2)],
    *[act("asks_a_review", HOUSE, any_of((), ("equipment.cars",), ("members.2.health_cover",), ("no.such",)),
          st.integers(0, 1)) for _ in range(4)],
    *[act("desk", CHOICE, WHICH, CLERK, CHOICE, APT) for _ in range(9)],
    *[act("complains", st.none() | HOUSE, any_of("index_wrong", "staff_conduct", "amo_rights"), st.booleans(), PHONE)
      for _ in range(2)],
    *[act("handles", CHOICE, WHICH, CLERK, CHOICE, APT) for _ in range(6)],
    *[act("reports", HOUSE, any_of("equipment", "spending", "address", "declarant", "members", "health_cover", "phone"),
          any_of("ussd", "centre")) for _ in range(3)],
    *[act("updates", CHOICE, WHICH, CHOICE, APT) for _ in range(5)],
    *[act("asks_a_number", HOUSE, PHONE, any_of("ussd", "ussd", "centre")) for _ in range(2)],
    act("says_not_mine", PHONE),
    act("answers_the_round", HOUSE, any_of("right", "changed")),
    act("texts_are_taken"),
    *[act("texts_are_sent", any_of("accepted", "accepted", "accepted", "rejected", "unavailable")) for _ in range(3)],
    *[act("receipts_come", any_of("delivered", "delivered", "failed"), any_of(slice(0, 99), slice(-2, None)))
      for _ in range(3)],
    act("silent_texts_end"), act("letters_are_posted"), act("letters_are_posted"), act("stops_texts", PHONE),
    act("formula_changes"), act("untold_is_told"),
)


class Whole(RuleBasedStateMachine):
    house: Runtime

    def __init__(self) -> None:
        super().__init__()
        empty(self.house)
        clock = Clock(NOON)
        self.acts, self.laws = Acts(self.house.at(clock), clock), Laws()

    @initialize(verified=st.lists(st.booleans(), min_size=3, max_size=3), told=APT, contested=APT)
    def begin(self, verified: Sequence[bool], told: bool, contested: bool) -> None:
        """Households are there, may have been told their index and ask for a review: else few stories come so far."""
        for house, known in enumerate(verified):
            self.happens(("declares", house, 0, house, known))
        if told:
            self.happens(("texts_are_sent", "accepted"))
            self.happens(("receipts_come", "delivered", slice(0, 99)))
        for house in range(3 * contested):
            self.happens(("asks_a_review", house, (), 0))

    @rule(event=HAPPENS)
    def happens(self, event: tuple[Any, ...]) -> None:
        """One act; where it was refused, nothing was committed, and nothing need be looked at."""
        self.acts.told, self.acts.written = [], False
        getattr(self.acts, event[0])(*event[1:])
        if not self.acts.written:
            return
        with self.house.database.read(one_moment=True) as session:
            self.laws.check(session, self.acts.scorer.formula, self.acts.told, declared=event[0] == "declares")

    def teardown(self) -> None:
        """Nobody has touched what was written down."""
        with self.house.database.read() as session:
            self.laws.end(session)
        assert audit.verify(self.house.database, self.house.vault) == []


def empty(house: Runtime) -> None:
    """As it was at first: each story stands alone. The guards sleep meanwhile, as they do for nobody else."""
    with house.database.write() as session:
        session.execute(sa.text("SET LOCAL session_replication_role = replica"))
        for table in Base.metadata.sorted_tables:
            session.execute(sa.delete(table))


@pytest.fixture(scope="module")
def house(postgresql_url: str, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE whole TEMPLATE template_house STRATEGY FILE_COPY")
    opened = open_house(named(postgresql_url, "whole"), redis_server, tmp_path_factory.mktemp("whole"), Clock())
    yield opened
    opened.close()


def test_whatever_happens_in_whatever_order_the_laws_of_the_registry_hold(house):
    run_state_machine_as_test(
        type("Story", (Whole,), {"house": house}),
        settings=settings(max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, database=None,
                          derandomize=True, suppress_health_check=list(HealthCheck)))
