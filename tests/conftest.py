"""What tests stand on: a real PostgreSQL, a real Redis, SQLite, and a house at an hour of the test's choosing."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from gateway.migrations import upgrade
from gateway.registry.extract import Row, read
from gateway.runtime import Runtime
from gateway.settings import Settings
from tests import databases, servers
from tests.databases import named

EXAMPLE = Path(__file__).parent.parent / "docs" / "extract.example.jsonl"
NOON = datetime(2026, 11, 23, 11, 0, tzinfo=UTC)
SETTINGS = {
    "SECRET_KEYS": "1:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
    "PUBLIC_URL": "http://127.0.0.1:1",
    "SERVICE_CODE": "*580#",
    "CALLBACK_TOKENS": "a-token-of-the-tests-0123456789abcdef",
    "SMS_PROVIDERS": "twilio:70,africastalking:30",
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef",
    "TWILIO_SENDER": "RSU",
    "TWILIO_BASE_URL": "http://127.0.0.1:1",
    "AFRICASTALKING_USERNAME": "sandbox",
    "AFRICASTALKING_API_KEY": "a-key-of-the-tests",
    "AFRICASTALKING_SENDER": "RSU",
    "AFRICASTALKING_BASE_URL": "http://127.0.0.1:1/version1",
}


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="approve the conversations as they are played now")


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """A PostgreSQL with a `databases.TEMPLATE` that has all tables."""
    with servers.postgresql() as url:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {databases.TEMPLATE}")
        upgrade(named(url, databases.TEMPLATE))
        yield url


@pytest.fixture(scope="session")
def postgresql_house(postgresql_url: str) -> Iterator[databases.PostgresqlHouse]:
    with databases.postgresql_house(postgresql_url) as house:
        yield house


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    with servers.redis() as url:
        yield url


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The Redis of the tests, empty."""
    with Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database with all tables: each test that asks for it runs on both kinds."""
    if request.param == "sqlite":
        file = tmp_path / "house.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
        yield f"sqlite:///{file}"
        return
    house = request.getfixturevalue("postgresql_house")
    yield house.url
    house.empty()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def runtime(database_url: str, redis_url: str, tmp_path: Path, clock: Clock) -> Iterator[Runtime]:
    """A house without neighbours: its providers' addresses answer nobody."""
    opened = open_house(database_url, redis_url, tmp_path, clock)
    yield opened
    opened.close()


def open_house(database_url: str, redis_url: str, var: Path, clock: Callable[[], datetime],
               **settings: str) -> Runtime:
    """A runtime with the settings of the tests, some of them otherwise."""
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(var)}
    opened = Runtime.open(Settings.from_env({**SETTINGS, **told, **settings}), clock)
    databases.as_compiled_before(opened.database)
    return opened


def a_row(number: str = "2900000001", phone: str | None = "0612345678", *, language: str = "ar-MA",
          registered_on: date = date(2026, 11, 20), consent: bool = True, **sections: object) -> Row:
    """A valid household of an extract, read as from a file. `sections` replace whole sections of the row."""
    given = {
        **json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0]),
        "household_number": number, "language": language, "registered_on": registered_on.isoformat(),
        "contacts": [{"phone": phone, "consent": consent}] if phone else [], **sections,
    }
    (row,) = read(io.BytesIO(json.dumps(given).encode()), NOON.date())
    assert isinstance(row, Row), row
    return row


def register(runtime: Runtime, *rows: Row) -> None:
    """Load rows, score them and post what they call for, as an import does."""
    with runtime.database.write() as session:
        stored = runtime.intake.store(session, rows, runtime.clock())
        runtime.teller.tell(session, stored.events, runtime.clock())
