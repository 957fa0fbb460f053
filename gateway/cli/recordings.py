"""Commands on recordings: what a speaker must still say, what is there, and speech made here to try it out."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.cli.opening import settings
from gateway.dialogue.household import HOUSEHOLD
from gateway.recordings import Recordings
from gateway.studio import SLOTS, script
from gateway.synthesizer import NoSynthesizer, Synthesizer
from gateway.words import all_words

ROW = "{:10} {:>4} needed  {:>4} recorded  {:>4} missing  {:>4} stale  {:>4} bad  {:>4} synthesized  {}"

a_slot = click.argument("slot", type=click.Choice(list(SLOTS)))
a_folder = click.option("--folder", type=click.Path(file_okay=False, path_type=Path),
                        help="where the recordings are; RECORDINGS_DIR if not given")


@click.group()
def recordings() -> None:
    """What is heard in a call: the script for a speaker, the files, and speech made on this machine."""


@recordings.command(name="list")
@a_folder
def list_(folder: Path | None) -> None:
    """Each slot: what is needed, what is there, and whether calls can be taken in it."""
    here = _opened(folder)
    for slot in SLOTS:
        stands = here.manifest(slot)
        click.echo(ROW.format(slot, len(here.needed(slot)), len(stands["recorded"]), len(stands["missing"]),
                              len(stands["stale"]), len(stands["bad"]), len(stands["synthesized"]),
                              "calls can be taken" if stands["speakable"] else "no calls: it cannot be spoken"))
        for bad in stands["bad"]:
            click.echo(f"  {bad['file']}: {bad['reason']}", err=True)


@recordings.command(name="script")
@a_slot
@click.option("--missing", is_flag=True, help="only what is not recorded yet")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="the file; standard output if not given")
@a_folder
def script_(slot: str, missing: bool, out: Path | None, folder: Path | None) -> None:
    """Write a table for the studio (CSV): the file to make, the words, where they are heard, how they are said."""
    here = _opened(folder)
    takes = here.missing(slot) if missing else tuple(here.needed(slot).values())
    if out:
        # The mark at its beginning is what spreadsheets know UTF-8 by.
        try:
            out.write_text(script(takes), encoding="utf-8-sig", newline="")
        except OSError as error:
            raise click.ClickException(f"{out} cannot be written: {error.strerror}") from None
        click.echo(f"{out}: {len(takes)} takes")
    else:
        click.echo(script(takes), nl=False)


@recordings.command()
@a_slot
@a_folder
def manifest(slot: str, folder: Path | None) -> None:
    """Tell as JSON what is there, with digest and length, and what is missing, stale or bad."""
    click.echo(json.dumps(_opened(folder).manifest(slot), ensure_ascii=False, indent=1))


@recordings.command()
@a_slot
@a_folder
def synthesize(slot: str, folder: Path | None) -> None:
    """Make by a synthesizer what nobody has recorded, in a folder apart; heard where SYNTHESIZED_SPEECH is yes."""
    here = _opened(folder)
    target = here.synthesized(slot)
    missing = here.missing(slot)
    try:
        synthesizer = Synthesizer()
        for take in missing:
            spoken = synthesizer.wav(take.text, slot)
            target.mkdir(parents=True, exist_ok=True)
            (target / f"{take.stem}.wav").write_bytes(spoken)
    except NoSynthesizer as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{target}: {len(missing)} files")


def _opened(folder: Path | None) -> Recordings:
    return Recordings(folder or settings().recordings, all_words(), HOUSEHOLD)


commands: tuple[click.Command, ...] = (recordings,)
