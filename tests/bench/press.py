"""Press: a run of very many letters by `mouachir letters --print`, killed half-way and begun again;
`python -m tests.bench.press 20000`. The tray is counted, not our tables; and what the presses take of memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from channels.letter.tray import Run
from gateway import paper
from gateway.importing import import_extract
from gateway.migrations import upgrade
from gateway.outbox import Message
from gateway.registry.sample import write_sample
from gateway.runtime import Runtime
from tests import servers
from tests.conftest import SETTINGS, open_house

SEED = 580
LEASE_S = 15
WATCHED_S = 0.5


class Watched:
    """A command and its presses: killed together, and the most that one of them held of memory."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from gateway.cli import main; main()", "letters", "--print"],
            env={**os.environ, **environment}, start_new_session=True, stdout=subprocess.DEVNULL)
        self.megabytes: list[int] = []

    def until(self, over: threading.Event) -> None:
        """Watch until it ends, or until it is `over`: then it is killed, and has no time to say anything."""
        while self.process.poll() is None:
            self.megabytes.append(max((_megabytes(one) for one in self._processes()), default=0))
            if over.is_set():
                os.killpg(self.process.pid, signal.SIGKILL)
            over.wait(WATCHED_S)

    def _processes(self) -> list[Path]:
        """Those of its session (proc(5), field 6 of stat)."""
        return [stat.parent for stat in Path("/proc").glob("[0-9]*/stat")
                if _read(stat).rpartition(")")[2].split()[3:4] == [str(self.process.pid)]]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with (tempfile.TemporaryDirectory(prefix="press-") as folder, servers.postgresql() as database,
          servers.redis() as redis):
        upgrade(database)
        var = {"DATABASE_URL": database, "REDIS_URL": redis, "VAR_DIR": folder, "LEASE_S": str(LEASE_S)}
        with closing(open_house(database, redis, Path(folder), lambda: datetime.now(UTC),
                                LEASE_S=str(LEASE_S))) as runtime:
            due = _fill(runtime, Path(folder) / "extract.jsonl", count)
            sys.stdout.write(json.dumps(_run(runtime, {**SETTINGS, **var}, due)) + "\n")


def _run(runtime: Runtime, environment: dict[str, str], count: int) -> dict[str, object]:
    first, half = Watched(environment), threading.Event()
    watching = threading.Thread(target=first.until, args=(half,))
    began = time.monotonic()
    watching.start()
    while watching.is_alive() and (laid := _laid(runtime)) < count / 2:
        _say(f"{laid:>8} of {count}")
        watching.join(5)
    half.set()
    watching.join()
    before = _laid(runtime)
    seconds = time.monotonic() - began
    _say(f"killed with {before} letters in the tray, {len(runtime.tray.unfinished())} runs unfinished")
    time.sleep(paper.LEASES * LEASE_S + 1)  # until then what was in hand is left alone: it might still be printed
    again = Watched(environment)
    began = time.monotonic()
    again.until(threading.Event())
    seconds += time.monotonic() - began
    return {**_counted(runtime.tray.runs(), runtime, count), "killed_at": before, "seconds": round(seconds, 1),
            "letters_per_s": round(count / seconds, 1), "exit": again.process.returncode,
            "megabytes_of_a_press": [max(first.megabytes), max(again.megabytes)],
            "megabytes_by_tenths": _tenths(again.megabytes)}


def _counted(runs: list[Run], runtime: Runtime, count: int) -> dict[str, object]:
    printed = Counter(entry.token for run in runs for entry in run.letters)
    spoilt = [bundle.file for run in runs for bundle in run.bundles
              if hashlib.sha256((run.path / bundle.file).read_bytes()).hexdigest() != bundle.sha256]
    with runtime.database.read() as session:
        states = dict(session.execute(sa.select(Message.state, sa.func.count()).where(Message.medium == "letter")
                                      .group_by(Message.state)).all())
    return {"letters": count, "lost": count - len(printed), "duplicates": printed.total() - len(printed),
            "runs": len(runs), "bundles": sum(len(run.bundles) for run in runs),
            "pages": sum(run.pages for run in runs), "spoilt": len(spoilt), "states": states,
            "unfinished": len(runtime.tray.unfinished())}


def _fill(runtime: Runtime, file: Path, count: int) -> int:
    """So many households without a telephone: each is told its index by letter."""
    with file.open("wb") as out:
        write_sample(out, count, SEED, datetime.now(UTC).date())
    rows = re.sub(r'"contacts":\[.*?\]', '"contacts":[]', file.read_text("utf-8", errors="replace"))
    file.write_text(rows, encoding="utf-8")
    with file.open("rb") as stream:
        done = import_extract(runtime, stream, file.with_suffix(".report.jsonl"), lambda _: None)
    _say(f"{done.new} households, {done.refused} rows refused")
    return done.new


def _laid(runtime: Runtime) -> int:
    return sum(len(run.letters) for run in runtime.tray.runs())


def _tenths(seen: list[int]) -> list[int]:
    return [seen[place * len(seen) // 10] for place in range(10)]


def _megabytes(process: Path) -> int:
    held = next((line for line in _read(process / "status").splitlines() if line.startswith("VmRSS")), "VmRSS: 0 kB")
    return int(held.split()[1]) // 1024


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:  # it has ended
        return ""


def _say(line: str) -> None:
    sys.stderr.write(f"  {line}\n")


if __name__ == "__main__":
    main()
