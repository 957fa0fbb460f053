"""`python -m tests.bench`: measures, prints the table and writes `var/bench.json`."""

from __future__ import annotations

import json
import logging
import os
import platform
import tempfile
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gateway import logs
from gateway.migrations import upgrade
from gateway.runtime import Runtime
from tests import servers
from tests.bench import campaign, letters, notices, receipts, registry, rescore, sends, ussd
from tests.bench.figure import FULL, Figure
from tests.conftest import SETTINGS, open_house

OUT = Path(__file__).parents[2] / "var" / "bench.json"


def main() -> None:
    """Every figure, one after the other: nothing else of ours runs meanwhile."""
    console = Console(width=120)
    console.print(f"bench: {machine()}; scale: {'full' if FULL else 'usual'}")
    logs.set_up(logging.ERROR)
    rows = []
    for figure in figures():
        rows.append(figure.row())
        console.print(f"  {figure.name}: {figure.value:,.1f} {figure.unit}")
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    console.print(table(rows))


def figures() -> Iterator[Figure]:
    """On a PostgreSQL and a Redis of its own."""
    yield letters.texts()
    yield from letters.pages()
    yield from letters.beside_weasyprint()
    yield rescore.scores()
    yield rescore.rescores()
    with (tempfile.TemporaryDirectory(prefix="bench-") as folder, servers.postgresql() as database,
          servers.redis() as redis, sends.providers() as stub):
        upgrade(database)
        urls = {"TWILIO_BASE_URL": stub, "AFRICASTALKING_BASE_URL": f"{stub}/version1", "QUIET_HOURS": "0-0"}

        def house(**settings: str) -> closing[Runtime]:
            return closing(open_house(database, redis, Path(folder), lambda: datetime.now(UTC), **urls, **settings))

        file = Path(folder) / "extract.jsonl"
        with house() as runtime:
            yield registry.imports(runtime, file)
        with house() as runtime:
            yield from notices.notices(runtime)
        yield from registry.scores(file)
        environment = {**SETTINGS, **urls, "DATABASE_URL": database, "REDIS_URL": redis, "VAR_DIR": folder}
        for provider in ("twilio", "africastalking"):
            alone = {"SMS_PROVIDERS": f"{provider}:1"}
            with house(**alone) as runtime:
                yield from sends.sends(runtime, {**environment, **alone}, stub, provider)
        with house() as runtime:
            yield from receipts.receipts(runtime, environment)
            yield from ussd.turns(runtime, environment)
    yield campaign.replies()


def machine() -> str:
    """What the figures were measured on."""
    processor = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                      if line.startswith("model name")), platform.machine())
    return (f"{os.cpu_count()} cores of {processor}, Python {platform.python_version()}, "
            f"load before {os.getloadavg()[0]:.1f}")


def table(rows: list[dict]) -> Table:
    """The figures, aligned for a reader."""
    drawn = Table("name", "value", "unit", "baseline", "ratio", "target")
    for row in rows:
        drawn.add_row(row["name"], f"{row['value']:,.1f}", row["unit"], f"{row['baseline']:,.1f}",
                      f"{row['ratio']:.2f}", row["target"] or "")
    return drawn


if __name__ == "__main__":
    main()
