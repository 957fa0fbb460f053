"""Commands on routes: who carries texts, how well, what was changed and why; and the verbs of an operator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from channels.codes import named
from gateway import routes as routing
from gateway.cli.opening import MANY, by, opened
from gateway.registry import audit
from gateway.registry.clock import CASABLANCA
from gateway.registry.steps import NotAllowed
from gateway.routes import Measured, RouteChange, RouteStop
from gateway.runtime import Runtime

a_provider = click.argument("provider")
a_reason = click.option("--why", required=True, help="why; it is kept in the audit")


@click.group(invoke_without_command=True)
@click.option("--limit", type=MANY, default=10, show_default=True, help="lines of the history")
@click.pass_context
def routes(context: click.Context, limit: int) -> None:
    """Who carries texts: weights, exceptions, who is stopped and why, the last 15 minutes, the history."""
    if context.invoked_subcommand is None:
        with opened() as runtime:
            click.echo("\n".join(_shown(runtime, limit)))


@routes.command()
@a_provider
@a_reason
@by
def stop(provider: str, why: str, by: str) -> None:
    """Hand a provider no more texts until it is resumed. What is in its hands already goes on."""
    with opened() as runtime, runtime.database.write() as session:
        now = _named(runtime, provider)
        routing.stop_by_hand(session, provider, why, by, now)
        audit.record(session, runtime.vault, "route.stopped", by=by, now=now, subject=provider, why=why)
        left = [name for name, weight in runtime.settings.sms_providers
                if weight and name not in routing.stops(session)]
    click.echo(f"{provider} is stopped; texts go by {', '.join(left)}" if left else
               f"{provider} is stopped; nobody is left to carry texts: they wait")


@routes.command()
@a_provider
@by
def resume(provider: str, by: str) -> None:
    """Take a stopped provider back at once, when what was wrong is mended."""
    with opened() as runtime, runtime.database.write() as session:
        now = _named(runtime, provider)
        if not routing.resume(session, provider, by, now):
            raise NotAllowed(f"{provider} is not stopped.")
        audit.record(session, runtime.vault, "route.resumed", by=by, now=now, subject=provider)
    click.echo(f"{provider} gets texts again")


@routes.command()
@a_provider
@click.argument("points", type=click.IntRange(0, 100))
@a_reason
@by
def weight(provider: str, points: int, why: str, by: str) -> None:
    """Give a provider so many points of a hundred. It rests there until SMS_PROVIDERS changes."""
    with opened() as runtime, runtime.database.write() as session:
        now = _named(runtime, provider)
        routing.set_weight(session, runtime.settings, provider, points, why, by, now)
        audit.record(session, runtime.vault, "route.weighed", by=by, now=now, subject=provider, why=why, points=points)
        session.flush()
        stands = routing.standing(session, runtime.settings)
    click.echo("  ".join(f"{name} {weighs}" for name, (weighs, _) in sorted(stands.items())))


def _named(runtime: Runtime, provider: str) -> datetime:
    """The hour at which something is done to a provider that there is."""
    names = [name for name, _ in runtime.settings.sms_providers]
    if provider not in names:
        raise NotAllowed(f"There is no {provider} in SMS_PROVIDERS; there are {', '.join(names)}.")
    return runtime.clock()


def _shown(runtime: Runtime, limit: int) -> Iterator[str]:
    now, settings = runtime.clock(), runtime.settings
    strange: dict[str, Counter[str]] = {}
    for name, labels, amount in runtime.counts():
        if name == "unknown_codes":
            strange.setdefault(labels["provider"], Counter())[labels["code"]] += int(amount)
    with runtime.database.read() as session:
        stops = routing.stops(session)
        for name, (weighs, base) in routing.standing(session, settings).items():
            yield f"{name:16} weighs {weighs}, rests at {base}"
            yield from (f"  {rule.network or 'any network'} {rule.locale or 'any language'}: "
                        f"{rule.weight if rule.weight else 'not by it'} (SMS_ROUTES)"
                        for rule in settings.sms_routes if rule.provider == name)
            if name in stops:
                yield from _stopped(stops[name])
            yield from _served(routing.measure(session, name, now))
            yield from (f"  unknown code {code}: {times} times, look it up and add it to channels/codes"
                        for code, times in sorted(strange.get(name, Counter()).items()))
        yield ""
        yield from _history(session, limit)


def _stopped(stop: RouteStop) -> Iterator[str]:
    yield f"  STOPPED since {_when(stop.stopped_at)} by {stop.by}: {stop.reason}"
    yield (f"  one text tries it at {_when(stop.probe_at)}; or: mouachir routes resume {stop.id}" if stop.probe_at else
           f"  until: mouachir routes resume {stop.id}")


def _served(measured: Measured) -> Iterator[str]:
    """Of a sample: at most a hundred sends of each minute."""
    yield (f"  last {routing.WINDOW.seconds // 60} minutes: {measured.sends} sends looked at, {measured.accepted} "
           f"accepted, {measured.delivered} delivered, {measured.slow} slow, {measured.failing} failed")
    if measured.middle_s is not None and measured.late_s is not None:
        yield f"  delivered after {measured.middle_s:.0f} s (half of them), {measured.late_s:.0f} s (nine of ten)"
    yield from (f"  failed by {code} {named(measured.provider, code)}".rstrip() + f": {times}"
                for code, times in measured.codes.items())
    if measured.trouble:
        yield f"  in trouble: {measured.trouble}"


def _history(session: Session, limit: int) -> Iterator[str]:
    changes = session.scalars(sa.select(RouteChange).order_by(RouteChange.at.desc(), RouteChange.id.desc()).limit(
        limit)).all()
    yield "history:" if changes else "history: nothing was changed yet"
    for change in changes:
        moved = f"{change.was} -> {change.became}" if change.became is not None else ""
        yield f"  {_when(change.at)}  {change.provider:16} {moved:10} {change.by:12} {change.reason}"


def _when(moment: datetime) -> str:
    return f"{moment.astimezone(CASABLANCA):%Y-%m-%d %H:%M:%S}"


commands: tuple[click.Command, ...] = (routes,)
