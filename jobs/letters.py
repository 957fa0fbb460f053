"""Letters: the hour of printing. What is due lies in the tray afterwards."""

from __future__ import annotations

from gateway import paper
from gateway.runtime import Runtime
from jobs.alarm import enqueue


def print_letters(runtime: Runtime) -> int:
    """Print one run of the letters that are due, and ring for the next. Returns how many were taken.

    A job has a time limit; a day's letters have none.
    """
    taken = paper.print_due(runtime)
    if taken:
        enqueue(runtime.redis, "print_letters", once=True)
    return taken
