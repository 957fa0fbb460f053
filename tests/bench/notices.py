"""Notices: a campaign's messages made in one pass, sealed and stored, beside one post after the other."""

from __future__ import annotations

import resource
import time
from datetime import timedelta

import sqlalchemy as sa

from gateway import outbox
from gateway.campaign import Asked, Audience, Campaign
from gateway.campaign.making import made, make
from gateway.db import insert, new_id
from gateway.outbox import ANNOUNCEMENT, Draft
from gateway.registry.household import Contact, Household
from gateway.runtime import Runtime
from gateway.words import LOCALES
from tests.bench.figure import Figure, scaled

HOUSEHOLDS = scaled(100_000, 1_000_000)
PLAIN = scaled(500, 3_000)
AT_ONCE = 10_000


def notices(runtime: Runtime) -> list[Figure]:
    """To households without a history, each with a telephone, and to whoever else is in the database."""
    _populate(runtime)
    row = _approved(runtime)
    memory: list[int] = []
    began = time.perf_counter()
    make(runtime.database, runtime.vault, row.id, "at_least_once", runtime.clock(), lambda _: memory.append(_peak()))
    seconds = time.perf_counter() - began
    with runtime.database.read() as session:
        count, _, _ = made(session, row.id)
    if count < HOUSEHOLDS:
        raise RuntimeError(f"{count} of {HOUSEHOLDS} messages were made")
    return [
        Figure("notices_created_per_s", count / seconds, "notices/s", _plain(runtime, row), ">= 20000"),
        # From the second lot to the last; beside what the drafts would take if they were all held.
        Figure("notices_memory_growth", (memory[-1] - memory[1]) / 1024, "MB", HOUSEHOLDS * 1_000 / 2**20, "flat"),
    ]


def _plain(runtime: Runtime, row: Campaign) -> float:
    """Each text rendered, and posted in a transaction of its own."""
    with runtime.database.read() as session:
        homes = session.execute(sa.select(Household.id, Household.locale).limit(PLAIN)).all()
        telephones = {home: f"+2126{number:08}" for number, (home, _) in enumerate(homes)}
    began = time.perf_counter()
    for home, locale in homes:
        reference = outbox.new_reference()
        body = runtime.words.notice(row.notice, "sms", locale, reference=reference, service_code="*580#")
        draft = Draft(home, row.notice, "plain", "sms", locale, reference, telephones[home], body, "at_least_once",
                      ANNOUNCEMENT)
        with runtime.database.write() as session:
            outbox.post(session, runtime.vault, [draft], runtime.clock())
    return len(homes) / (time.perf_counter() - began)


def _approved(runtime: Runtime) -> Campaign:
    now = runtime.clock()
    with runtime.database.write() as session:
        row = runtime.campaigns.ask(session, Asked(
            f"bench-{new_id().hex[-12:]}", "centre_days", Audience(), now, now + timedelta(days=30), 100_000),
            by="bench", now=now)
        row.state = "approved"
        return row


def _populate(runtime: Runtime) -> None:
    today = runtime.clock().date()
    same = {"number_sealed": b"", "address_sealed": b"", "area": "urban", "region": 6, "commune": "06.141.01.0",
            "registered_on": today, "declared_on": today, "facts": {}, "digest": "", "round_on": today,
            "changed_here": {}}
    for start in range(0, HOUSEHOLDS, AT_ONCE):
        numbers = range(start, start + AT_ONCE)
        homes = [new_id() for _ in numbers]
        contacts = [new_id() for _ in numbers]
        telephones = [f"+2126{number:08}" for number in numbers]
        sealed = runtime.vault.seal_all(list(zip(contacts, telephones, strict=True)), "contact.msisdn")
        with runtime.database.write() as session:
            insert(session, Household, [
                {"id": home, "number_blind": home.bytes, "locale": LOCALES[number % len(LOCALES)], **same}
                for home, number in zip(homes, numbers, strict=True)])
            insert(session, Contact, [
                {"id": contact, "household_id": home, "position": 1, "kind": "mobile", "consent": True,
                 "msisdn_blind": runtime.vault.blind(telephone, "contact.msisdn"), "msisdn_sealed": one,
                 "verified_at": runtime.clock(), "suspended_at": None, "ended_by": None}
                for contact, home, telephone, one in zip(contacts, homes, telephones, sealed, strict=True)])
    with runtime.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("ANALYZE"))


def _peak() -> int:
    """Kilobytes that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
