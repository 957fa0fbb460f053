"""Receipts: what a provider reports of texts, from its signature to the proof that a household was notified.

What a web server and a worker do: threads of this process check and keep, a worker settles. Beside it the plain way:
the message of each receipt is looked up, moved and proven in a transaction of its own before the answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from secrets import token_bytes
from statistics import median
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import sqlalchemy as sa
from twilio.request_validator import SIGNATURE_HEADER, RequestValidator

from channels.base import Accepted, CallbackRequest
from gateway import outbox
from gateway.db import Base, insert, new_id
from gateway.outbox import Claim, Message, ReceiptRecord
from gateway.outbox.receipts import row
from gateway.registry import registration, score
from gateway.registry.clock import day_of
from gateway.registry.household import Household
from gateway.registry.registration import Registration
from gateway.registry.score import CurrentScore, IndexScore, Notification
from gateway.runtime import Runtime
from jobs.alarm import enqueue
from jobs.receipts import AT_ONCE
from tests.bench.figure import Figure, scaled
from tests.bench.sends import free_port, until_listening
from tests.conftest import SETTINGS, a_row, register

TEXTS = scaled(6_000, 60_000)
PLAIN_TEXTS = scaled(300, 1_000)
# Callbacks that wait for their answer at the same time.
CALLERS = 32
PATIENCE_S = 120


def receipts(runtime: Runtime, environment: Mapping[str, str]) -> Iterator[Figure]:
    """Texts that told an index and were sent; each is reported as delivered, once. `environment` is a process's."""
    before = _count(runtime, Notification)
    plain, plain_cpu = _timed(_plainly, runtime, _sent(runtime, PLAIN_TEXTS))
    with _worker(runtime, environment) as worker:
        _settle(runtime, _sent(runtime, AT_ONCE))
        callbacks, began = _sent(runtime, TEXTS), _cpu_s(worker)
        settled, cpu = _timed(_settle, runtime, callbacks)
        cpu += _cpu_s(worker) - began
    if _count(runtime, Notification) != TEXTS + AT_ONCE + PLAIN_TEXTS + before:
        raise RuntimeError("not every household's proof was kept")
    yield Figure("receipts_settled_per_s", TEXTS / settled, "receipts/s by a door and a worker", PLAIN_TEXTS / plain,
                 ">= 3000")
    yield Figure("cpu_ms_per_receipt", 1000 * cpu / TEXTS, "ms", 1000 * plain_cpu / PLAIN_TEXTS)
    waited = _answered(environment, _sent(runtime, PLAIN_TEXTS))
    yield Figure("receipt_accepted_ms", 1000 * waited, "ms (median)", 1000 * plain / PLAIN_TEXTS)


def _timed(work: Callable[[Runtime, Sequence[CallbackRequest]], None], runtime: Runtime,
           callbacks: Sequence[CallbackRequest]) -> tuple[float, float]:
    """Seconds, and seconds of a processor that this process took."""
    began, cpu = time.perf_counter(), time.process_time()
    work(runtime, callbacks)
    return time.perf_counter() - began, time.process_time() - cpu


@contextmanager
def _worker(runtime: Runtime, environment: Mapping[str, str]) -> Iterator[int]:
    """The process number of a worker; it is rung for twice a second, as the clock does."""
    process, stop = subprocess.Popen([sys.executable, "-m", "jobs.worker"], env={**os.environ, **environment},
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), threading.Event()

    def ring() -> None:
        while not stop.wait(0.5):
            enqueue(runtime.redis, "settle_receipts", once=True)

    ringing = threading.Thread(target=ring)
    ringing.start()
    try:
        yield process.pid
    finally:
        stop.set()
        ringing.join()
        process.terminate()
        process.wait()


