"""The database falls over, waits, and is full: what was promised is kept, and what was not is refused aloud."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import UUID

import pytest
import sqlalchemy as sa

from channels.base import Accepted
from channels.line import WINDOW
from gateway.migrations import upgrade
from gateway.outbox import DECISION, Message
from jobs.deliver import AT_ONCE, MOST_UNWRITTEN, deliver
from jobs.sweep import sweep
from tests import servers
from tests.channels.test_sandbox import until
from tests.conftest import a_row, register
from tests.faults.test_processes import SETTLED_WITHIN_S, campaign, nobody_is_lost_and_nobody_is_told_twice
from tests.jobs.fakes import dispatch, ids, states, with_providers

__all__ = ["campaign"]
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def fall(request) -> Iterator[Callable[[], None]]:
    """What makes this test's own PostgreSQL fall over."""
    return request.getfixturevalue("fragile")[1]


@pytest.fixture
def fragile() -> Iterator[tuple[str, Callable[[], None]]]:
    with servers.fragile_postgresql() as (url, fall):
        upgrade(url)
        yield url, fall


@pytest.fixture
def database_url(request) -> str:
    if getattr(request, "param", "") == "sqlite":
        file = request.getfixturevalue("tmp_path") / "house.db"
        file.write_bytes(request.getfixturevalue("sqlite_template").read_bytes())
        return f"sqlite:///{file}"
    # What it has committed it must keep, or it is the test that loses it.
    return f"{request.getfixturevalue('fragile')[0]}&options=-csynchronous_commit%3Don"


def test_the_database_falls_over_twice_in_the_middle_of_a_campaign(campaign, fall):
    campaign.behave()
    campaign.start_worker()
    campaign.in_the_air(10)
    fall()
    until(lambda: campaign.states()["delivered"] > 5, SETTLED_WITHIN_S)
    fall()
    campaign.settled()
    nobody_is_lost_and_nobody_is_told_twice(campaign)
    assert campaign.worker.poll() is None, "the worker died with the database"


def test_what_cannot_be_written_down_holds_up_sends_only_once_a_window_of_it_waits(runtime):
    """Somebody holds a row of the first lot for as long as it takes: the others are sent, up to a bound."""
    runtime, twilio, _ = with_providers(runtime)
    register(runtime, *(a_row(f"29000{place:05d}", f"06123{place:05d}") for place in range(5 * WINDOW)))
    due, held, freed = ids(runtime), threading.Event(), threading.Event()

    def hold() -> None:
        with runtime.database.write() as session:
            session.execute(sa.select(Message.id).where(Message.id == UUID(due[0])).with_for_update())
            held.set()
            freed.wait(30)

    def answer(message) -> Accepted:
        if message.token == UUID(due[0]).hex:
            holding.start()
            held.wait(30)
        return Accepted(message.token)

    holding, twilio.answer = threading.Thread(target=hold), answer
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(deliver, runtime, "twilio", DECISION, due)
        until(lambda: len(twilio.sent) > WINDOW)
        time.sleep(0.5)
        assert WINDOW < len(twilio.sent) <= MOST_UNWRITTEN + WINDOW + AT_ONCE
        freed.set()
        assert done.result() == len(due)
    holding.join()
    assert states(runtime) == ["sent"] * len(due)


@contextmanager
def full(runtime) -> Iterator[None]:
    """Not another page for this database."""
    def limit(connection, _record) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")

    sa.event.listen(runtime.database.engine, "connect", limit)
    runtime.database.engine.dispose()
    yield
    sa.event.remove(runtime.database.engine, "connect", limit)
    runtime.database.engine.dispose()


@on_sqlite
def test_a_full_disk_refuses_what_is_new_aloud_and_is_got_over(runtime, clock):
    runtime, *_ = with_providers(runtime)
    households = [a_row(f"29000000{place:02d}", f"06123456{place:02d}") for place in range(60)]
    register(runtime, *households[:5])
    with full(runtime), pytest.raises(sa.exc.OperationalError, match="full"):
        register(runtime, *households[5:])
    assert len(states(runtime)) == 5
    register(runtime, *households[5:])
    dispatch(runtime)
    assert states(runtime) == ["sent"] * 60


@on_sqlite
def test_a_text_whose_sending_cannot_be_written_down_is_found_at_its_provider_and_not_sent_again(
        runtime, clock, caplog):
    runtime, twilio, _ = with_providers(runtime)
    register(runtime, *(a_row(f"29000000{place:02d}", f"06123456{place:02d}") for place in range(20)))
    twilio.answer = lambda message: Accepted(f"{'a name that needs room ' * 3}{message.token[:8]}")
    twilio.listed = lambda message: Accepted(message.token) if message in twilio.sent else None
    claimed = iter([True])

    def no_room_any_more(_connection) -> None:
        if next(claimed, False):
            runtime.database.engine.dispose()

    with full(runtime):
        sa.event.listen(runtime.database.engine, "commit", no_room_any_more)
        deliver(runtime, "twilio", DECISION, ids(runtime))
    sa.event.remove(runtime.database.engine, "commit", no_room_any_more)
    for _ in range(6):
        clock.forward(seconds=61)
        sweep(runtime)
    dispatch(runtime)
    assert states(runtime) == ["sent"] * 20
    assert set(Counter(message.token for message in twilio.sent).values()) == {1}
