"""Audit: whatever is done to the record without the key is found, and looking is itself recorded."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway.cli import main
from gateway.db import Database, new_id
from gateway.migrations.guards import APPEND_ONLY
from gateway.registry import audit
from gateway.registry.audit import STRANDS, AuditEntry, AuditStrand
from gateway.registry.clock import CASABLANCA
from gateway.registry.household import Contact, Household, Member
from gateway.registry.registration import Registration
from gateway.registry.steps import NotAllowed
from gateway.vault import Vault
from tests.conftest import NOON, SETTINGS, a_row, register
from tests.web.desk import homes

on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
OLD, NEW = (1, b"\1" * 32), (2, b"\2" * 32)
VAULT = Vault([OLD])
HOME = UUID(int=7)
ENTRIES = 6


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


def act(session, name="review.decided", vault=VAULT, **more) -> None:
    audit.record(session, vault, name, **{"by": "amina", "now": NOON, **more})


def a_strand(database, entries=ENTRIES, vault=VAULT) -> int:
    """A strand of so many entries, made as commits make them."""
    with database.write() as session:
        for position in range(entries):
            act(
                session,
                vault=vault,
                now=NOON + timedelta(minutes=position),
                household_id=HOME,
                subject=uuid4(),
                why="owner_changed",
                items=["equipment.cars"],
                outcome="accepted",
            )
        return session.info["audit_strand"]


@contextmanager
def an_attacker(database):
    """Somebody with the rights of the tables' owner: the guards are put aside. The key he does not have."""
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(sa.text("ALTER TABLE audit_entry DISABLE TRIGGER append_only"))
        else:
            for word in ("update", "delete"):
                session.execute(sa.text(f"DROP TRIGGER audit_entry_no_{word}"))
        yield session


def found(database, kept=(), vault=VAULT) -> list[tuple[int, int, str]]:
    return [(one.first, one.last, one.what) for one in audit.verify(database, vault, kept)]


def change(session, standing_at, **values) -> None:
    session.execute(sa.update(AuditEntry).where(AuditEntry.position == standing_at).values(**values))


def remove(session, *positions) -> None:
    session.execute(sa.delete(AuditEntry).where(AuditEntry.position.in_(positions)))


def shift(session, first, by) -> None:
    """Move every entry from `first` on; through far places, for two never stand at one."""
    places = sa.update(AuditEntry).where(AuditEntry.position >= first)
    session.execute(places.values(position=AuditEntry.position + 1_000))
    session.execute(places.values(position=AuditEntry.position - 1_000 + by))


def end_fitting(session) -> None:
    """Let the strand's end say what the last entry says."""
    last = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.position.desc()).limit(1)).one()
    session.execute(
        sa.update(AuditStrand).where(AuditStrand.id == last.strand).values(length=last.position, link=last.link)
    )


def a_forged(session, position) -> dict[str, object]:
    row = session.execute(sa.select(AuditEntry.__table__).where(AuditEntry.position == position)).mappings().one()
    return {**row, "id": new_id(), "by": "karim"}


# what is written


