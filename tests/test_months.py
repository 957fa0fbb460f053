"""Messages lie in a part for each month: a row is found in its own, and an old month is taken off with nothing lost."""

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
import sqlalchemy as sa

from channels.base import Receipt
from gateway import outbox, unreached
from gateway.outbox import Attempt, Draft, Message, ReceiptRecord, months
from tests.conftest import a_row, register
from tests.web.desk import homes

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
LAST_YEAR = date(2025, 3, 1)


def a_text(runtime, subject: str) -> UUID:
    with runtime.database.write() as session:
        outbox.post(session, runtime.vault, [Draft(None, "sms_help", subject, "sms", "fr-MA", "100000000",
                                                   "+212612345678", "le texte")], runtime.clock())
        return session.scalars(sa.select(Message.id).where(Message.subject == subject)).one()


def an_old_text(runtime, subject: str, state: str) -> UUID:
    """As if it had been posted in the old month."""
    old = UUID(int=months.first_name(LAST_YEAR + timedelta(days=9)).int + a_text(runtime, subject).int % (1 << 60))
    with runtime.database.write() as session:
        months.prepare(session.connection(), LAST_YEAR, 0)
        session.execute(sa.update(Message).where(Message.subject == subject).values(id=old, state=state))
        session.execute(sa.insert(Attempt).values(message_id=old, fence=1, provider="twilio",
                                                  started_at=datetime(2025, 3, 10, tzinfo=UTC)))
    return old


def count(runtime, model) -> int:
    with runtime.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def test_there_is_a_part_for_this_month_and_the_next_year(runtime):
    with runtime.database.engine.connect() as connection:
        firsts = {part.first for part in months.parts(connection) if part.table == "message"}
    this = datetime.now(UTC).date().replace(day=1)
    assert min(firsts) == this
    assert len(firsts) == 1 + months.AHEAD


def test_a_row_is_looked_for_in_its_month_alone(runtime):
    message = a_text(runtime, "now")
    with runtime.database.read() as session:
        plan = "\n".join(session.scalars(sa.text(f"EXPLAIN SELECT * FROM message WHERE id = '{message}'")))
    assert plan.count("message_20") in (1, 2)
    assert "Append" not in plan


def test_to_prepare_twice_changes_nothing(runtime):
    for _ in range(2):
        with runtime.database.write() as session:
            months.prepare(session.connection(), datetime.now(UTC).date())


def test_an_old_month_is_written_to_files_and_taken_off_and_the_rest_stays(runtime, tmp_path):
    old, new = an_old_text(runtime, "old", "delivered"), a_text(runtime, "new")
    files = months.archive(runtime.database, LAST_YEAR, tmp_path)
    assert [file.name for file in files] == [
        "message_2025_03.csv.gz", "attempt_2025_03.csv.gz", "receipt_2025_03.csv.gz", "part_2025_03.csv.gz"]
    with gzip.open(files[0], "rt") as rows:
        (kept,) = csv.DictReader(rows)
    assert (kept["id"], kept["state"]) == (str(old), "delivered")
    assert (count(runtime, Message), count(runtime, Attempt)) == (1, 0)
    with runtime.database.read() as session:
        assert session.get(Message, new) is not None


def test_what_was_told_in_an_archived_month_is_not_told_again(runtime, tmp_path):
    an_old_text(runtime, "old", "delivered")
    months.archive(runtime.database, LAST_YEAR, tmp_path)
    with runtime.database.write() as session:
        again = Draft(None, "sms_help", "old", "sms", "fr-MA", "100000000", "+212612345678", "le texte")
        assert outbox.post(session, runtime.vault, [again], runtime.clock()) == 0


@pytest.mark.parametrize("state", ["held", "created", "sending", "unknown", "sent", "handed"])
def test_a_month_in_which_a_message_is_on_its_way_stays(runtime, tmp_path, state):
    an_old_text(runtime, "old", state)
    with pytest.raises(months.NotArchivable, match="still on their way"):
        months.archive(runtime.database, LAST_YEAR, tmp_path)
    assert count(runtime, Message) == 1


def test_a_month_of_which_a_letter_waits_for_its_household_stays(runtime, tmp_path):
    register(runtime, a_row())
    (home,), old = homes(runtime), an_old_text(runtime, "old", "returned")
    with runtime.database.write() as session:
        unreached.keep(session, {old: home.id}, "moved", "a call", runtime.clock())
    with pytest.raises(months.NotArchivable, match="wait at a centre"):
        months.archive(runtime.database, LAST_YEAR, tmp_path)
    with runtime.database.write() as session:
        unreached.end(session, old, runtime.clock())
    assert months.archive(runtime.database, LAST_YEAR, tmp_path)


def test_a_month_with_a_receipt_that_is_not_settled_stays(runtime, tmp_path):
    old = an_old_text(runtime, "old", "delivered")
    with runtime.database.write() as session:
        outbox.receive(session, runtime.vault, Receipt("twilio", "SM1", "delivered", "delivered", "+212612345678", ""),
                       runtime.clock())
        session.execute(sa.update(ReceiptRecord).values(id=old))
    with pytest.raises(months.NotArchivable, match="receipts"):
        months.archive(runtime.database, LAST_YEAR, tmp_path)


def test_a_table_that_is_in_use_gets_its_parts_on_another_day_and_the_others_today(runtime):
    next_year = datetime.now(UTC).date() + timedelta(days=300)
    with runtime.database.engine.begin() as reader:
        reader.execute(sa.text("LOCK TABLE message IN ACCESS SHARE MODE"))
        reader.execute(sa.text("LOCK TABLE message IN ROW EXCLUSIVE MODE"))
        assert months.prepare_by_day(runtime.database, next_year) == ["message"]
    assert months.prepare_by_day(runtime.database, next_year) == []


@pytest.mark.parametrize(("month", "why"), [(date(2025, 3, 1), "no part"), (date(2200, 1, 1), "not over")])
def test_a_month_that_is_not_there_or_not_over_is_refused(runtime, tmp_path, month, why):
    with pytest.raises(months.NotArchivable, match=why):
        months.archive(runtime.database, month, tmp_path)