def _cpu_s(process: int) -> float:
    """Seconds of a processor that it has taken: proc(5), /proc/pid/stat, utime and stime."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def _settle(runtime: Runtime, callbacks: Sequence[CallbackRequest]) -> None:
    """Threads check and keep them, as a web server's do, until the worker has kept the last household's proof."""
    twilio, wanted = runtime.channel("twilio"), _count(runtime, Notification) + len(callbacks)
    door = outbox.Door(runtime.database, runtime.vault, lambda kept: None)
    with ThreadPoolExecutor(CALLERS) as pool:
        kept = [pool.submit(lambda mine: [door.keep(twilio.receipt(one), runtime.clock()) for one in mine],
                            callbacks[start::CALLERS]) for start in range(CALLERS)]
        for one in kept:
            one.result()
    ends = time.monotonic() + PATIENCE_S
    while _count(runtime, Notification) < wanted:
        if time.monotonic() > ends:
            raise TimeoutError("the worker does not settle them")
        time.sleep(0.05)


def _plainly(runtime: Runtime, callbacks: Sequence[CallbackRequest]) -> None:
    twilio = runtime.channel("twilio")
    for callback in callbacks:
        receipt, now = twilio.receipt(callback), runtime.clock()
        with runtime.database.write() as session:
            session.add(ReceiptRecord(**row(runtime.vault, receipt, now) | {"look_at": None}))
            message = session.get_one(Message, UUID(receipt.token))
            message.state, message.changed_at = str(receipt.outcome), now
            home = session.get_one(Household, message.household_id)
            score.record_notification(
                session, household_id=home.id, score_id=UUID(message.subject), medium="sms", notified_on=day_of(now),
                proof="receipt", message_id=message.id, now=now)
            registration.notified(session, home.id, day_of(now), now)


def _answered(environment: Mapping[str, str], callbacks: Sequence[CallbackRequest]) -> float:
    """Seconds that a provider waits for the answer, over HTTP and one after the other."""
    port, waited = free_port(), []
    server = subprocess.Popen([sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "--port", str(port),
                               "--blocking-threads", "4", "--log-level", "error", "gateway.app:serve"],
                              env={**os.environ, **environment})
    try:
        until_listening(port)
        with closing(HTTPConnection("127.0.0.1", port)) as line:
            for callback in callbacks:
                body = urlencode({key: value for key, (value,) in callback.form.items()})
                began = time.perf_counter()
                line.request("POST", callback.path, body, dict(callback.headers))
                answer = line.getresponse()
                answer.read()
                waited.append(time.perf_counter() - began)
                if answer.status != 200:
                    raise RuntimeError(f"a receipt was refused: {answer.status}")
    finally:
        server.terminate()
        server.wait()
    return median(waited)


def _sent(runtime: Runtime, number: int) -> list[CallbackRequest]:
    """So many households' texts that Twilio has, and what it will say of each."""
    if not _count(runtime, Household):
        register(runtime, a_row())
    ids = _multiply(runtime, number)
    now, callbacks = runtime.clock(), []
    with runtime.database.write() as session:
        for start in range(0, number, AT_ONCE):
            held = outbox.claim(session, runtime.vault, ids[start : start + AT_ONCE], "twilio", now,
                                timedelta(minutes=1))
            outbox.settle(session, [(one, Accepted(f"SM{one.id.hex}")) for one in held], now)
            callbacks += [_delivered(one) for one in held]
    return callbacks


def _multiply(runtime: Runtime, number: int) -> list[UUID]:
    """As many households as the first one, each with an index and a text that waits: to score them is not measured."""
    taken = _count(runtime, Registration)
    with runtime.database.write() as session:
        def first(model: type[Base]) -> dict[str, Any]:
            return dict(session.execute(sa.select(model.__table__).order_by("id").limit(1)).mappings().one())

        home, way, scored, current, text = map(first, (Household, Registration, IndexScore, CurrentScore, Message))
        msisdn = "+212612345678"
        ids = [(new_id(), new_id(), new_id()) for _ in range(number)]
        insert(session, Household, [home | {"id": one, "number_blind": token_bytes(32)} for one, _, _ in ids])
        insert(session, Registration, [way | {
            "id": new_id(), "household_id": one, "household_blind": token_bytes(32), "number": f"b{taken + place:08}",
            "state": "scored"} for place, (one, _, _) in enumerate(ids)])
        insert(session, IndexScore, [scored | {"id": index, "household_id": one, "predecessor_id": None}
                                     for one, index, _ in ids])
        insert(session, CurrentScore, [current | {"id": one, "score_id": index} for one, index, _ in ids])
        insert(session, Message, [text | {
            "id": name, "household_id": one, "notice": "index_assigned", "subject": str(index), "medium": "sms",
            "state": "created", "fence": 0, "not_before": runtime.clock(), "alarm_until": None, "run": None,
            "to_blind": runtime.vault.blind(msisdn, "message.to"),
            "to_sealed": runtime.vault.seal(msisdn, "message.to", name),
            "body_sealed": runtime.vault.seal("un texte", "message.body", name)} for one, index, name in ids])
    return [name for _, _, name in ids]


def _delivered(held: Claim) -> CallbackRequest:
    """https://www.twilio.com/docs/messaging/guides/track-outbound-message-status"""
    sid, path = f"SM{held.id.hex}", f"/receipts/twilio/{held.token}"
    form = {"MessageSid": sid, "SmsSid": sid, "AccountSid": SETTINGS["TWILIO_ACCOUNT_SID"], "To": held.msisdn,
            "From": "RSU", "MessageStatus": "delivered", "SmsStatus": "delivered", "ApiVersion": "2010-04-01"}
    signature = RequestValidator(SETTINGS["TWILIO_AUTH_TOKEN"]).compute_signature(SETTINGS["PUBLIC_URL"] + path, form)
    return CallbackRequest(path, {SIGNATURE_HEADER: signature, "Content-Type": "application/x-www-form-urlencoded"},
                           {key: (value,) for key, value in form.items()}, held.token)


def _count(runtime: Runtime, model: type[Base]) -> int:
    with runtime.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model)) or 0
