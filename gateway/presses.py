"""Presses: the printing of a country's letters, a run after the other, in a process for each core.

Each takes its runs from the database, as if the others were on other machines; one that is killed leaves its run to be
printed again, and nobody its lock.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Collection
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait

from gateway import logs, paper
from gateway.runtime import Runtime
from gateway.settings import Settings

log = logging.getLogger(__name__)


class Stopped(Exception):
    """A press ended before all was printed; its message says how. What it had in hand is due again after its lease."""


def needed(due: int) -> int:
    """How many are worth their start for so many letters, on the cores that this process may use."""
    return min(len(os.sched_getaffinity(0)), -(-due // paper.A_RUN))


def print_all(runtime: Runtime, many: int, progress: Callable[[int], None]) -> int:
    """Print all that is due by so `many` presses. Returns how many were taken; `progress` hears it of each run.

    Raises `Stopped` once the other presses are done.
    """
    if many < 2:
        return paper.print_all(runtime, progress)
    here = get_context("spawn")  # a fork would share connections and threads that are half copied
    told, presses = [], []
    for _ in range(many):
        ours, theirs = here.Pipe(duplex=False)
        press = here.Process(target=_press, args=(runtime.settings, theirs), name="press", daemon=True)
        press.start()
        theirs.close()
        told.append(ours)
        presses.append(press)
    printed = _heard(told, progress)
    for press in presses:
        press.join()
    if codes := [press.exitcode for press in presses if press.exitcode]:
        minutes = math.ceil(paper.LEASES * runtime.settings.lease_s / 60)
        raise Stopped(f"{len(codes)} of {many} presses stopped (exit code {codes[0]}), {printed} letters are printed; "
                      f"see the log. What they had in hand is due again in {minutes} min: print then")
    return printed


def _heard(told: Collection[Connection], progress: Callable[[int], None]) -> int:
    """Until each press has hung up."""
    printed, open_ = 0, set(told)
    while open_:
        for one in wait(list(open_)):
            assert isinstance(one, Connection)
            try:
                run = int(one.recv())
            except EOFError:
                open_.remove(one)
            else:
                printed += run
                progress(run)
    return printed


def _press(settings: Settings, told: Connection) -> None:
    """Where nobody listens any more it ends after its run."""
    logs.set_up()
    runtime = Runtime.open(settings)
    try:
        while taken := paper.print_due(runtime):
            told.send(taken)
    except Exception:
        log.exception("a press stops")
        sys.exit(1)
    finally:
        runtime.close()
