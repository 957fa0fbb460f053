"""Importing: an extract is read in batches, each stored, scored and told in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from gateway.registry.clock import day_of
from gateway.registry.extract import Refusal, Row, read, write_report
from gateway.runtime import Runtime

BATCH = 200


@dataclass
class Imported:
    """What became of the rows of a file. `posted` counts new notices, by any medium."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0
    unscored: int = 0
    posted: int = 0


def import_extract(runtime: Runtime, stream: BinaryIO, report: Path, progress: Callable[[int], None]) -> Imported:
    """Load what can be loaded and report the rest. A crash in the middle loses nothing: run it again."""
    done = Imported()

    def outcomes() -> Iterator[Row | Refusal]:
        rows = read(stream, day_of(runtime.clock()))
        while batch := list(islice(rows, BATCH)):
            _store(runtime, [outcome for outcome in batch if isinstance(outcome, Row)], done)
            done.refused += sum(isinstance(outcome, Refusal) for outcome in batch)
            progress(stream.tell())
            yield from batch

    write_report(report, outcomes())
    return done


def _store(runtime: Runtime, rows: list[Row], done: Imported) -> None:
    now = runtime.clock()
    with runtime.database.write() as session:
        stored = runtime.intake.store(session, rows, now)
        done.posted += runtime.teller.tell(session, stored.events, now)
    done.new += stored.new
    done.changed += stored.changed
    done.unchanged += stored.unchanged
    done.unscored += stored.unscored
