"""Commands on the audit: is the chain whole, where does it end, and who saw or changed what."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC
from typing import Any, TextIO
from uuid import UUID

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from gateway.cli.naming import household_of
from gateway.cli.opening import by, opened
from gateway.registry import audit
from gateway.registry.audit import AuditEntry, Break, Head
from gateway.registry.complaint import Complaint
from gateway.registry.numbers import folded, kind_of
from gateway.registry.registration import Registration
from gateway.registry.review import Review
from gateway.registry.update import DataUpdate

Request = Registration | Review | Complaint | DataUpdate
REQUESTS: dict[str, Any] = {"registration": Registration, "review": Review, "complaint": Complaint,
                            "update": DataUpdate}


@click.group(name="audit")
def audits() -> None:
    """The record of who saw or changed what."""


@audits.command()
@click.option("--against", type=click.File(encoding="utf-8"), help="heads that were kept elsewhere (audit head)")
def verify(against: TextIO | None) -> None:
    """Go along the whole chain and name every entry that was changed, removed or inserted."""
    kept = list(_read(against)) if against else []
    with opened() as runtime:
        with runtime.database.read() as session:
            entries = session.scalar(sa.select(sa.func.count()).select_from(AuditEntry)) or 0
        with click.progressbar(length=entries, label="audit", file=sys.stderr) as bar:
            breaks = audit.verify(runtime.database, runtime.vault, kept, bar.update)
    for one in breaks:
        click.echo(_told(one))
    if breaks:
        many = " or more" if len(breaks) >= audit.ENOUGH else ""
        raise click.ClickException(f"the audit is broken in {len(breaks)}{many} places")
    click.echo(
        f"{entries} entries, nothing changed, removed or inserted"
        + ("" if kept else "; only a head kept elsewhere (--against) shows that none is missing at the end")
    )


@audits.command()
def head() -> None:
    """Print where each strand ends: keep it where nobody with a hand on the database can reach."""
    with opened() as runtime, runtime.database.read() as session:
        click.echo(f"# audit, {runtime.clock().astimezone(UTC):%Y-%m-%d %H:%M} UTC: strand, entries, last link")
        for one in audit.heads(session):
            click.echo(f"{one.strand} {one.length} {one.link.hex() or '-'}")


@audits.command()
@click.option("--household", "number", help="a household's number (10 digits), or that of one of its requests (9)")
@click.option("--subject", help="one request, by its number or by its name in the tables")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--why", help="why you look; it is kept in the audit")
@by
def show(number: str | None, subject: str | None, limit: int, why: str | None, by: str) -> None:
    """The last acts: when, who, what, on what and why. That you looked is kept as well."""
    with opened() as runtime, runtime.database.write() as session:
        acts = audit.trail(session, runtime.vault, by=by, now=runtime.clock(), why=why, limit=limit,
                           household_id=household_of(session, runtime.vault, number) if number else None,
                           subject=_row(session, subject) if subject else None)
    for act in acts:
        detail = " ".join(f"{name}={value}" for name, value in sorted(act.detail.items()))
        click.echo(f"{act.at:%Y-%m-%d %H:%M:%S}  {act.by:16} {act.act:24} {act.subject or '-':36}  "
                   f"{act.why or '-'}  {detail}".rstrip())
    if not acts:
        click.echo("nothing is recorded")


def _told(one: Break) -> str:
    entries = f"entry {one.first}" if one.first == one.last else f"entries {one.first} to {one.last}"
    return f"strand {one.strand:2}, {entries}: {one.what}"


def _read(file: TextIO) -> Iterator[Head]:
    for number, line in enumerate(file, 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            strand, length, link = line.split()
            yield Head(int(strand), int(length), b"" if link == "-" else bytes.fromhex(link))
        except ValueError:
            raise click.UsageError(f"--against: line {number} is not a strand, a number of entries and a link, "
                                   "as `mouachir audit head` prints them") from None


def _row(session: Session, typed: str) -> UUID:
    request = _request(session, folded(typed))
    if request:
        return request.id
    try:
        return UUID(typed)
    except ValueError:
        raise click.ClickException("no request has this number; or give the row's name (a UUID)") from None


def _request(session: Session, number: str) -> Request | None:
    model = REQUESTS.get(kind_of(number) or "")
    return session.scalar(sa.select(model).where(model.number == number)) if model else None


commands: tuple[click.Command, ...] = (audits,)