def test_a_chain_is_whole_whatever_zone_its_moments_were_given_in(database):
    moments = (
        NOON,
        NOON.replace(microsecond=1),
        datetime(2026, 11, 23, 12, 0, 0, 120000, tzinfo=CASABLANCA),
        datetime(2027, 2, 14, 2, 30, fold=1, tzinfo=CASABLANCA),
    )
    for moment in moments:
        with database.write() as session:
            act(session, now=moment, items=("إحداث", {"to": "scored", "day": NOON.date(), "late": None}), times=3)
    assert found(database) == []
    with database.read() as session:
        stored = session.scalars(sa.select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [entry.at for entry in stored] == list(moments)
    assert stored[0].detail == {"items": ["إحداث", {"to": "scored", "day": "2026-11-23", "late": None}], "times": 3}


def test_one_transaction_writes_to_one_strand_and_what_it_takes_back_leaves_no_gap(database):
    with database.write() as session:
        act(session)
        with suppress(ZeroDivisionError), session.begin_nested():
            act(session)
            raise ZeroDivisionError
        act(session)
    with suppress(ZeroDivisionError), database.write() as session:
        act(session)
        raise ZeroDivisionError
    with database.read() as session:
        assert [end.length for end in audit.heads(session) if end.length] == [2]
    assert found(database) == []


@pytest.mark.parametrize(
    "words",
    [
        {"by": "0612345678"},
        {"why": "called +212 6 12-34-56-78"},
        {"why": "٠٦١٢٣٤٥٦٧٨"},
        {"by": "2345678906"},
        {"by": "a" * 81},
        {"why": "because " * 26},
    ],
)
@on_sqlite
def test_a_name_or_a_reason_with_a_telephone_or_an_identifier_is_refused(database, words):
    with database.write() as session:
        with pytest.raises(NotAllowed) as refused:
            act(session, **words)
        assert not any(text in str(refused.value) for text in words.values())
        act(session, by="amina.b", why="asked at the counter, 23-11-2026")


@on_sqlite
def test_a_number_that_a_database_may_round_is_refused(database):
    with database.write() as session, pytest.raises(TypeError, match="names and whole numbers, not a float"):
        act(session, index=9.74)


def test_an_act_is_not_recorded_where_it_would_be_lost(database):
    with database.read() as session, pytest.raises(ValueError, match="a transaction that writes"):
        act(session)


# at once


@on_postgresql
def test_whoever_writes_at_once_leaves_no_gap_and_no_fork(database):
    start = Barrier(8)

    def clerk(number):
        start.wait()
        for turn in range(15):
            with database.write() as session:
                for _ in range(1 + turn % 2):
                    act(session, by=f"clerk{number}")

    with ThreadPoolExecutor(8) as clerks:
        list(clerks.map(clerk, range(8)))
    assert found(database) == []
    with database.read() as session:
        assert sum(end.length for end in audit.heads(session)) == 8 * (8 + 2 * 7)


@on_postgresql
def test_a_long_transaction_keeps_nobody_waiting(database):
    a_strand(database)
    with database.write() as session:
        act(session, "extract.loaded")
        for _ in range(STRANDS * 2):
            with database.write() as other:
                other.execute(sa.text("SET LOCAL lock_timeout = '20s'"))
                act(other)
                assert other.info["audit_strand"] != session.info["audit_strand"]
    assert found(database) == []


@on_postgresql
def test_where_every_strand_is_taken_an_act_waits_for_its_turn(database):
    a_strand(database, 1)
    taken, free = Barrier(STRANDS + 1), Barrier(STRANDS + 1)

    def hold(_):
        with database.write() as session:
            act(session)
            taken.wait()
            free.wait()

    def wait():
        with database.write() as session:
            act(session, "index.seen")

    with ThreadPoolExecutor(STRANDS + 1) as clerks:
        holders = [clerks.submit(hold, number) for number in range(STRANDS)]
        taken.wait()
        waiting = clerks.submit(wait)
        assert not waiting.done()
        free.wait()
        for one in (*holders, waiting):
            one.result(timeout=30)
    assert found(database) == []
    with database.read() as session:
        assert sum(end.length for end in audit.heads(session)) == 1 + STRANDS + 1


@on_postgresql
def test_a_check_sees_one_moment_while_others_write(database):
    a_strand(database, 3)

    def meanwhile(_):
        with database.write() as session:
            act(session)

    with ThreadPoolExecutor(4) as clerks:
        writing = [clerks.submit(meanwhile, turn) for turn in range(60)]
        checks = [found(database) for _ in range(10)]
        for one in writing:
            one.result()
    assert checks == [[]] * 10
    assert found(database) == []


# tampering


@pytest.mark.parametrize(
    "values",
    [
        {"at": NOON + timedelta(microseconds=1)},
        {"by": "karim"},
        {"act": "review.asked"},
        {"subject": None},
        {"household_blind": b"\0" * 32},
        {"household_blind": None},
        {"why": "other"},
        {"link": b"\0" * 32},
        {"detail": {"items": ["equipment.cars"], "outcome": "refused"}},
        {"detail": {"n": 2**60}},
        {"id": UUID(int=1)},
    ],
    ids=lambda values: next(iter(values)),
)
def test_a_changed_entry_is_found_whatever_was_changed(database, values):
    a_strand(database)
    with an_attacker(database) as session:
        change(session, 3, **values)
    what = (3, 4, "changed, inserted or moved") if "link" in values else (3, 3, "changed")
    assert found(database) == [what]


def test_entries_removed_in_the_middle_are_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        remove(session, 3, 4)
    assert found(database) == [(3, 4, "removed; the entry after them cannot be proved")]


def test_entries_removed_with_their_places_closed_up_are_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        remove(session, 3)
        shift(session, 4, by=-1)
        end_fitting(session)
    assert found(database) == [(3, 5, "changed, inserted or moved")]


def test_entries_removed_at_the_end_are_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        remove(session, 5, 6)
    assert found(database) == [(5, 6, "removed at the end")]


def test_the_first_entries_removed_are_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        remove(session, 1)
    assert found(database) == [(1, 1, "removed; the entry after them cannot be proved")]


def test_an_entry_slipped_in_is_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        forged = a_forged(session, 3)
        shift(session, 3, by=1)
        session.execute(sa.insert(AuditEntry.__table__), forged)
        end_fitting(session)
    assert found(database) == [(3, 7, "changed, inserted or moved")]


def test_an_entry_added_at_the_end_is_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        session.execute(sa.insert(AuditEntry.__table__), {**a_forged(session, 6), "position": 7})
    assert found(database) == [(7, 7, "changed or inserted"), (7, 7, "stand after the end of the strand")]
    with database.write() as session:
        end_fitting(session)
    assert found(database) == [(7, 7, "changed or inserted")]


def test_entries_that_changed_places_are_found(database):
    a_strand(database)
    with an_attacker(database) as session:
        for start, to in ((3, 1_000), (4, 3), (1_000, 4)):
            change(session, start, position=to)
    assert found(database) == [(3, 5, "changed, inserted or moved")]


def test_an_entry_of_another_strand_does_not_fit(database):
    strand = a_strand(database, 1)
    with an_attacker(database) as session:
        other = (strand + 1) % STRANDS
        session.execute(sa.update(AuditEntry).values(strand=other))
        session.execute(sa.delete(AuditStrand).where(AuditStrand.id.not_in((strand, other))))
        session.execute(sa.update(AuditStrand).values(length=0, link=b""))
        end_fitting(session)
    assert found(database) == [(1, 1, "changed or inserted")]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"link": b"\0" * 32}, (6, 6, "the end of the strand has another link")),
        ({"length": 5}, (6, 6, "stand after the end of the strand")),
        ({"length": 7}, (7, 7, "removed at the end")),
    ],
)
def test_an_end_that_does_not_fit_is_found(database, values, what):
    strand = a_strand(database)
    with database.write() as session:
        session.execute(sa.update(AuditStrand).where(AuditStrand.id == strand).values(**values))
    assert found(database) == [what]


