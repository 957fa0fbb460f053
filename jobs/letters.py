"""Letters: the hour of printing. What is due lies in the tray afterwards."""

from __future__ import annotations

from gateway import paper
from gateway.runtime import Runtime


def print_letters(runtime: Runtime) -> int:
    """Print the letters that are due, a run at a time. Returns how many."""
    printed = 0
    while run := paper.print_due(runtime):
        printed += run
    return printed
