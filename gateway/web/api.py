"""API: a programme's machine has a household told an approved notice, and asks what became of it (docs/api.yaml).

It says which notice and to whom, never in which words. Who a client is, its token says; what it may do is the same for
all: give an errand, and see its own.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from flask import Blueprint, Request, Response, request
from redis.exceptions import RedisError
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException

from gateway import errands
from gateway.errands import Asked, Errand, Given
from gateway.outbox import Message, placed_all
from gateway.registry import audit
from gateway.registry.clock import day_of
from gateway.runtime import Runtime
from gateway.web import limits
from gateway.web.problems import Name, Refused, problem

PATH = "/api/"
# A Structured Header's string (draft-ietf-httpapi-idempotency-key-header, 2.1), or the same without its quotes.
KEY = re.compile(r'"([!#-\[\]-~]{8,128})"|([!#-\[\]-~]{8,128})')
REFERENCE = re.compile(r"[A-Za-z0-9._:/-]{1,64}")
HOUSEHOLD = re.compile(r"[0-9]{10}")
FIELDS = ("household", "notice", "reference", "tell_by")
# A letter takes days to be printed and brought; nobody knows today what is worth telling in a year.
TOLD_WITHIN = timedelta(days=90)
# A list has some wrong numbers in it. Whoever has more of them in a day is looking for households.
UNKNOWN_A_DAY = 100
# How long a request may be worked on until another of its key is looked at; the database keeps them apart in any case.
AT_WORK_S, ASK_AGAIN_S = 30, 1
OUTAGE_S = 10

BY_CODE: Mapping[int, Name] = {404: "not-found", 405: "not-allowed", 413: "too-large", 500: "failed"}


def routes(runtime: Runtime) -> Blueprint:
    """`POST /api/v1/messages` and `GET /api/v1/messages/<id>`, each with a client's token."""
    blueprint = Blueprint("api", __name__)

    @blueprint.post("/api/v1/messages")
    def give() -> Response:
        client = _client(runtime, request)
        asked = _asked(runtime, client, request)
        with _alone(runtime, asked):
            given = _given(runtime, asked)
        runtime.count("errands", client=client, new=str(given.new))
        return _accepted(given)

    @blueprint.get("/api/v1/messages/<errand_id>")
    def look(errand_id: str) -> Response:
        client = _client(runtime, request)
        with runtime.database.read() as session:
            errand = errands.find(session, client, _named(errand_id))
            if errand is None:
                raise Refused("not-found")
            return _written(_standing(session, errand))

    @blueprint.errorhandler(Refused)
    def refused(error: Refused) -> Response:
        runtime.count("api_refused", problem=error.name)
        return problem(error)

    @blueprint.app_errorhandler(HTTPException)
    def unserved(error: HTTPException) -> Response | HTTPException:
        if not request.path.startswith(PATH):
            return error
        allow = {name: value for name, value in error.get_headers() if name == "Allow"}
        return problem(Refused(BY_CODE.get(error.code or 500, "malformed")), allow)

    return blueprint


def client_of(authorization: str, clients: Sequence[tuple[str, str]]) -> str:
    """The client whose token this is; empty for nobody's. All are compared, each in the same time."""
    scheme, _, token = authorization.partition(" ")
    digest = hashlib.sha256(token.strip().encode()).hexdigest()
    known = [name for name, ours in clients if hmac.compare_digest(digest, ours)]
    return known[0] if known and scheme.lower() == "bearer" else ""


def _client(runtime: Runtime, request: Request) -> str:
    client = client_of(request.headers.get("Authorization", ""), runtime.settings.api_clients)
    if not client:
        raise Refused("unauthorized")
    try:
        wait_s = limits.too_fast(runtime, "api", client, runtime.settings.api_rate)
    except RedisError:
        raise Refused("try-later", retry_after_s=OUTAGE_S) from None
    if wait_s:
        raise Refused("too-many-requests", retry_after_s=wait_s)
    return client


def _asked(runtime: Runtime, client: str, request: Request) -> Asked:
    key = KEY.fullmatch(request.headers.get("Idempotency-Key", "").strip())
    if key is None:
        raise Refused("key-missing")
    if request.mimetype != "application/json":
        raise Refused("not-json")
    body = _object(request.get_data())
    errors = dict(_errors(runtime, body))
    if errors:
        raise Refused("malformed", errors=errors)
    return Asked(client, key[1] or key[2], body["household"], body["notice"], body.get("reference"),
                 _day(body["tell_by"]) if "tell_by" in body else None)


def _object(sent: bytes) -> dict[str, Any]:
    """The JSON object. A name that stands twice would be read otherwise by somebody else."""
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError
        return dict(pairs)

    try:
        body = json.loads(sent.decode(), object_pairs_hook=once)
    except (ValueError, RecursionError):
        raise Refused("malformed", errors={"": "Send one JSON object in UTF-8, with no name twice."}) from None
    if not isinstance(body, dict):
        raise Refused("malformed", errors={"": "Send one JSON object."})
    return body


