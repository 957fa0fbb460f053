"""Campaign: a whole house tells very many households at once, while a worker is killed, Redis emptied and a provider
stalls; `python -m tests.bench.campaign 200000`. The operator counts, not we; and people who write meanwhile are timed.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
from redis import Redis

from channels.sandbox.numbering import is_dead
from gateway import embedded
from gateway.db import new_id
from gateway.direct import fetch
from gateway.embedded import House
from gateway.outbox import FINAL, Message
from gateway.registry.clock import CASABLANCA
from gateway.runtime import Runtime
from gateway.settings import Settings
from tests import servers
from tests.bench.figure import Figure, scaled

HOUSEHOLDS = scaled(3_000, 200_000)
# How long it may take; a campaign is spread over this time.
WINDOW = timedelta(minutes=scaled(1, 8))
STALLS_FOR_S = scaled(10, 60)
PATIENCE_S = scaled(240, 1800)
LOCALES = ("ar-MA", "fr-MA", "zgh-MA")
# An hour of patience would be right in service. At full scale receipts are minutes late on two cores.
SETTINGS = {"SMS_PROVIDERS": "twilio:50,africastalking:50", "LEASE_S": "15", "RECONCILE_AFTER_S": "5",
            "UNKNOWN_FOR_S": str(scaled(45, 300)), "QUIET_HOURS": "0-0", "CAMPAIGN_FOUR_EYES": "1000"}
CALM = {"delay_s": 0.05, "receipt_delay_s": [0.1, 1.0]}


@dataclass
class Story:
    """What is done to the house, and what is seen of it."""

    house: House
    runtime: Runtime
    var: Path
    wrote: list[str] = field(default_factory=list)
    replies_s: list[float] = field(default_factory=list)
    done: set[str] = field(default_factory=set)

    def mouachir(self, *arguments: str, by: str = "") -> dict[str, Any]:
        command = [sys.executable, "-c", "from gateway.cli import main; main()", "campaign", *arguments, "--json",
                   *(("--by", by) if by else ())]
        told = subprocess.run(command, env={**os.environ, "VAR_DIR": str(self.var)}, check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        return dict(json.loads(told))

    def operator(self, path: str, told: object = None) -> Any:
        return json.loads(fetch(self.house.operator_url + path, 60, asked=told))

    def happens(self, share: float) -> None:
        """What befalls the house once so much of it is sent."""
        for least, name, act in (
                (0.2, "a worker is killed", lambda: self.house.kill("worker1")),
                (0.4, "Redis is emptied", self._empty_redis),
                (0.6, "a provider stalls", lambda: self.operator("/sandbox/behaviour", {
                    "provider": "twilio", "stall_after": 1.0, "stall_s": 12, "for_s": STALLS_FOR_S}))):
            if share >= least and name not in self.done:
                self.done.add(name)
                _say(f"at {share:.0%}: {name}")
                act()

    def _empty_redis(self) -> None:
        with Redis.from_url(self.runtime.settings.redis_url) as redis:
            redis.flushall()

    @contextmanager
    def people_write(self) -> Iterator[None]:
        """Every two seconds somebody writes; how long until the answer lies in the inbox, a minute at most."""
        stop = threading.Event()

        numbers = (msisdn for place in itertools.count() if not is_dead(msisdn := f"+21269{place:07d}"))

        def write() -> None:
            while not stop.wait(2):
                msisdn, began = next(numbers), time.monotonic()
                self.operator(f"/sandbox/handset/{msisdn}/sms", {"body": "bonjour"})
                self.wrote.append(msisdn)
                while not self.operator(f"/sandbox/handset/{msisdn}/inbox") and time.monotonic() - began < 60:
                    time.sleep(0.1)
                self.replies_s.append(time.monotonic() - began)

        writing = threading.Thread(target=write)
        writing.start()
        try:
            yield
        finally:
            stop.set()
            writing.join()

    def states(self) -> dict[str, int]:
        with self.runtime.database.read() as session:
            return dict(session.execute(sa.select(Message.state, sa.func.count()).where(
                Message.campaign_id.is_not(None)).group_by(Message.state)).all())


def tell(count: int) -> dict[str, Any]:
    """Run it, and return what the operator counted."""
    with (tempfile.TemporaryDirectory(prefix="campaign-") as folder, servers.postgresql() as database,
          embedded.house(Path(folder), DATABASE_URL=database, **SETTINGS) as house):
        var = Path(folder)
        runtime = Runtime.open(Settings.from_env({**os.environ, **house.environment}))
        try:
            fill(runtime, database, count)
            story = Story(house, runtime, var)
            for provider in ("twilio", "africastalking"):
                story.operator("/sandbox/behaviour", {"provider": provider, **CALM})
            before = story.operator("/sandbox/count")
            began = time.monotonic()
            _start(story, count)
            with story.people_write():
                _until_over(story, count)
            seconds = time.monotonic() - began
            return _counted(story, count, before, seconds)
        finally:
            runtime.close()


def _start(story: Story, count: int) -> None:
    now = datetime.now(CASABLANCA)
    minutes = WINDOW.total_seconds() / 60
    story.mouachir("new", "bench", "--notice", "centre_days", "--from", f"{now:%Y-%m-%dT%H:%M}", "--to",
                   f"{now + WINDOW + timedelta(minutes=2):%Y-%m-%dT%H:%M}", "--per-minute",
                   str(min(100_000, int(1.5 * count / minutes) + 1)), by="asker")
    story.mouachir("preview", "bench")
    story.mouachir("approve", "bench", by="approver")
    story.mouachir("start", "bench", by="asker")


def _until_over(story: Story, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        states = story.states()
        ended = sum(states.get(state, 0) for state in FINAL)
        story.happens(1 - (states.get("held", count) + states.get("created", 0)) / count)
        _say(f"{ended:>8} of {count}  {states}")
        if sum(states.values()) == ended >= count:
            return
        time.sleep(5)


def _counted(story: Story, count: int, before: dict[str, Any], seconds: float) -> dict[str, Any]:
    after = story.operator("/sandbox/count")
    answered = sum(bool(story.operator(f"/sandbox/handset/{msisdn}/inbox")) for msisdn in story.wrote)
    return {
        "households": count, "accepted": after["accepted"] - before["accepted"] - answered,
        "lost": count - (after["telephones"] - before["telephones"] - answered),
        "duplicates": after["duplicates"], "requests": after["requests"], "parts": after["parts"],
        "receipts": after["receipts_sent"], "seconds": round(seconds, 1), "restarts": story.house.restarts,
        "wrote": len(story.wrote), "answered": answered, "slowest_reply_s": round(max(story.replies_s, default=60), 2),
        "replies_over_5_s": sum(seconds > 5 for seconds in story.replies_s),
        "states": story.states(), "happened": sorted(story.done), "bytes_a_message": _bytes_a_message(story, count)}


def _bytes_a_message(story: Story, count: int) -> dict[str, int]:
    """What a message takes of the database, with its indexes, by table."""
    with story.runtime.database.read() as session:
        sizes = session.execute(sa.text(
            "SELECT coalesce(parent.relname, own.relname), sum(pg_total_relation_size(own.oid)) FROM pg_class own "
            "LEFT JOIN pg_inherits ON inhrelid = own.oid LEFT JOIN pg_class parent ON parent.oid = inhparent "
            "WHERE own.relkind = 'r' AND coalesce(parent.relname, own.relname) IN "
            "('message', 'attempt', 'receipt', 'promise') GROUP BY 1")).all()
    return {name: round(size / count) for name, size in sizes}


def fill(runtime: Runtime, database: str, count: int) -> None:
    """So many households, each with a telephone that agreed to texts, and nothing else that a campaign looks at."""
    vault, now = runtime.vault, datetime.now(UTC)
    homes = [new_id() for _ in range(count)]
    living = (msisdn for place in itertools.count() if not is_dead(msisdn := f"+2126{1_000_000 + place:08d}"))
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        with cursor.copy("COPY household (id, number_blind, number_sealed, address_sealed, area, region, commune,"
                         " locale, registered_on, declared_on, facts, digest, round_on, changed_here)"
                         " FROM STDIN") as rows:
            for place, home in enumerate(homes):
                rows.write_row((home, vault.blind(str(place), "household.number"), b"", b"", "rural", place % 12 + 1,
                                "", LOCALES[place % 10 == 1], now.date(), now.date(), "{}", "", now.date(), "{}"))
        with cursor.copy("COPY contact (id, household_id, position, msisdn_blind, msisdn_sealed, kind, consent,"
                         " verified_at) FROM STDIN") as rows:
            for home, msisdn in zip(homes, living, strict=False):
                row = new_id()
                rows.write_row((row, home, 0, vault.blind(msisdn, "contact.msisdn"),
                                vault.seal(msisdn, "contact.msisdn", row), "mobile", True, now))
        connection.commit()
        connection.autocommit = True
        cursor.execute("VACUUM ANALYZE household, contact")


def replies() -> Figure:
    """The slowest answer to somebody who wrote while the campaign went on and everything befell it."""
    told = tell(HOUSEHOLDS)
    assert (told["lost"], told["duplicates"]) == (0, 0), told
    return Figure("reply_behind_campaign_s", told["slowest_reply_s"], "s, the slowest", told["seconds"], "<= 5")


def main() -> None:
    sys.stdout.write(json.dumps(tell(int(sys.argv[1]) if len(sys.argv) > 1 else HOUSEHOLDS)) + "\n")


def _say(line: str) -> None:
    sys.stderr.write(f"  {line}\n")


if __name__ == "__main__":
    main()
