"""Real processes, a real PostgreSQL, a real Redis and a provider that misbehaves: by the operator's own count nobody
is lost and nobody is told twice."""

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from channels.sandbox import AfricasTalkingLine, Operator, Patience, Server, TwilioLine
from gateway.app import create_app
from gateway.outbox import FINAL, Message, sending
from gateway.registry.score import Notification
from gateway.runtime import Runtime
from gateway.settings import Settings
from jobs.receipts import settle_receipts
from jobs.relay import relay
from jobs.sweep import sweep
from tests.channels.test_sandbox import a_config, serving, until
from tests.conftest import SETTINGS, a_row, register
from tests.faults.doomed import STEPS
from tests.walks.neighbourhood import _free_port

ROOT = Path(__file__).parents[2]
HOUSEHOLDS = 60
KILLS = 200
SETTLED_WITHIN_S = 60
# The operator reports again for as long as a database takes to come up: what it gave up would be the test's own loss.
PATIENCE = Patience(retry_after_s=(0.5,) * 2 * SETTLED_WITHIN_S)
# A text in the air takes 0.5 s, one that stalls 2 s: a lease outlasts both.
HASTE = {"LEASE_S": "4", "RECONCILE_AFTER_S": "2", "UNKNOWN_FOR_S": "8", "QUIET_HOURS": "0-0"}

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@dataclass
class Campaign:
    """Sixty households to be told. The worker is a process of its own, and may be killed."""

    runtime: Runtime
    operator: Operator
    environment: dict[str, str]
    households: int = HOUSEHOLDS
    worker: subprocess.Popen | None = None

    def start_worker(self) -> None:
        self.worker = subprocess.Popen([sys.executable, "-m", "jobs.worker"], cwd=ROOT, env=self.environment,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_worker(self) -> None:
        """`kill -9`."""
        self.worker.kill()
        self.worker.wait()

    def behave(self, **faults: object) -> None:
        for provider in ("twilio", "africastalking"):
            self.operator.temper(provider).change({"receipt_delay_s": [0.0, 0.2], "delay_s": 0.5, "stall_s": 2.0,
                                                   **faults})

    def states(self) -> Counter[str]:
        with self.runtime.database.read() as session:
            return Counter(session.scalars(sa.select(Message.state).where(Message.medium == "sms")))

    def in_the_air(self, least: int) -> None:
        until(lambda: self.states()["sending"] >= least, SETTLED_WITHIN_S)

    def settled(self) -> None:
        """Until each text has come to its end."""
        try:
            until(lambda: self.states().total() == sum(self.states()[state] for state in FINAL), SETTLED_WITHIN_S)
        except AssertionError:
            raise AssertionError(f"not settled: {dict(self.states())}") from None

    def told(self) -> Counter[str]:
        """How often each household was told: texts in the operator's inboxes, and letters that will be printed."""
        inboxes = Counter(text.body for text in self.operator.book.texts() if text.status == "delivered")
        with self.runtime.database.read() as session:
            messages = list(session.scalars(sa.select(Message)))
        told: Counter[str] = Counter()
        for message in messages:
            body = self.runtime.vault.open(message.body_sealed, "message.body", message.id)
            told[str(message.household_id)] += inboxes[body] if message.medium == "sms" else message.state == "created"
        return told


@pytest.fixture
def campaign(request, database_url, redis_url, tmp_path, monkeypatch) -> Iterator[Campaign]:
    households = getattr(request, "param", HOUSEHOLDS)
    monkeypatch.setattr(sending, "ALARM", timedelta(seconds=3))
    gateway_port = _free_port()
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    config = a_config(
        gateway_url, callback_token=SETTINGS["CALLBACK_TOKENS"],
        twilio=TwilioLine(SETTINGS["TWILIO_ACCOUNT_SID"], SETTINGS["TWILIO_AUTH_TOKEN"]),
        africastalking=AfricasTalkingLine(SETTINGS["AFRICASTALKING_USERNAME"], SETTINGS["AFRICASTALKING_API_KEY"]))
    with serving(config, PATIENCE) as (operator, operator_url):
        told = {**SETTINGS, **HASTE, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path),
                "PUBLIC_URL": gateway_url, "SMS_PROVIDERS": "twilio:50,africastalking:50",
                "TWILIO_BASE_URL": operator_url, "AFRICASTALKING_BASE_URL": f"{operator_url}/version1"}
        runtime = Runtime.open(Settings.from_env(told), lambda: datetime.now(UTC))
        running = Campaign(runtime, operator, {**os.environ, **told}, households)
        server = Server(create_app(runtime), port=gateway_port)
        server.start()
        register(runtime, *(a_row(f"2900000{place:03d}", f"0612345{place:03d}") for place in range(households)))
        try:
            with _waking(runtime):
                yield running
        finally:
            if running.worker:
                running.kill_worker()
            server.stop()
            runtime.close()


