"""The command on letters: the tray, spoilt sheets, the post, what it reports and brings back, and who must come."""

from __future__ import annotations

import sys
from datetime import date, datetime
from pathlib import Path

import click
import sqlalchemy as sa

from channels.letter.tray import NoSuchRun
from gateway import outbox, paper, presses, unreached
from gateway.cli.naming import code_of
from gateway.cli.opening import MANY, by, opened
from gateway.outbox import RETURNED_FOR, Message
from gateway.registry.clock import CASABLANCA, day_of
from gateway.registry.numbers import spaced
from gateway.runtime import Runtime
from gateway.scans import Scan, take_one, take_scans

A_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
A_REPORT = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--print", "printing", is_flag=True, help="print now what is due into the tray")
@click.option("--post", "run", help="record that the post has taken this run; its sheets are removed")
@click.option("--scan", type=A_FILE, help="read a file of the print house's or the post's scans (docs/deploy.md)")
@click.option("--report", type=A_REPORT, help="with --scan: where refusals are written")
@click.option("--accepted", metavar="CODE", help="record that the print house or the post has the letter of this code")
@click.option("--posted", metavar="CODE", help="record that the post has posted the letter of this code")
@click.option("--returned", metavar="CODE", help="record that the post has brought back the letter of this code")
@click.option("--reason", type=click.Choice(RETURNED_FOR), help="with --returned: why; other if not given")
@click.option("--of", "of_run", metavar="RUN", help="with a code: the run of the letter, where two bear its code")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), help="the day of it; today if not given")
@click.option("--reprint", metavar="CODE", help="print this letter again, whose sheet the print house has spoilt")
@click.option("--why", help="with --reprint: what became of the sheet, for the audit")
@click.option("--handed-over", metavar="CODE", help="record that a household was given this letter at its centre")
@click.option("--centre", is_flag=True, help="list the letters that wait for their household at its centre")
@click.option("--limit", type=MANY, default=100, show_default=True, help="with --centre")
@by
def letters(printing: bool, run: str | None, scan: Path | None, report: Path | None, accepted: str | None,
            posted: str | None, returned: str | None, reason: str | None, of_run: str | None, on: datetime | None,
            reprint: str | None, why: str | None, handed_over: str | None, centre: bool, limit: int, by: str) -> None:
    """The tray: runs of printed letters, their posting, and what comes back."""
    typed = {act: code for act, code in (("accepted", accepted), ("posted", posted), ("returned", returned)) if code}
    for wrong, what in ((on and not run and not typed, "--on goes with --post RUN and with the code of a letter"),
                        (reason and not returned, "--reason goes with --returned CODE"),
                        (bool(reprint) != bool(why), "--reprint CODE and --why go together")):
        if wrong:
            raise click.UsageError(what)
    with opened() as runtime:
        day = on.date() if on else day_of(runtime.clock())
        if printing:
            _print(runtime)
        if run:
            _post(runtime, run, day)
        for act, code in typed.items():
            for_what = (reason or "other") if act == "returned" else None
            _typed(runtime, Scan(0, code_of(code), act, day, for_what, of_run), by)
        if scan:
            _scan(runtime, scan, report or scan.with_suffix(".report.jsonl"), by)
        if reprint and why:
            _reprint(runtime, code_of(reprint), by, why, of_run)
        if handed_over:
            _hand_over(runtime, code_of(handed_over), by)
        if centre:
            _list_centre(runtime, limit)
        else:
            _list_runs(runtime)


def _print(runtime: Runtime) -> None:
    paper.take_up(runtime)
    with runtime.database.read() as session:
        due = outbox.letters_due(session, runtime.clock())
    with click.progressbar(length=max(due, 1), label="print", file=sys.stderr) as bar:
        try:
            printed = presses.print_all(runtime, presses.needed(due), bar.update)
        except presses.Stopped as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{printed} letters printed")


def _post(runtime: Runtime, run: str, day: date) -> None:
    try:
        click.echo(f"{paper.post(runtime, run, day)} letters posted")
    except NoSuchRun:
        raise click.ClickException(f"there is no run {run} in the tray") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _typed(runtime: Runtime, scan: Scan, by: str) -> None:
    news = take_one(runtime, scan, by=by)
    click.echo(f"{spaced(scan.reference)}  {scan.act if news else 'known already: nothing is changed'}")
    if news and scan.act == "returned":
        click.echo("what it says was not told: its days have not begun; correct the household's address at the centre")


def _scan(runtime: Runtime, file: Path, report: Path, by: str) -> None:
    if report.resolve() == file.resolve() or not report.resolve().parent.is_dir():
        raise click.UsageError(f"--report: {report} is the file itself, or in no folder that exists")
    size = max(file.stat().st_size, 1)
    with file.open("rb") as stream, click.progressbar(length=size, label=f"read {file.name}") as bar:
        done = take_scans(runtime, stream, report, lambda position: bar.update(position - bar.pos), by=by)
    click.echo(f"{done.accepted} accepted, {done.posted} posted, {done.returned} returned, {done.known} known before, "
               f"{done.refused} refused; report: {report}")
    if done.refused and not done.accepted + done.posted + done.returned + done.known:
        raise click.ClickException("no line could be recorded: is this a file of scans? See docs/deploy.md")


def _reprint(runtime: Runtime, reference: str, by: str, why: str, of_run: str | None) -> None:
    for code in paper.reprint(runtime, reference, by=by, why=why, of_run=of_run):
        click.echo(f"{spaced(code)}  printed again: destroy its old sheet; a PIN on it opens nothing any more")


def _hand_over(runtime: Runtime, reference: str, by: str) -> None:
    with runtime.database.write() as session:
        if not runtime.teller.handed_over(session, reference, by=by, now=runtime.clock()):
            raise click.ClickException("no letter of this code waits at a centre; see mouachir letters --centre")
    click.echo(f"{spaced(reference)}  handed over: the household was told today")


def _list_centre(runtime: Runtime, limit: int) -> None:
    """No name and no address: the letter itself bears them, and the code by which it is found here."""
    with runtime.database.read() as session:
        waiting, counted = unreached.waiting(session, limit), unreached.count(session)
    for one in waiting:
        click.echo(f"{spaced(one.reference)}  {one.commune:12}  {day_of(one.since)}  {one.reason:12}  {one.notice:20}  "
                   f"called: {one.called}")
    click.echo(f"{counted.total()} letters wait at their centre; of {counted['nobody']} the household was not called")


def _list_runs(runtime: Runtime) -> None:
    for laid in runtime.tray.runs():
        bundles = f"  {len(laid.bundles)} bundles" if len(laid.bundles) > 1 else ""
        click.echo(f"{laid.name}  {len(laid.letters)} letters  {laid.pages} pages{bundles}  {laid.state}  {laid.path}")
    with runtime.database.read() as session:
        counted = session.execute(sa.select(Message.state, sa.func.count(), sa.func.max(Message.lease_until)).where(
            Message.medium == "letter", Message.state.in_(("created", "sending", "handed"))).group_by(Message.state))
        states = {state: (number, until) for state, number, until in counted}
        at_centre = unreached.count(session).total()
    due, handed, in_hand = (states.get(state, (0, None)) for state in ("created", "handed", "sending"))
    if in_hand[1]:
        click.echo(f"{in_hand[0]} letters are being printed; if that was broken off, print again after "
                   f"{in_hand[1].astimezone(CASABLANCA):%H:%M}")
    click.echo(f"{due[0]} letters wait to be printed, {handed[0]} were handed over and are not posted, "
               f"{at_centre} wait at their centre")


commands: tuple[click.Command, ...] = (letters,)