def test_an_end_that_is_gone_is_found(database):
    a_strand(database)
    with database.write() as session:
        session.execute(sa.delete(AuditStrand))
    assert found(database) == [(6, 6, "the end of the strand is gone")]


def test_a_chain_cut_short_with_its_end_is_only_found_by_a_head_kept_elsewhere(database):
    strand = a_strand(database)
    with database.read() as session:
        kept = audit.heads(session)
    with an_attacker(database) as session:
        remove(session, 5, 6)
        end_fitting(session)
    assert found(database) == []
    assert found(database, kept) == [(5, 6, "gone: they were there when the head was kept")]
    with database.write() as session:
        for _ in range(2):
            session.info["audit_strand"] = strand
            act(session)
    assert found(database) == []
    assert found(database, kept) == [(6, 6, "not the entry that stood here when its head was kept")]


def test_a_chain_removed_as_a_whole_is_found_by_its_heads(database):
    a_strand(database)
    with database.read() as session:
        kept = [head for head in audit.heads(session) if head.length]
    with an_attacker(database) as session:
        session.execute(sa.delete(AuditEntry))
        session.execute(sa.delete(AuditStrand))
    assert found(database) == []
    assert found(database, kept) == [
        (0, 0, "the end of the strand is gone"),
        (1, 6, "gone: they were there when the head was kept"),
    ]