def _errors(runtime: Runtime, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with which field, in words that do not repeat what was sent."""
    if body.keys() - {*FIELDS}:
        yield "", f"There are no other fields than {', '.join(FIELDS)}; leave the others out."
    if not _fits(HOUSEHOLD, body.get("household")):
        yield "household", "Write the ten digits of the household, as text."
    approved = [name for name in runtime.words.notices() if runtime.words.about(name).api]
    if body.get("notice") not in approved:
        yield "notice", f"Name an approved notice: {', '.join(approved)}."
    if "reference" in body and not _fits(REFERENCE, body["reference"]):
        yield "reference", "Write 1 to 64 of A-Z a-z 0-9 . _ : / -, or leave it out."
    today = day_of(runtime.clock())
    day = _day(body["tell_by"]) if "tell_by" in body else today
    if day is None or not today <= day <= today + TOLD_WITHIN:
        yield "tell_by", f"Write a day (2026-12-05) from today to {TOLD_WITHIN.days} days from now, or leave it out."


def _fits(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _day(value: object) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) and re.fullmatch("[0-9-]{10}", value) else None
    except ValueError:
        return None


@contextmanager
def _alone(runtime: Runtime, asked: Asked) -> Iterator[None]:
    """While a request is being worked on, another of its key is told so. Redis only says it: the table decides."""
    mark = f"at-work:{runtime.vault.blind(f'{asked.client} {asked.key}', 'limit').hex()}"
    try:
        if not runtime.redis.set(mark, b"1", nx=True, ex=AT_WORK_S):
            raise Refused("key-in-use", retry_after_s=ASK_AGAIN_S)
        try:
            yield
        finally:
            with suppress(RedisError):
                runtime.redis.delete(mark)
    except RedisError:
        raise Refused("try-later", retry_after_s=OUTAGE_S) from None


def _given(runtime: Runtime, asked: Asked) -> Given:
    """The errand and what it has us tell, in one transaction."""
    wait_s = limits.used_up(runtime, "api-unknown", asked.client, UNKNOWN_A_DAY)
    if wait_s:
        raise Refused("too-many-unknown", retry_after_s=wait_s)
    now = runtime.clock()
    try:
        with runtime.database.write() as session:
            given = errands.ask(session, runtime.vault, asked, now)
            if given.new:
                _tell(runtime, session, given.errand, now)
            return given
    except errands.KeyUsed:
        raise Refused("key-reused") from None
    except errands.ReferenceUsed:
        raise Refused("reference-reused") from None
    except errands.HouseholdUnknown:
        limits.allows(runtime, "api-unknown", asked.client, asked.household, UNKNOWN_A_DAY)
        raise Refused("household-unknown") from None


def _tell(runtime: Runtime, session: Session, errand: Errand, now: datetime) -> None:
    audit.record(session, runtime.vault, "errand.accepted", by=errand.client, now=now,
                 household_id=errand.household_id, subject=errand.id, notice=errand.notice)
    runtime.teller.run_errand(session, errand, now)


def _accepted(given: Given) -> Response:
    """The same for the same request, as long as its key or its reference is known."""
    answer = _written({"id": str(given.errand.id), "accepted_at": _moment(given.errand.accepted_at)}, 202)
    answer.headers["Location"] = f"/api/v1/messages/{given.errand.id}"
    if not given.new:
        answer.headers["Idempotency-Replayed"] = "true"
    return answer


def _named(errand_id: str) -> UUID:
    try:
        return UUID(errand_id)
    except ValueError:
        raise Refused("not-found") from None


def _standing(session: Session, errand: Errand) -> dict[str, object]:
    """Where an errand stands: as the message that arrived, at whichever telephone; else as the last one, since a
    further telephone, or a letter, takes the place of a text."""
    last = session.scalars(sa.select(Message).where(
        Message.household_id == errand.household_id, Message.notice == errand.notice,
        Message.subject.in_(placed_all(str(errand.id))))
        .order_by(sa.case((Message.state == "delivered", 0), else_=1), Message.id.desc()).limit(1)).first()
    return {
        "id": str(errand.id), "notice": errand.notice, "state": last.state if last else "created",
        "medium": last.medium if last else None, "parts": last.parts if last and last.medium == "sms" else None,
        "accepted_at": _moment(errand.accepted_at), "changed_at": _moment(last.changed_at if last else
                                                                          errand.accepted_at),
        "tell_by": errand.tell_by.isoformat() if errand.tell_by else None,
    }


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _written(told: Mapping[str, object], status: int = 200) -> Response:
    return Response(json.dumps(told), status=status, content_type="application/json",
                    headers={"Cache-Control": "no-store"})
