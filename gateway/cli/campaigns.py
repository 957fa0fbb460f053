"""Commands on campaigns: one text to very many, from the first question to the last text; and what texts cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import click
import sqlalchemy as sa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from gateway import campaign, cost
from gateway.campaign import Asked, Audience, Campaign
from gateway.campaign.plan import Plan
from gateway.cli.opening import MANY, by, opened
from gateway.registry.clock import CASABLANCA, day_of
from gateway.runtime import Runtime
from gateway.words import LOCALES

WHEN = click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])
DAY = click.DateTime(["%Y-%m-%d"])
LOOKS_EVERY_S = 5.0
OVER = ("finished", "cancelled")
as_json_option = click.option("--json", "as_json", is_flag=True, help="as JSON")


@click.group(name="campaign")
def campaigns() -> None:
    """Campaigns: one approved text to very many, spread over a time, stopped at a word."""


@campaigns.command()
@click.argument("name")
@click.option("--notice", required=True, help="the announcement, by its folder in templates/notices")
@click.option("--from", "starts", type=WHEN, required=True, help="the first moment, as 2026-12-01T09:00 in Casablanca")
@click.option("--to", "ends", type=WHEN, required=True, help="the last moment")
@click.option("--per-minute", type=click.IntRange(1, 100_000), required=True,
              help="telephones a minute: no more than the call centre can bear")
@click.option("--area", type=click.Choice(["urban", "rural"]), default=None)
@click.option("--region", "regions", type=click.IntRange(1, 12), multiple=True)
@click.option("--commune", "communes", multiple=True, help="by the planning commission's code")
@click.option("--language", "languages", type=click.Choice(LOCALES), multiple=True)
@click.option("--programme", default=None, help="whom this programme judged, as --eligible says")
@click.option("--eligible/--not-eligible", default=None)
@as_json_option
@by
def new(name: str, notice: str, starts: datetime, ends: datetime, per_minute: int, as_json: bool, by: str,
        **asked: Any) -> None:
    """Ask for a campaign. Nothing is sent: look at it with `preview`, and have it approved."""
    if (asked["programme"] is None) != (asked["eligible"] is None):
        raise click.ClickException("--programme goes with --eligible or --not-eligible")
    given = {field: list(value) if isinstance(value, tuple) else value for field, value in asked.items()
             if value not in (None, ())}
    with opened() as runtime, runtime.database.write() as session:
        row = runtime.campaigns.ask(session, Asked(
            name, notice, Audience.parse(given), starts.replace(tzinfo=CASABLANCA), ends.replace(tzinfo=CASABLANCA),
            per_minute), by=by, now=runtime.clock())
        _say(as_json, _facts(row), _line(row))


@campaigns.command()
@click.argument("name")
@as_json_option
def preview(name: str, as_json: bool) -> None:
    """Show what it would cost and how long it would take, before anything is sent."""
    with opened() as runtime, runtime.database.read() as session:
        row = campaign.find(session, name)
        with _bar("telephones", None, quiet=as_json) as heard:
            plan = runtime.campaigns.plan(session, row, runtime.clock(), heard)
        _planned(runtime, row, plan, as_json)


@campaigns.command()
@click.argument("name")
@as_json_option
@by
def approve(name: str, as_json: bool, by: str) -> None:
    """Approve it as it stands. For many telephones, somebody else than who asked for it does."""
    with opened() as runtime, runtime.database.write() as session:
        with _bar("telephones", None, quiet=as_json) as heard:
            plan = runtime.campaigns.approve(session, name, by=by, now=runtime.clock(), heard=heard)
        row = campaign.find(session, name)
        _say(as_json, _facts(row) | {"plan": plan.as_json()}, _line(row))


@campaigns.command()
@click.argument("name")
@as_json_option
@by
def start(name: str, as_json: bool, by: str) -> None:
    """Make its messages; they go as they fall due. Was it cut off, simply do it once more."""
    with opened() as runtime:
        with runtime.database.read() as session:
            expected = campaign.find(session, name).recipients
        with _bar("messages", expected, quiet=as_json) as heard:
            row = runtime.campaigns.start(runtime.database, name, by=by, clock=runtime.clock, heard=heard)
        _say(as_json, _facts(row), _line(row))


@campaigns.command()
@click.argument("name")
@as_json_option
@by
def pause(name: str, as_json: bool, by: str) -> None:
    """Let nothing more go, until it is resumed."""
    _act(name, as_json, by, "pause")


@campaigns.command()
@click.argument("name")
@as_json_option
@by
def resume(name: str, as_json: bool, by: str) -> None:
    """Go on: what is left is spread over what is left of the window."""
    _act(name, as_json, by, "resume")


@campaigns.command()
@click.argument("name")
@as_json_option
@by
def cancel(name: str, as_json: bool, by: str) -> None:
    """Call it off for good: what has not been sent is taken back."""
    with opened() as runtime:
        with runtime.database.write() as session:
            row = runtime.campaigns.cancel(session, name, by=by, now=runtime.clock())
        with _bar("taken back", row.total - row.let_go, quiet=as_json) as heard:
            while taken := _take_back(runtime, name):
                heard(taken)
        _say(as_json, _facts(row), _line(row))


@campaigns.command(name="list")
@click.option("--limit", type=MANY, default=100, show_default=True)
@as_json_option
def list_(limit: int, as_json: bool) -> None:
    """List campaigns, the newest first."""
    with opened() as runtime, runtime.database.read() as session:
        found = session.scalars(sa.select(Campaign).order_by(Campaign.id.desc()).limit(limit)).all()
    if as_json:
        click.echo(json.dumps([_facts(row) for row in found], indent=1))
    for row in () if as_json else found:
        click.echo(_line(row))


@campaigns.command()
@click.argument("name")
@as_json_option
def show(name: str, as_json: bool) -> None:
    """Show a campaign: its words, and how far it has come."""
    with opened() as runtime, runtime.database.read() as session:
        row = campaign.find(session, name)
        progress = campaign.progress(session, row, runtime.clock(), runtime.settings.asleep)
    if as_json:
        click.echo(json.dumps(_facts(row) | {"progress": progress.as_json()}, indent=1, ensure_ascii=False))
        return
    click.echo(_line(row))
    click.echo(f"  asked by {row.asked_by}, approved by {row.approved_by or 'nobody yet'}; {json.dumps(row.audience)}")
    for locale, wording in row.wordings.items():
        click.echo(f"  {locale}: {wording.body!r}")
    click.echo("  " + _states(progress))


@campaigns.command()
@click.argument("name")
@click.option("--every", type=click.FloatRange(0.1), default=LOOKS_EVERY_S, show_default=True, help="seconds")
@as_json_option
def watch(name: str, every: float, as_json: bool) -> None:
    """Watch it go, until it is over. With --json, a line each time."""
    with opened() as runtime, Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                                       TextColumn("{task.fields[said]}"), console=Console(stderr=as_json)) as bar:
        task = None if as_json else bar.add_task(name, total=None, said="")
        while True:
            with runtime.database.read() as session:
                row = campaign.find(session, name)
                found = campaign.progress(session, row, runtime.clock(), runtime.settings.asleep)
            if task is None:
                click.echo(json.dumps(found.as_json()))
            else:
                bar.update(task, total=found.total or None, completed=found.let_go, said=_states(found))
            if found.state in OVER:
                return
            time.sleep(every)


@click.command()
@click.option("--from", "first", type=DAY, required=True, help="the first day, as 2026-12-01")
@click.option("--to", "last", type=DAY, required=True, help="the last day; it counts as well")
@as_json_option
def costs(first: datetime, last: datetime, as_json: bool) -> None:
    """What texts have cost, by day and provider: by our prices, and in the providers' own words."""
    if first > last:
        raise click.UsageError("--from is after --to")
    with opened() as runtime, runtime.database.read(one_moment=True) as session:
        pacer = runtime.pacer
        found = cost.spent(session, first.date(), last.date(), pacer.prices)
        today = day_of(runtime.clock())
        left = cost.left(session, today, pacer.budget)
    if as_json:
        click.echo(json.dumps({"costs": [one.as_json() for one in found], "today": str(today), "left_parts": left.parts,
                               "left_mad": None if left.mad is None else f"{left.mad:f}",
                               "prices_are_an_example": pacer.prices.example}, indent=1))
        return
    table = Table("day", "provider", "texts", "parts", "MAD by our prices", "as the provider says")
    for one in found:
        said = ", ".join(f"{amount:f} {currency}" for currency, amount in sorted(one.charged.items()))
        table.add_row(str(one.day), one.provider, f"{one.texts:,}", f"{one.parts:,}",
                      "no price" if one.reckoned is None else f"{one.reckoned:,.2f}",
                      f"{said} (of {one.told:,} texts)" if said else "nothing yet")
    Console().print(table)
    click.echo(f"today's budget: {_left(left)} left for campaigns{_example(pacer.prices.example)}")