def test_a_longer_chain_still_runs_through_the_heads_that_were_kept(database):
    a_strand(database)
    with database.read() as session:
        kept = audit.heads(session)
    for _ in range(STRANDS):
        a_strand(database, 2)
    assert found(database, kept) == []


@on_sqlite
def test_an_entry_that_cannot_even_be_read_stops_the_check_and_is_told(database):
    a_strand(database)
    with an_attacker(database) as session:
        session.execute(sa.text("UPDATE audit_entry SET at = 'yesterday' WHERE position = 4"))
    ((_, _, what),) = found(database)
    assert what == "an entry from here on cannot be read; the check stopped"


@on_sqlite
def test_a_check_tells_the_first_breaks_and_how_far_it_is(database):
    a_strand(database, 2 * audit.ENOUGH + 2)
    with an_attacker(database) as session:
        session.execute(sa.update(AuditEntry).where(AuditEntry.position % 2 == 0).values(by="karim"))
    read = []
    assert len(audit.verify(database, VAULT, progress=read.append)) == audit.ENOUGH
    assert read == [audit.AT_ONCE]


def test_the_tables_refuse_whoever_does_not_put_the_guards_aside(database):
    assert "audit_entry" in APPEND_ONLY
    a_strand(database)
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as session:
        change(session, 3, by="karim")
    with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as session:
        remove(session, 3)


# keys


@on_sqlite
def test_a_chain_stays_whole_while_keys_are_changed(database):
    a_strand(database)
    both = Vault([NEW, OLD])
    a_strand(database, vault=both)
    assert found(database, vault=both) == []
    assert found(database, vault=Vault([NEW])) != []
    with database.write() as session:
        acts = audit.trail(session, both, by="amina", now=NOON, household_id=HOME)
    assert len(acts) == 2 * ENTRIES


@on_sqlite
def test_without_the_key_no_link_can_be_made(database):
    a_strand(database, 1)
    stolen = Vault([(1, b"\3" * 32)])
    with an_attacker(database) as session:
        session.execute(sa.delete(AuditEntry))
        session.execute(sa.delete(AuditStrand))
        act(session, vault=stolen, by="karim")
    assert found(database) == [(1, 1, "changed or inserted")]


# households


def test_an_erased_household_leaves_the_chain_whole(runtime):
    register(runtime, a_row())
    (home,) = homes(runtime)
    with runtime.database.write() as session:
        act(session, vault=runtime.vault, household_id=home.id)
    with runtime.database.write() as session:
        for table in ("notification", "message", "snapshot"):
            if session.get_bind().dialect.name == "postgresql":
                session.execute(sa.text(f"ALTER TABLE {table} DISABLE TRIGGER ALL"))
        if session.get_bind().dialect.name == "sqlite":
            session.execute(sa.text("DROP TRIGGER snapshot_no_delete"))
        session.execute(sa.text("DELETE FROM snapshot"))
        session.execute(sa.text("DELETE FROM message"))
        for model in (Member, Contact, Registration):
            session.execute(sa.delete(model))
        session.execute(sa.delete(Household))
    assert homes(runtime) == []
    assert found(runtime.database, vault=runtime.vault) == []


