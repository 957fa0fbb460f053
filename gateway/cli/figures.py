"""Commands on figures: how well the register serves, as lines to read or as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import click

from gateway.cli.opening import opened
from gateway.figures import GROUPS, figures
from gateway.figures.figure import Figure, Group
from gateway.registry.clock import day_of

DAY = click.DateTime(["%Y-%m-%d"])


@click.command(name="figures")
@click.option("--from", "first", type=DAY, required=True, help="the first day, as 2026-10-01")
@click.option("--to", "last", type=DAY, required=True, help="the last day; it counts as well")
@click.option("--by", "groups", default="", help=f"groups, joined by commas: {', '.join(GROUPS)}")
@click.option("--json", "as_json", is_flag=True)
def show(first: datetime, last: datetime, groups: str, as_json: bool) -> None:
    """The process figures of a period: what each counts stands in docs/figures.md."""
    by = [name.strip() for name in groups.split(",") if name.strip()]
    with opened() as runtime, runtime.database.read(one_moment=True) as session:
        try:
            found = figures(session, first.date(), last.date(), by, today=day_of(runtime.clock()))
        except ValueError as error:
            raise click.UsageError(str(error)) from None
    if as_json:
        click.echo(json.dumps({"from": str(first.date()), "to": str(last.date()), "by": by,
                               "figures": [figure.as_json() for figure in found]}, indent=1))
    else:
        click.echo("\n".join(_written(found)))


def _written(found: Sequence[Figure]) -> list[str]:
    measures = max(len(line.measure) for figure in found for line in figure.lines)
    groups = max(len(_named(line.group)) for figure in found for line in figure.lines)
    written = []
    for figure in found:
        written += [f"{figure.code}  {figure.name} ({figure.unit})"]
        written += [f"        not computable: {figure.missing}"] if figure.missing else []
        written += [f"        {line.measure:{measures}}  {_named(line.group):{groups}}  {line.value.as_text()}"
                    for line in figure.lines]
        written += [f"        {figure.note}"] if figure.note else []
    return written


def _named(group: Group) -> str:
    return " ".join(f"{name}={value}" for name, value in group)


commands: tuple[click.Command, ...] = (show,)