@contextmanager
def _waking(runtime: Runtime) -> Iterator[None]:
    """What another worker does beside the one that sends, faster than the clock would ring for it."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.5):
            for job in (relay, settle_receipts, sweep):
                # A job that fails is rung for again.
                with suppress(sa.exc.DBAPIError):
                    job(runtime)

    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(work)
        try:
            yield
        finally:
            stop.set()
            working.result()


def nobody_is_lost_and_nobody_is_told_twice(campaign: Campaign) -> None:
    accepted = Counter((text.msisdn, text.body) for text in campaign.operator.book.texts())
    assert max(accepted.values()) == 1, "a text was accepted twice"
    assert Counter(campaign.told().values()) == {1: campaign.households}
    with campaign.runtime.database.read() as session:
        proved = Counter(session.scalars(sa.select(Notification.household_id)))
    assert set(proved.values()) == {1}
    assert len(proved) == campaign.states()["delivered"]


def test_a_worker_is_killed_in_the_middle_of_its_sends_again_and_again(campaign):
    campaign.behave()
    for _ in range(2):
        campaign.start_worker()
        campaign.in_the_air(10)
        campaign.kill_worker()
    campaign.start_worker()
    campaign.settled()
    nobody_is_lost_and_nobody_is_told_twice(campaign)


def test_redis_is_emptied_while_providers_stall_and_receipts_come_early_twice_and_in_any_order(campaign):
    campaign.behave(stall_after=0.1, stall_before=0.1, error_after=0.1, error_before=0.1, throttle=0.1, refuse=0.05,
                    garbage_after=0.05, garbage_before=0.05, reset_after=0.05, reset_before=0.05, half_open_after=0.03,
                    duplicate_receipts=0.5, reorder_receipts=0.5, early_receipts=0.5, undelivered=0.1)
    campaign.start_worker()
    campaign.in_the_air(10)
    campaign.runtime.redis.flushall()
    until(lambda: campaign.states()["delivered"] > 10, SETTLED_WITHIN_S)
    campaign.runtime.redis.flushall()
    campaign.settled()
    nobody_is_lost_and_nobody_is_told_twice(campaign)
    assert campaign.worker.poll() is None, "the worker died with Redis"


@pytest.mark.parametrize("campaign", [KILLS], indirect=True)
def test_two_hundred_workers_are_killed_at_every_step_of_a_send(campaign):
    campaign.operator.temper("twilio").change({"receipt_delay_s": [0.0, 0.1]})
    campaign.operator.temper("africastalking").change({"receipt_delay_s": [0.0, 0.1]})
    with campaign.runtime.database.read() as session:
        due = session.scalars(sa.select(Message.id).where(Message.medium == "sms")).all()
    lines = "".join(f"{STEPS[place % len(STEPS)]}\t{('twilio', 'africastalking')[place % 2]}\t{one}\n"
                    for place, one in enumerate(due))
    doomed = subprocess.run([sys.executable, "-m", "tests.faults.doomed"], input=lines, cwd=ROOT, text=True,
                            env=campaign.environment, stdout=subprocess.PIPE, check=True)
    assert doomed.stdout == "done\n"
    campaign.start_worker()
    campaign.settled()
    nobody_is_lost_and_nobody_is_told_twice(campaign)