def test_a_trail_shows_a_household_s_acts_the_newest_first_and_that_it_was_looked_at(database):
    review = uuid4()
    with database.write() as session:
        act(session, "index.seen", by="household", household_id=HOME)
        act(session, "review.decided", household_id=HOME, subject=review, why="not_ours", outcome="accepted")
        act(session, household_id=UUID(int=8))
    with database.write() as session:
        seen = audit.trail(session, VAULT, by="karim", now=NOON, why="asked by the ombudsman", household_id=HOME)
        one = audit.trail(session, VAULT, by="karim", now=NOON, subject=review)
        last = audit.trail(session, VAULT, by="karim", now=NOON, household_id=HOME, limit=1)
    assert [(act.by, act.act, act.subject, act.why, act.detail) for act in seen] == [
        ("amina", "review.decided", str(review), "not_ours", {"outcome": "accepted"}),
        ("household", "index.seen", None, None, {}),
    ]
    assert one == seen[:1]
    assert [(act.by, act.act, act.why) for act in last] == [("karim", "trail.seen", "asked by the ombudsman")]
    assert found(database) == []


# the command line


@pytest.fixture
def run(runtime, database_url, redis_url, tmp_path):
    """A command on the house of the test; logs stay as they were."""
    root = logging.getLogger()
    handlers, level, raised = root.handlers[:], root.level, logging.raiseExceptions

    def command(*arguments):
        environment = {**SETTINGS, "DATABASE_URL": database_url, "REDIS_URL": redis_url, "VAR_DIR": str(tmp_path)}
        return CliRunner(env=environment).invoke(main, ["audit", *map(str, arguments)])

    yield command
    root.handlers, logging.raiseExceptions = handlers, raised
    root.setLevel(level)


@on_sqlite
def test_a_head_printed_today_proves_the_chain_of_tomorrow(run, runtime, tmp_path):
    a_strand(runtime.database, vault=runtime.vault)
    printed = run("head")
    kept = tmp_path / "head.txt"
    kept.write_text(printed.stdout)
    assert printed.stdout.startswith("# audit, ")
    assert len(printed.stdout.splitlines()) == 1 + STRANDS
    assert run("verify").stdout.startswith("6 entries, nothing changed, removed or inserted; only a head kept")
    checked = run("verify", "--against", kept)
    assert (checked.exit_code, checked.stdout) == (0, "6 entries, nothing changed, removed or inserted\n")
    with an_attacker(runtime.database) as session:
        remove(session, 5, 6)
        end_fitting(session)
    checked = run("verify", "--against", kept)
    assert checked.exit_code == 1
    assert "entries 5 to 6: gone: they were there when the head was kept" in checked.stdout
    assert "the audit is broken in 1 places" in checked.stderr
    kept.write_text("16 entries\n")
    assert "line 1 is not a strand" in run("verify", "--against", kept).stderr


@on_sqlite
def test_a_clerk_sees_a_household_s_trail_by_either_of_its_numbers(run, runtime):
    register(runtime, a_row("2900000001"))
    (home,) = homes(runtime)
    with runtime.database.write() as session:
        act(session, vault=runtime.vault, household_id=home.id, why="not_ours", outcome="accepted")
        slip = session.scalars(sa.select(Registration)).one()
    first = run("show", "--household", "2900000001", "--by", "karim", "--why", "complaint")
    assert "amina" in first.stdout
    assert "not_ours  outcome=accepted" in first.stdout
    again = run("show", "--household", slip.number, "--by", "karim").stdout.splitlines()
    assert len(again) == len(first.stdout.splitlines()) + 1
    assert "trail.seen" in again[0]
    assert run("show", "--subject", slip.number).exit_code == 0
    assert "No household has this number" in run("show", "--household", "2900000009").stderr
    assert "no request has this number" in run("show", "--subject", "what").stderr
    assert "2900000001" not in run("show", "--limit", "500").stdout