def _act(name: str, as_json: bool, by: str, verb: str) -> None:
    with opened() as runtime, runtime.database.write() as session:
        row = getattr(runtime.campaigns, verb)(session, name, by=by, now=runtime.clock())
        _say(as_json, _facts(row), _line(row))


def _take_back(runtime: Runtime, name: str) -> int:
    with runtime.database.write() as session:
        row = session.scalars(sa.select(Campaign).where(Campaign.name == name).with_for_update()).one()
        return campaign.take_back(session, row, runtime.clock())


def _planned(runtime: Runtime, row: Campaign, plan: Plan, as_json: bool) -> None:
    about = runtime.words.about(row.notice)
    unread = [locale for locale in LOCALES if not about.reviewed[locale]]
    told = plan.as_json()
    for language in told["languages"]:
        language["replaced"] = runtime.campaigns.replaced(row.notice, language["locale"])
    if as_json:
        click.echo(json.dumps(_facts(row) | told | {"read_by_no_native_reader": unread}, indent=1, ensure_ascii=False))
        return
    click.echo(f"{plan.recipients:,} telephones of {plan.households:,} households; {plan.unreached:,} households have "
               "none that takes texts, and get nothing")
    if plan.unreadable:
        click.echo(f"{plan.unreadable:,} contacts cannot be opened with any key, and get nothing: the log names them")
    for line in _languages(told["languages"]):
        click.echo(line)
    Console().print(_by_network(plan))
    for line in _durations(row, plan):
        click.echo(line)
    if unread:
        click.echo(f"no native reader has read it in {', '.join(unread)}")


