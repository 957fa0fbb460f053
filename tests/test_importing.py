"""Importing: what can be loaded is loaded and told, the rest is reported, and a crash in the middle loses nothing."""

import io
import json
import math
from dataclasses import replace

import pytest
import sqlalchemy as sa

from gateway.importing import BATCH, Imported, import_extract
from gateway.outbox import Message
from gateway.registry.audit import AuditEntry
from gateway.registry.household import Household
from tests.conftest import EXAMPLE

LINE = json.loads(EXAMPLE.read_text(encoding="utf-8").splitlines()[0])


class Crash(Exception):
    """The machine stops here."""


def line(number: int, **sections: object) -> bytes:
    """A household of an extract, or a line that is none."""
    row = {**LINE, "household_number": f"29000{number:05d}", "registered_on": "2026-11-20",
           "contacts": [{"phone": f"06123{number:05d}", "consent": True}], **sections}
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


def load(runtime, data: bytes, tmp_path, progress=lambda position: None) -> Imported:
    return import_extract(runtime, io.BytesIO(data), tmp_path / "report.jsonl", progress)


def report(tmp_path) -> list[dict]:
    return [json.loads(entry) for entry in (tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()]


def count(runtime, model: type) -> int:
    with runtime.database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def test_what_can_be_loaded_is_loaded_and_told_and_the_rest_is_reported(runtime, tmp_path):
    done = load(runtime, line(1) + b"{broken\n" + line(2, region=13) + line(3, contacts=[]), tmp_path)
    assert done == Imported(new=2, refused=2, posted=2)
    refused = [entry for entry in report(tmp_path) if entry["level"] == "refused"]
    assert [(entry["line"], entry["field"]) for entry in refused] == [(2, ""), (3, "/region")]
    assert all(entry["code"] and entry["reason"] for entry in refused)
    with runtime.database.read() as session:
        assert sorted(session.scalars(sa.select(Message.medium))) == ["letter", "sms"]


def test_who_imported_stands_in_the_audit_with_counts_alone(runtime, tmp_path):
    for verified, number in ((True, 1), (False, 2)):
        import_extract(runtime, io.BytesIO(line(number)), tmp_path / "report.jsonl", lambda position: None,
                       verified=verified, by="amina")
    with runtime.database.read() as session:
        entries = session.scalars(sa.select(AuditEntry).where(AuditEntry.by == "amina").order_by(AuditEntry.id)).all()
    counts = {"new": 1, "changed": 0, "waiting": 0}
    assert [(one.act, one.detail) for one in entries] == [
        ("extract.imported", counts), ("registrations.received", counts)]


def test_the_report_names_no_person(runtime, tmp_path):
    members = [{**LINE["members"][0], "idcs": "123456789"}, *LINE["members"][1:]]
    load(runtime, line(1, members=members) + line(2, contacts=[{"phone": "061234", "consent": True}]), tmp_path)
    written = (tmp_path / "report.jsonl").read_text(encoding="utf-8")
    assert len(report(tmp_path)) >= 2
    for secret in ("123456789", "061234", LINE["members"][0]["name_ar"], LINE["members"][0]["name_latin"], "29000"):
        assert secret not in written


def test_the_same_file_twice_changes_nothing_and_tells_nobody_twice(runtime, tmp_path):
    data = b"".join(line(number) for number in range(1, 6))
    assert load(runtime, data, tmp_path) == Imported(new=5, posted=5)
    assert load(runtime, data, tmp_path) == Imported(unchanged=5)
    assert count(runtime, Message) == 5


def test_a_household_that_stands_twice_is_loaded_once_in_whatever_batch_it_comes_again(runtime, tmp_path):
    data = [line(number) for number in range(1, BATCH + 2)]
    done = load(runtime, b"".join([data[0], data[0], *data[1:], data[0]]), tmp_path)
    assert (done.new, done.refused, done.posted) == (BATCH + 1, 2, BATCH + 1)


def test_progress_goes_from_batch_to_batch_to_the_end_of_the_file(runtime, tmp_path):
    data, seen = b"".join(line(number) for number in range(1, 2 * BATCH + 2)), []
    load(runtime, data, tmp_path, seen.append)
    assert len(seen) == math.ceil((2 * BATCH + 1) / BATCH)
    assert seen == sorted(seen)
    assert seen[-1] == len(data)


def test_an_empty_file_is_an_import_of_nobody(runtime, tmp_path):
    assert load(runtime, b"", tmp_path) == Imported()
    assert report(tmp_path) == []


def test_a_crash_between_two_batches_loses_nobody_and_tells_nobody_twice(runtime, tmp_path):
    total = 2 * BATCH + 5
    data = b"".join(line(number) for number in range(1, total + 1))

    def crash(position: int) -> None:
        raise Crash

    with pytest.raises(Crash):
        load(runtime, data, tmp_path, crash)
    assert count(runtime, Household) == count(runtime, Message) == BATCH
    assert load(runtime, data, tmp_path) == Imported(new=total - BATCH, unchanged=BATCH, posted=total - BATCH)
    with runtime.database.read() as session:
        told = session.scalars(sa.select(Message.household_id)).all()
    assert len(told) == len(set(told)) == total


def test_a_batch_that_cannot_be_told_is_not_loaded_either(runtime, tmp_path):
    class Speechless:
        def tell(self, *_):
            raise Crash

    mute = replace(runtime)
    mute.__dict__["teller"] = Speechless()
    with pytest.raises(Crash):
        load(mute, line(1), tmp_path)
    assert count(runtime, Household) == count(runtime, Message) == 0
    assert load(runtime, line(1), tmp_path) == Imported(new=1, posted=1)


def test_a_changed_household_is_told_again_only_where_its_index_changed(runtime, tmp_path):
    load(runtime, line(1), tmp_path)
    moved = line(1, address={**LINE["address"], "lines": ["زنقة أخرى"]})
    assert load(runtime, moved, tmp_path) == Imported(changed=1)
    poorer = line(1, spending={**LINE["spending"], "water_electricity": "20.00"})
    assert load(runtime, poorer, tmp_path) == Imported(changed=1, posted=1)
