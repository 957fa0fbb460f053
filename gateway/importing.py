"""Importing: an extract is read in batches, each stored, scored or asked about, and told in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from gateway.registry import audit
from gateway.registry.clock import day_of
from gateway.registry.extract import Refusal, Row, read, write_report
from gateway.runtime import Runtime

BATCH = 200


@dataclass
class Imported:
    """What became of the rows of a file. `posted` counts new notices, by any medium.

    Some of the refused are `waiting`: they are pre-registered until every member has an identifier. `asked` are those
    that partner bodies are asked about; `out` those withdrawn or struck off, of which nothing but the data was kept.
    """

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    unscored: int = 0
    posted: int = 0
    waiting: int = 0
    asked: int = 0
    out: int = 0


def import_extract(runtime: Runtime, stream: BinaryIO, report: Path, progress: Callable[[int], None], *,
                   verified: bool = True, by: str = "system") -> Imported:
    """Load what can be loaded and report the rest. A crash in the middle loses nothing: run it again.

    Data that are not `verified` yet are fresh registrations: partner bodies are asked before anything is scored.
    `by` is whom the audit names for it, once a batch. Raises `NotAllowed` where that is no name.
    """
    done = Imported()

    def outcomes() -> Iterator[Row | Refusal]:
        rows = read(stream, day_of(runtime.clock()))
        while batch := list(islice(rows, BATCH)):
            _store(runtime, batch, done, verified=verified, by=by)
            progress(stream.tell())
            yield from batch

    write_report(report, outcomes())
    return done


def _store(runtime: Runtime, batch: list[Row | Refusal], done: Imported, *, verified: bool, by: str) -> None:
    now = runtime.clock()
    rows = [outcome for outcome in batch if isinstance(outcome, Row)]
    refusals = [outcome for outcome in batch if isinstance(outcome, Refusal)]
    with runtime.database.write() as session:
        take = runtime.intake.store if verified else runtime.intake.register
        stored = take(session, rows, now)
        waiting = runtime.intake.pre_register(session, refusals, now)
        audit.record(session, runtime.vault, "extract.imported" if verified else "registrations.received", by=by,
                     now=now, new=stored.new, changed=stored.changed, waiting=waiting)
        done.posted += runtime.teller.tell(session, stored.events, now)
    done.refused += len(refusals)
    done.waiting += waiting
    done.new += stored.new
    done.changed += stored.changed
    done.unchanged += stored.unchanged
    done.unscored += stored.unscored
    done.asked += stored.asked
    done.out += stored.out
