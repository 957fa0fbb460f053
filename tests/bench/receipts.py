"""Receipts: what a provider reports of texts, from its signature to the proof that a household was notified.

What a web server and a worker do, here in one process: its threads check and keep, one more settles. Beside it the
plain way: the message of each receipt is looked up, moved and proven in a transaction of its own before the answer.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from http.client import HTTPConnection
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
from jobs.receipts import AT_ONCE, settle_receipts
from tests.bench.figure import Figure, scaled
from tests.bench.sends import free_port, until_listening
from tests.conftest import SETTINGS, a_row, register

TEXTS = scaled(6_000, 60_000)
PLAIN_TEXTS = scaled(300, 1_000)
# Callbacks that wait for their answer at the same time.
CALLERS = 32


def receipts(runtime: Runtime, environment: Mapping[str, str]) -> Iterator[Figure]:
    """Texts that told an index and were sent; each is reported as delivered, once. `environment` is a web server's."""
    before = _count(runtime, Notification)
    plain, plain_cpu = _timed(_plainly, runtime, _sent(runtime, PLAIN_TEXTS))
    settled, cpu = _timed(_settle, runtime, _sent(runtime, TEXTS))
    if _count(runtime, Notification) != TEXTS + PLAIN_TEXTS + before:
        raise RuntimeError("not every household's proof was kept")
    yield Figure("receipts_settled_per_s", TEXTS / settled, "receipts/s a process", PLAIN_TEXTS / plain, ">= 3000")
    yield Figure("cpu_ms_per_receipt", 1000 * cpu / TEXTS, "ms", 1000 * plain_cpu / PLAIN_TEXTS)
    waited = _answered(environment, _sent(runtime, PLAIN_TEXTS))
    yield Figure("receipt_accepted_ms", 1000 * waited, "ms (median)", 1000 * plain / PLAIN_TEXTS)


def _timed(work: Callable[[Runtime, Sequence[CallbackRequest]], None], runtime: Runtime,
           callbacks: Sequence[CallbackRequest]) -> tuple[float, float]:
    """Seconds, and seconds of a processor."""
    began, cpu = time.perf_counter(), time.process_time()
    work(runtime, callbacks)
    return time.perf_counter() - began, time.process_time() - cpu


def _settle(runtime: Runtime, callbacks: Sequence[CallbackRequest]) -> None:
    """Until the last household's proof is kept."""
    twilio = runtime.channel("twilio")
    door = outbox.Door(runtime.database, runtime.vault, lambda kept: None)

    def settle() -> None:
        left = len(callbacks)
        while left:
            ended = settle_receipts(runtime)
            left -= ended
            if ended < AT_ONCE:
                time.sleep(0.05)

    with ThreadPoolExecutor(CALLERS + 1) as pool:
        settling = pool.submit(settle)
        for start in range(CALLERS):
            pool.submit(lambda mine: [door.keep(twilio.receipt(one), runtime.clock()) for one in mine],
                        callbacks[start::CALLERS])
        settling.result()


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