def _languages(languages: list[dict[str, Any]]) -> Iterator[str]:
    for one in languages:
        each = one["parts_each"]
        yield (f"{one['locale']}: {one['recipients']:,} telephones, {one['encoding']}, {each} part{'s' * (each != 1)} "
               f"each, {one['parts']:,} in all")
        yield "  " + one["text"].replace("\n", "\n  ")
        if one["replaced"]:
            yield "  replaced, to be cheaper: " + ", ".join(f"{was} by {became or 'nothing'}"
                                                            for was, became in one["replaced"].items())


def _by_network(plan: Plan) -> Table:
    """Telephones and parts of each network, and what they cost if one provider carried all."""
    table = Table("network", "telephones", "parts", *(f"MAD by {provider}" for provider in plan.prices))
    for network in sorted({share.network for share in plan.shares}):
        mine = [share for share in plan.shares if share.network == network]
        table.add_row(network or "unknown", f"{sum(share.recipients for share in mine):,}",
                      f"{sum(share.parts for share in mine):,}",
                      *(f"{prices[network]:,.2f}" for prices in plan.prices.values()))
    table.add_row("all", f"{plan.recipients:,}", f"{plan.parts:,}",
                  *(f"{sum(prices.values()):,.2f}" for prices in plan.prices.values()))
    return table


def _durations(row: Campaign, plan: Plan) -> Iterator[str]:
    burden = plan.burden
    yield f"at most {plan.most:,.2f} MAD, by the dearest route of each{_example(plan.example_prices)}"
    yield (f"at {row.per_minute:,} a minute: {_to_the_second(burden.at_pace)} outside the quiet hours; the window has "
           f"{_to_the_second(burden.window)}")
    yield ("the providers' rates have no limit of ours" if plan.at_rate is None
           else f"at the providers' rates: {_to_the_second(plan.at_rate)}")
    yield f"the last is let go on {_local(burden.ends_at)}"
    for day in burden.days:
        yield (f"{day.day}: {day.parts:,} parts, at most {day.mad:,.2f} MAD; budget of the day: {_left(day.left)} left"
               + ("" if day.covered else ", which does NOT cover it"))


def _to_the_second(span: timedelta) -> timedelta:
    return timedelta(seconds=round(span.total_seconds()))


def _facts(row: Campaign) -> dict[str, Any]:
    names = ("name", "notice", "state", "audience", "per_minute", "asked_by", "approved_by", "recipients", "unreached",
             "parts", "total", "let_go", "waits_for")
    moments = {name: getattr(row, name).isoformat() for name in ("starts_at", "ends_at")}
    return {name: getattr(row, name) for name in names} | moments | {
        "mad_at_most": f"{cost.dirhams(row.price):f}",
        "texts": {locale: text["body"] for locale, text in row.texts.items()}}


def _line(row: Campaign) -> str:
    return (f"{row.name}  {row.state}  {row.notice}  {_local(row.starts_at)} to {_local(row.ends_at)}, at most "
            f"{row.per_minute:,} a minute  {row.let_go:,} of {row.total or row.recipients:,}")


def _states(found: campaign.Progress) -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(found.states.items()))
    ends = f"; the last is let go on {_local(found.expected_end)}" if found.expected_end else ""
    waits = f"; waits for the next day's {found.waits_for}" if found.waits_for else ""
    return f"{found.state}: {states or 'no messages yet'}{ends}{waits}"


def _local(moment: datetime) -> str:
    return f"{moment.astimezone(CASABLANCA):%Y-%m-%d %H:%M}"


def _left(left: cost.Budget) -> str:
    named = [f"{left.parts:,} parts"] if left.parts is not None else []
    named += [f"{left.mad:,.2f} MAD"] if left.mad is not None else []
    return " and ".join(named) or "no limit, all"


def _example(example: bool) -> str:
    return " (prices of an example, of no contract: gateway/prices.toml)" if example else ""


def _say(as_json: bool, facts: Mapping[str, Any], line: str) -> None:
    click.echo(json.dumps(facts, indent=1, ensure_ascii=False) if as_json else line)


@contextmanager
def _bar(label: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """A bar beside the answer, which goes to standard output alone."""
    with Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
                  console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()) as bar:
        task = bar.add_task(label, total=total)
        yield lambda number: bar.advance(task, number)


commands: tuple[click.Command, ...] = (campaigns, costs)
