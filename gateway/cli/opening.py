"""Opening: the house as a command finds it, and errors as a clerk reads them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

import click
import sqlalchemy as sa

from gateway import embedded
from gateway.registry.steps import NotAllowed
from gateway.runtime import Runtime
from gateway.settings import Settings, SettingsError, in_service

# What PostgreSQL calls a transaction that cannot be serialized, and a deadlock.
COLLISIONS = ("40001", "40P01")
AT_WORK = "another command was at work on the same rows; run it again: nothing was left half-done"
MANY = click.IntRange(1, 100_000)
# Who acts, for the audit.
by = click.option("--by", default=getpass.getuser, show_default="your name on this machine", help="who does this")


def settings() -> Settings:
    """The settings, or what is wrong with them."""
    try:
        return Settings.load()
    except SettingsError as error:
        raise click.ClickException(f"{error}\n(or start the embedded house: mouachir up)") from None


@contextmanager
def opened(*, prepare: bool = True, new: bool = False) -> Iterator[Runtime]:
    """The house; a `new` one is made where none is named and none is there.

    What is not allowed, a collision, and a database that does not answer become one sentence.
    """
    if prepare and not in_service() and not new and not embedded.is_there(embedded.VAR):
        raise click.ClickException(f"there is no house in {embedded.VAR}/: `mouachir up`, `import` or `register` makes "
                                   "one; or set VAR_DIR to where yours is, or DATABASE_URL (docs/settings.md)")
    if prepare and not in_service() and embedded.prepare(embedded.VAR):
        click.echo(f"a new embedded house is made in {embedded.VAR}/ (mouachir up runs it)", err=True)
    try:
        runtime = Runtime.open(settings())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None
    try:
        yield runtime
    except NotAllowed as error:
        raise click.ClickException(str(error)) from None
    except sa.exc.IntegrityError:
        raise click.ClickException(AT_WORK) from None
    except (sa.exc.OperationalError, sa.exc.ProgrammingError) as error:
        if getattr(error.orig, "sqlstate", None) in COLLISIONS:
            raise click.ClickException(AT_WORK) from None
        raise click.ClickException(f"the database cannot be used ({type(error.orig).__name__}): is DATABASE_URL right, "
                                   "does it run, has `mouachir release` been run?") from None
    finally:
        runtime.close()
