"""The process that is bound to an SMSC: a real one, and an SMSC that answers, breaks off and reports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from uuid import UUID

import pytest
import sqlalchemy as sa

from channels.sms.smpp.encoding import decode, placed
from channels.sms.smpp.status import OK
from gateway import bind, outbox
from gateway.bind import Bind
from gateway.db import Database, new_id
from gateway.outbox import Attempt, Draft, Message
from gateway.routes import Routes
from gateway.runtime import Runtime
from gateway.settings import Settings, SettingsError
from jobs import alarm, tenure
from jobs.alarm import enqueue, lane_queue
from jobs.receipts import settle_receipts
from jobs.relay import BACKLOG, relay
from jobs.smpp import QUEUES, account_of
from jobs.sweep import sweep
from jobs.tenure import MARGIN_S, Tenure
from tests.channels.test_sandbox import until as wait_until
from tests.conftest import SETTINGS, open_house
from tests.contract.smpp import RECEIPT
from tests.contract.smsc import Smsc, accepts, after, cuts, keeps_silent
from tests.jobs.fakes import a_text, rung
from tests.web.desk import client

ROOT = Path(__file__).parents[2]
PHONE, OTHER = "+212612345678", "+212661234567"
LATIN = "Votre dossier est pret. "
ARABIC = "السجل الاجتماعي الموحد: المؤشر ديالكم تحسب. " * 4
# Only a machine that is busy elsewhere takes so long.
PATIENCE_S = 120
RECEIPT_CLASS = 0x04
WINDOW = 4
ACCOUNT = {"SMPP_URL": "smpp://127.0.0.1:1", "SMPP_SYSTEM_ID": "rsu", "SMPP_PASSWORD": "a-word", "SMPP_SENDER": "RSU"}
one_kind = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@dataclass
class House:
    """A house whose texts all go by SMPP. Its process for that is a real one."""

    runtime: Runtime
    smsc: Smsc
    environment: dict[str, str]
    running: list[subprocess.Popen] = field(default_factory=list)

    def start(self) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-m", "jobs.smpp"], cwd=ROOT, env=self.environment,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.running.append(process)
        return process

    def bound(self) -> subprocess.Popen:
        """A process, once the house knows that it is bound."""
        process = self.start()
        until(self.is_bound)
        return process

    def is_bound(self) -> bool:
        with self.runtime.database.read() as session:
            return not bind.unbound(session, self.runtime.clock())

    def post(self, *bodies: str, to: str = PHONE, policy: str = "at_most_once") -> list[UUID]:
        """Texts that are due. Each to another telephone where there are several."""
        numbers = [f"{to[:-2]}{place:02d}" for place in range(len(bodies))] if len(bodies) > 1 else [to]
        subjects = [new_id().hex for _ in bodies]
        now = self.runtime.clock()
        with self.runtime.database.write() as session:
            outbox.post(session, self.runtime.vault, [
                Draft(None, "sms_help", subject, "sms", "ar-MA", outbox.new_reference(), number, body, policy,
                      outbox.NOTICE, None) for subject, number, body in zip(subjects, numbers, bodies, strict=True)],
                now)
            return [session.scalars(sa.select(Message.id).where(Message.subject == one)).one() for one in subjects]

    def submitted(self, number: int) -> None:
        """Texts are woken until the SMSC has seen so many parts."""
        until(lambda: relay(self.runtime) + 1 and len(self.smsc.seen) >= number)

    def states(self) -> Counter[str]:
        with self.runtime.database.read() as session:
            return Counter(session.scalars(sa.select(Message.state)))

    def become(self, **states: int) -> None:
        """Receipts are settled until the texts are in these states."""
        until(lambda: settle_receipts(self.runtime) + 1 and self.states() == Counter(states))

    def report(self, name: str, stat: str = "DELIVRD", to: str = PHONE) -> None:
        text = RECEIPT.format(id=name, stat=stat, err="000").encode()
        assert self.smsc.deliver(text, source=to[1:], esm_class=RECEIPT_CLASS) == OK

    def numbers(self) -> list[str]:
        """The telephones that the SMSC has seen, in their order."""
        return [f"+{seen.destination_addr}" for seen in self.smsc.seen]

    def name_of(self, number: str) -> str:
        """What the SMSC calls the text to this telephone. Of those that it never answered for only it knows."""
        with self.runtime.database.read() as session:
            known = session.scalar(sa.select(Attempt.provider_id).join(Message, Message.id == Attempt.message_id).where(
                Message.to_blind.in_(self.runtime.vault.blinds(number, "message.to")),
                Attempt.provider_id.is_not(None)))
        return known or f"only-it-knows-{number[-2:]}"

    def hours_later(self) -> None:
        """Leases have run out, that of the bind too, and what is unsure has been so for long."""
        with self.runtime.database.write() as session:
            for column in (Message.lease_until, Message.changed_at):
                for one, at in session.execute(sa.select(Message.id, column)).all():
                    session.execute(sa.update(Message).where(Message.id == one).values(
                        {column: at and at - timedelta(hours=3)}))
            session.execute(sa.update(Bind).values(until=self.runtime.clock() - timedelta(hours=3)))


def until(condition: Callable[[], object]) -> None:
    """Looked at now and then: the process that brings it about has work to do on the same machine."""
    def looked_at() -> object:
        return condition() or sleep(0.05)

    wait_until(looked_at, PATIENCE_S)


def read(smsc: Smsc) -> list[str]:
    """What the handsets show: each text, its parts joined by their reference, in the order of the first."""
    texts: dict[tuple[str, int], dict[int, str]] = {}
    for seen in smsc.seen:
        place, octets = placed(seen.short_message, seen.esm_class)
        key = (seen.destination_addr, place.reference if place else 0)
        texts.setdefault(key, {})[place.number if place else 1] = decode(octets, seen.data_coding)
    return ["".join(parts[number] for number in sorted(parts)) for parts in texts.values()]


@pytest.fixture
def smsc() -> Iterator[Smsc]:
    with Smsc() as smsc:
        yield smsc


class Silent:
    """A database that falls silent."""

    def __init__(self, database: Database) -> None:
        self._database, self.silent = database, False

    def write(self):
        if self.silent:
            raise sa.exc.OperationalError("", {}, OSError())
        return self._database.write()


@pytest.fixture
def house(database_url, redis_url, tmp_path, smsc) -> Iterator[House]:
    settings = {**SETTINGS, **ACCOUNT, "SMS_PROVIDERS": "smpp:1", "QUIET_HOURS": "0-0", "SMPP_URL": smsc.url,
                "SMPP_WINDOW": str(WINDOW)}
    runtime = open_house(database_url, redis_url, tmp_path, lambda: datetime.now(UTC), **settings)
    environment = {**os.environ, **settings, "DATABASE_URL": database_url, "REDIS_URL": redis_url,
                   "VAR_DIR": str(tmp_path)}
    house = House(runtime, smsc, environment)
    yield house
    for process in house.running:
        process.kill()
        process.wait()
    runtime.close()


# Out and back


def test_a_text_goes_out_in_parts_and_its_receipts_prove_it(house):
    house.smsc.does(accepts("0001A2B3", "0001A2B4", "0001A2B5"))
    house.bound()
    house.post(ARABIC)
    house.submitted(3)
    assert read(house.smsc) == [ARABIC]
    house.become(sent=1)
    house.report("1A2B3")
    house.report("107188")
    house.become(sent=1)
    assert not settle_receipts(house.runtime)
    house.report("0001A2B5")
    house.become(delivered=1)


@one_kind
def test_a_person_who_writes_is_answered(house):
    house.bound()
    assert house.smsc.deliver(b"AIDE", source=PHONE[1:], destination="RSU") == OK
    assert house.smsc.deliver(b"STOP", source=OTHER[1:], destination="RSU") == OK
    until(lambda: relay(house.runtime) + 1 and {seen.destination_addr for seen in house.smsc.seen} == {
        PHONE[1:], OTHER[1:]})


def test_of_three_parts_one_that_fails_fails_the_text(house):
    house.smsc.does(accepts("A1", "A2", "A3"))
    house.bound()
    house.post(ARABIC)
    house.submitted(3)
    house.become(sent=1)
    house.report("A1")
    house.report("A3")
    house.report("A2", "UNDELIV")
    house.become(failed=1)


@one_kind
def test_a_line_that_breaks_in_the_middle_of_a_window_loses_nothing_and_doubles_nothing(house):
    """Whoever was submitted and not answered is found by a receipt, and not sent to again; the others go later."""
    house.smsc.does(accepts(), accepts(), keeps_silent, keeps_silent, keeps_silent, cuts, accepts())
    house.bound()
    house.post(*[LATIN] * 8)
    house.submitted(8)
    house.become(sent=4, unknown=WINDOW)
    for number in house.numbers():
        house.report(house.name_of(number), to=number)
    house.become(delivered=8)
    assert house.smsc.binds == 2
    assert set(Counter(house.numbers()).values()) == {1}


# The one bind


@one_kind
def test_of_two_processes_one_is_bound_and_the_other_takes_over_when_it_ends(house):
    first = house.bound()
    house.start()
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    assert (house.smsc.binds, house.smsc.unbinds) in ((1, 1), (2, 1))
    until(lambda: house.smsc.binds == 2 and house.is_bound())
    house.post(LATIN)
    house.submitted(1)


@one_kind
def test_a_process_that_is_killed_in_the_middle_of_a_window_loses_nothing(house):
    """Another takes its bind over when the lease has run out. Who was submitted to is found by the receipts, who was
    not is sent to again, and nobody twice."""
    house.smsc.does(accepts(), accepts(), accepts(), keeps_silent)
    first = house.bound()
    house.post(*[LATIN] * 9, policy="at_least_once")
    house.submitted(3 + WINDOW)
    until(lambda: house.states()["sent"] == 3)
    first.kill()
    first.wait()
    house.smsc.does(accepts())
    house.hours_later()
    house.start()
    until(lambda: house.smsc.binds == 2)
    sweep(house.runtime)
    for number in house.numbers():
        house.report(house.name_of(number), to=number)
    house.become(delivered=7, unknown=2)
    house.hours_later()
    sweep(house.runtime)
    house.submitted(9)
    for number in house.numbers()[7:]:
        house.report(house.name_of(number), to=number)
    house.become(delivered=9)
    assert set(Counter(house.numbers()).values()) == {1}


@one_kind
def test_what_is_in_the_air_ends_before_a_process_that_is_asked_to_and_the_rest_is_left(house):
    house.smsc.does(after(0.5, accepts()))
    process = house.bound()
    house.post(*[LATIN] * 12)
    house.submitted(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert house.smsc.unbinds == 1
    assert house.states() == Counter(sent=len(house.smsc.seen), created=12 - len(house.smsc.seen))


@one_kind
def test_a_process_that_loses_its_lease_unbinds_and_binds_again_when_it_may(house):
    house.bound()
    with house.runtime.database.write() as session:
        session.execute(sa.update(Bind).values(holder=new_id(), until=house.runtime.clock() + timedelta(hours=1)))
    until(lambda: house.smsc.unbinds == 1)
    with house.runtime.database.write() as session:
        session.execute(sa.delete(Bind))
    until(lambda: house.smsc.binds == 2 and house.is_bound())


def test_a_bind_is_another_s_when_its_lease_has_run_out_or_it_was_given_back(runtime, clock):
    one, other = (Tenure(runtime, "smpp", lambda: True, pytest.fail) for _ in range(2))
    assert one.begin()
    assert not other.begin()
    one.end()
    assert other.begin()
    other.end()


def test_a_lease_that_has_run_out_is_anybody_s_and_one_that_is_kept_is_not(runtime, clock):
    one, other = new_id(), new_id()

    def holds(who: UUID) -> bool:
        with runtime.database.write() as session:
            return bind.hold(session, "smpp", who, clock(), timedelta(seconds=15), bound=True)

    assert holds(one)
    clock.forward(seconds=14)
    assert holds(one)
    clock.forward(seconds=14)
    assert not holds(other)
    clock.forward(seconds=2)
    assert holds(other)
    assert not holds(one)


def test_a_holder_of_whom_the_database_says_nothing_any_more_lets_go_before_another_may_bind(runtime, monkeypatch):
    monkeypatch.setattr(tenure, "LEASE", timedelta(seconds=MARGIN_S + 0.3))
    lost = threading.Event()
    database = Silent(runtime.database)
    holder = Tenure(replace(runtime, database=database), "smpp", lambda: True, lost.set)
    assert holder.begin()
    database.silent = True
    assert lost.wait(PATIENCE_S)
    assert not holder.held


# Routes


def test_texts_are_routed_to_an_smsc_only_while_somebody_is_bound(database_url, redis_url, tmp_path, clock):
    runtime = open_house(database_url, redis_url, tmp_path, clock, **ACCOUNT, SMS_PROVIDERS="twilio:1,smpp:999")
    holder = new_id()
    for bound, route in ((None, "twilio"), (False, "twilio"), (True, "smpp")):
        with runtime.database.write() as session:
            if bound is not None:
                assert bind.hold(session, "smpp", holder, clock(), timedelta(seconds=15), bound=bound)
            assert {Routes.read(session, runtime.settings, clock()).choose(a_text()) for _ in range(20)} == {route}
    clock.forward(seconds=15)
    with runtime.database.read() as session:
        assert Routes.read(session, runtime.settings, clock()).choose(a_text()) == "twilio"
    runtime.close()


def test_a_lane_of_which_enough_waits_for_the_smsc_is_left_to_others(database_url, redis_url, tmp_path, clock):
    runtime = open_house(database_url, redis_url, tmp_path, clock, **ACCOUNT, SMS_PROVIDERS="twilio:1,smpp:999")
    with runtime.database.write() as session:
        bind.hold(session, "smpp", new_id(), clock(), timedelta(seconds=15), bound=True)
        runtime.teller.reply(session, "sms_help", "fr-MA", PHONE, "a text", clock())
    for _ in range(BACKLOG):
        enqueue(runtime.redis, "deliver", "smpp", outbox.REPLY, [], queue=lane_queue(outbox.REPLY, "smpp"))
    relay(runtime)
    assert [told[0] for told in rung(runtime)] == ["twilio"]
    runtime.close()


def test_the_queues_of_the_bound_process_are_served_by_no_other():
    assert len(set(QUEUES)) == len(outbox.LANES)
    assert not set(QUEUES) & set(alarm.QUEUES)


# Settings


@pytest.mark.parametrize(("changed", "named"), [
    ({"SMS_PROVIDERS": "twilio:1"}, "SMS_PROVIDERS"), ({"LEASE_S": "50"}, "LEASE_S"),
    ({"SMPP_CA_FILE": "/nowhere", "SMPP_URL": "smpps://smsc.operator.example"}, "SMPP_CA_FILE"),
])
def test_the_process_does_not_start_where_it_could_not_send(changed, named):
    environment = {**SETTINGS, **ACCOUNT, "SMS_PROVIDERS": "smpp:1", "DATABASE_URL": "sqlite:///nowhere.db",
                   "REDIS_URL": "redis://127.0.0.1:1", **changed}
    with pytest.raises(SettingsError) as caught:
        account_of(Settings.from_env(environment))
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [named]


# Figures


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_whether_somebody_is_bound_is_a_figure(database_url, redis_url, tmp_path, clock):
    runtime = open_house(database_url, redis_url, tmp_path, clock, **ACCOUNT, SMS_PROVIDERS="smpp:1")
    for figure in ("0.0", "1.0"):
        assert f'mouachir_bound{{provider="smpp"}} {figure}' in client(runtime).get("/metrics").text
        with runtime.database.write() as session:
            bind.hold(session, "smpp", new_id(), clock(), timedelta(seconds=15), bound=True)
    runtime.close()
