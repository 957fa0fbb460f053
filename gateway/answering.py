"""Answering: a file of partners' answers is read in batches, each kept, scored and told in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from gateway.registry import audit, verification
from gateway.registry.answers import Answer, Remark, read
from gateway.registry.clock import day_of
from gateway.registry.extract import Refusal, write_report
from gateway.runtime import Runtime

BATCH = 500


@dataclass
class Kept:
    """What became of the answers of a file: new, known before, or refused. `changed` counts households of which
    something else counts now, `posted` new notices.
    """

    stored: int = 0
    repeated: int = 0
    refused: int = 0
    changed: int = 0
    posted: int = 0


def take_answers(runtime: Runtime, stream: BinaryIO, report: Path, progress: Callable[[int], None], *,
                 by: str = "system") -> Kept:
    """Keep what can be kept and report the rest. A crash in the middle loses nothing: run it again.

    `by` is whom the audit names for it, once a batch. Raises `NotAllowed` where that is no name.
    """
    done = Kept()

    def outcomes() -> Iterator[Answer | Refusal | Remark]:
        lines = read(stream, day_of(runtime.clock()))
        while batch := list(islice(lines, BATCH)):
            known = _take(runtime, [one for one in batch if isinstance(one, Answer)], done, by)
            reported = [known.get(one.line, one) for one in batch]
            done.refused += sum(isinstance(one, Refusal) for one in reported)
            progress(stream.tell())
            yield from reported

    write_report(report, outcomes())
    return done


def _take(runtime: Runtime, answers: list[Answer], done: Kept, by: str) -> dict[int, Refusal | Remark]:
    now = runtime.clock()
    with runtime.database.write() as session:
        answered = verification.answer(session, runtime.vault, runtime.scorer, answers, now)
        audit.record(session, runtime.vault, "answers.received", by=by, now=now, new=answered.received.stored,
                     repeated=answered.received.repeated, changed=len(answered.received.changed))
        done.posted += runtime.teller.tell(session, answered.events, now)
    received = answered.received
    done.stored += received.stored
    done.repeated += received.repeated
    done.changed += len(received.changed)
    return received.outcomes
