"""Rules of bulk: what goes into the database by the hundred thousand is what one row after the other would be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest

from gateway.registry import bulk
from gateway.registry.batch import units
from gateway.registry.bulk import Binary, Ids, Numbers, Same
from gateway.registry.score import IndexScore
from tests.conftest import NOON
from tests.web.desk import rows

VALUES = [Decimal(text) for text in (
    "0", "9.743001", "-9.743001", "0.0000000000000001", "-0.0000000000000001", "899.9999999999999999", "10000E-4",
    "0.0001", "12.3400", "-0.5")]
FAR = datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)


@pytest.mark.parametrize("moment", [NOON, FAR, NOON + timedelta(microseconds=1)])
def test_what_is_stored_in_bulk_reads_as_what_was_given(runtime, moment):
    ids = bulk.new_ids(len(VALUES))
    packed = np.arange(len(VALUES) * 16, dtype=np.uint8).reshape(-1, 16)
    displayed = [value.quantize(Decimal("1E-7")) + 0 for value in VALUES]
    with runtime.database.write() as session:
        bulk.store(session, bulk.table(IndexScore), len(VALUES), {
            "id": Ids(ids), "household_id": Ids(bulk.new_ids(len(VALUES))), "snapshot_id": Ids(ids),
            "formula": Same("rsu-2030-é"), "contributions": Binary(packed),
            "value": Numbers(np.array([units(value) for value in VALUES])),
            "displayed": Numbers(np.array([int(value.scaleb(7)) for value in displayed]), 7), "failure": Same(None),
            "cause": Same("formula_change"), "predecessor_id": Ids(ids), "computed_at": Same(moment)})
    found = {row.id: row for row in rows(runtime, IndexScore)}
    stored = [found[name] for name in bulk.uuids(ids)]
    assert [row.value for row in stored] == VALUES
    assert [str(row.displayed) for row in stored] == [str(value) for value in displayed]
    assert [row.contributions for row in stored] == [bytes(row) for row in packed]
    assert {(row.formula, row.cause, row.failure, row.computed_at) for row in stored} == {
        ("rsu-2030-é", "formula_change", None, moment)}
    assert all(row.predecessor_id == row.snapshot_id == row.id for row in stored)


def test_nothing_is_stored_in_bulk_too(runtime):
    with runtime.database.write() as session:
        bulk.store(session, bulk.table(IndexScore), 0, {"id": Ids(bulk.new_ids(0))})
    assert rows(runtime, IndexScore) == []


def test_new_names_are_of_version_7_and_of_now_and_ascend_and_none_is_there_twice():
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    names = [name for _ in range(3) for name in bulk.uuids(bulk.new_ids(1_000))]
    after = datetime.now(UTC)
    assert {(name.version, name.variant) for name in names} == {(7, "specified in RFC 4122")}
    assert all(before <= datetime.fromtimestamp((name.int >> 80) / 1000, UTC) <= after for name in names)
    assert len(set(names)) == len(names)
    assert all(one < other for one, other in pairwise(names))


@pytest.mark.parametrize(("whole", "decimals", "number"), [
    (97430010000000000, 16, "9.7430010000000000"), (-5, 1, "-0.5"), (0, 7, "0.0000000"), (7, 0, "7")])
def test_whole_units_are_numbers(whole, decimals, number):
    assert str(bulk.decimal(whole, decimals)) == str(Decimal(number))
