"""Demo: the main job as a tour, with faults on purpose, counted by the operator and not by us."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway import embedded, paper
from gateway.direct import fetch
from gateway.embedded import House
from gateway.importing import Imported, import_extract
from gateway.outbox import FINAL, Message
from gateway.registry.clock import end_of_office
from gateway.registry.complaint import Complaint
from gateway.registry.household import Contact, Household
from gateway.registry.review import Review
from gateway.registry.sample import write_sample
from gateway.registry.score import IndexScore, Notification
from gateway.runtime import Runtime
from gateway.settings import Settings
from gateway.sheets import pin_on_sheet
from gateway.story import Story, breaks, reproduced

HOUSEHOLDS = 2000
SEED = 580
SETTLED_WITHIN_S = 90
# Each in the share of sends, or of receipts, that it befalls.
FAULTS: dict[str, dict[str, Any]] = {
    "twilio": {"stall_after": 0.01, "stall_s": 12, "error_after": 0.01, "error_before": 0.01, "duplicate_receipts": 0.1,
               "reorder_receipts": 0.1, "early_receipts": 0.05, "throttle": 0.01, "delay_s": 0.05},
    "africastalking": {"refuse": 0.05, "stall_after": 0.01, "stall_s": 12, "duplicate_receipts": 0.1,
                       "early_receipts": 0.05, "delay_s": 0.05},
}
# From a tenth to a third of the texts, this one accepts all and answers none.
STUCK = "twilio"
# An hour of patience would be right in service; a tour has a minute.
HASTE = {"LEASE_S": "12", "RECONCILE_AFTER_S": "2", "UNKNOWN_FOR_S": "10"}


@dataclass
class Figures:
    """The last line of the tour."""

    households: int = 0
    imported: int = 0
    rejected: int = 0
    scored: int = 0
    sms_sent: int = 0
    sms_delivered: int = 0
    sms_failed: int = 0
    letters: int = 0
    letter_pages: int = 0
    ussd_calls: int = 0
    reviews: int = 0
    complaints: int = 0
    lost: int = 0
    duplicates: int = 0
    chapters: int = 0
    reproduced: int = 0
    not_reproduced: int = 0
    audit_breaks: int = 0
    seconds: float = 0


class Tour:
    """The steps, in order. Each leaves what it saw in `figures`."""

    def __init__(self, house: House, runtime: Runtime, folder: Path, console: Console) -> None:
        self.house = house
        self.runtime = runtime
        self.folder = folder
        self.console = console
        self.figures = Figures()

    def import_extract(self) -> Imported:
        """Load the extract; notices are due from the first batch on, and go out while the rest is read."""
        file = self.folder / "extract.jsonl"
        with file.open("wb") as out:
            counts = write_sample(out, HOUSEHOLDS, SEED, date.today())  # noqa: DTZ011
        self.say(f"An extract of {counts.households} invented households and {counts.bad} bad rows.")
        with file.open("rb") as stream, self.bar("import", file.stat().st_size) as advance:
            done = import_extract(self.runtime, stream, self.folder / "report.jsonl", advance)
        self.figures.households, self.figures.imported, self.figures.rejected = HOUSEHOLDS, done.new, done.refused
        self.say(f"{done.new} loaded, {done.refused} rows refused, each with its line, field and reason.")
        return done

    def deliver(self) -> None:
        """Wait until every text has ended, killing a worker on the way."""
        total = self._count(Message.medium == "sms")
        killed = stuck = False
        deadline = time.monotonic() + SETTLED_WITHIN_S
        with self.bar("texts told", total) as advance:
            while (ended := self._count(Message.medium == "sms", Message.state.in_(FINAL))) < total:
                advance(ended)
                if not stuck and ended > total * 0.1:
                    self.operator("/sandbox/behaviour", {"provider": STUCK, "stall_after": 1.0})
                    stuck = True
                if not killed and ended > total * 0.3:
                    self.house.kill("worker1")
                    self.operator("/sandbox/behaviour", {"provider": STUCK, **FAULTS[STUCK]})
                    killed = True
                if time.monotonic() > deadline:
                    break
                time.sleep(0.5)
            advance(ended)
        self.say(f"{ended} of {total} texts have ended. On the way {STUCK} took texts and stopped answering"
                 f"{', a worker was killed with kill -9' if killed else ''}; both refused some, and repeated receipts.")

    def post_letters(self) -> None:
        """Print what is due on paper."""
        paper.print_all(self.runtime)
        sheets = sum(len(run.letters) for run in self.runtime.tray.runs())
        self.say(f"{sheets} letters lie in the tray, one PDF a run, with a manifest.")

    def call(self) -> None:
        """Two households dial: in Arabic and in French. The PIN is read from the sheet, as they would."""
        for locale, key in (("ar-MA", "1"), ("fr-MA", "2")):
            self._household_calls(locale, key)

    def again(self) -> None:
        """The same file once more changes nothing and tells nobody."""
        file = self.folder / "extract.jsonl"
        with file.open("rb") as stream, self.bar("same file again", file.stat().st_size) as advance:
            done = import_extract(self.runtime, stream, self.folder / "again.jsonl", advance)
        self.say(f"The same file again: {done.new} new, {done.changed} changed, {done.posted} notices.")

    def story(self) -> bool:
        """Six households through the registry; then every score is computed anew, and the audit gone along."""
        def inbox(msisdn: str) -> list[dict[str, Any]]:
            texts: list[dict[str, Any]] = self.operator(f"/sandbox/handset/{msisdn}/inbox")
            return texts

        self.console.rule("Six households through the registry")
        ended = Story(self.runtime, inbox, self.folder, self.say,
                      lambda text: self.console.print(Panel(text, width=76), soft_wrap=False)).tell()
        figures = self.figures
        figures.chapters = sum(ended.values())
        figures.reproduced, figures.not_reproduced = reproduced(self.runtime)
        figures.audit_breaks = breaks(self.runtime)
        for chapter in [name for name, well in ended.items() if not well]:
            self.say(f"The chapter {chapter} did not end as it should.")
        return all(ended.values()) and not figures.not_reproduced and not figures.audit_breaks

    def count(self) -> Figures:
        """`lost` and `duplicates` by what the operator received and the tray printed, not by our own tables."""
        accepted = self.operator("/sandbox/messages")
        runs = self.runtime.tray.runs()
        by_body = Counter((text["to"], text["body"]) for text in accepted)
        figures = self.figures
        with self.runtime.database.read() as session:
            figures.scored = _number(session, IndexScore, IndexScore.value.is_not(None))
            figures.reviews, figures.complaints = _number(session, Review), _number(session, Complaint)
            figures.sms_sent = len(accepted)
            figures.sms_delivered = self._count(Message.medium == "sms", Message.state == "delivered")
            figures.sms_failed = self._count(Message.medium == "sms", Message.state == "failed")
            told = self._told(session, {text["body"] for text in accepted if text["delivered_at"]})
        figures.letters, figures.letter_pages = sum(len(run.letters) for run in runs), sum(run.pages for run in runs)
        figures.lost = figures.households - len(told)
        figures.duplicates = sum(count - 1 for count in by_body.values()) + sum(n - 1 for n in told.values())
        return figures

    def _told(self, session: Any, delivered: set[str]) -> Counter[str]:
        """How often each household was told its index: by a text in its inbox, or on a sheet of paper."""
        notices = session.scalars(sa.select(Message).where(Message.notice == "index_assigned")).all()
        on_paper = {message.token: str(message.household_id) for message in notices if message.medium == "letter"}
        papers = Counter(on_paper[entry.token] for run in self.runtime.tray.runs() for entry in run.letters
                         if entry.token in on_paper)
        return papers + Counter(
            str(message.household_id) for message in notices if message.medium == "sms"
            and self.runtime.vault.open(message.body_sealed, "message.body", message.id) in delivered)

    def _household_calls(self, locale: str, key: str) -> None:
        msisdn, household_id = self._somebody(locale)
        self._dial(msisdn, [key, "8", "2", "2", "1"], quiet=True)
        paper.print_due(self.runtime)
        pin = pin_on_sheet(self.runtime.tray, self._letter_of(household_id))
        shown = self._dial(msisdn, ["2", pin, "98", "98"])
        # Who hung up in the middle of something is offered to go on with it: home first.
        self._dial(msisdn, ["00", "4", pin, "9", "1"], quiet=True)
        self._dial(msisdn, ["5", "1", "3", "1", "1"], quiet=True)
        self.console.print(Panel("\n---\n".join(shown), title=f"*580#  {locale}", width=76), soft_wrap=False)

    def _somebody(self, locale: str) -> tuple[str, UUID]:
        """A household that was told by text and whose telephone nobody shares."""
        lonely = sa.select(Contact.msisdn_blind).group_by(Contact.msisdn_blind).having(sa.func.count() == 1)
        with self.runtime.database.read() as session:
            contact = session.scalars(
                sa.select(Contact).join(Household).join(Notification, Notification.household_id == Household.id)
                .where(Household.locale == locale, Notification.medium == "sms", Contact.msisdn_blind.in_(lonely),
                       Contact.kind == "mobile").order_by(Contact.id).limit(1)).one()
            msisdn = self.runtime.vault.open(contact.msisdn_sealed, "contact.msisdn", contact.id)
            return msisdn, contact.household_id

    def _letter_of(self, household_id: UUID) -> str:
        with self.runtime.database.read() as session:
            return str(session.scalars(sa.select(Message.reference).where(
                Message.household_id == household_id, Message.medium == "letter", Message.notice == "pin")).one())

    def _dial(self, msisdn: str, keys: list[str], *, quiet: bool = False) -> list[str]:
        address = f"/sandbox/handset/{msisdn}/ussd"
        screens = [self.operator(address, {"dial": self.runtime.settings.service_code})]
        for one in keys:
            if screens[-1]["final"]:
                break
            screens.append(self.operator(address, {"type": one}))
        if not screens[-1]["final"]:
            self.operator(address, {"hang_up": True})
        self.figures.ussd_calls += 1
        return [] if quiet else [screen["text"] for screen in screens]

    def operator(self, path: str, asked: dict[str, Any] | None = None) -> Any:
        """Speak to the sandbox operator's controls."""
        return json.loads(fetch(self.house.operator_url + path, 15, asked=asked))

    def _count(self, *where: Any) -> int:
        with self.runtime.database.read() as session:
            return _number(session, Message, *where)

    def say(self, line: str) -> None:
        """One line of the tour."""
        self.console.print(f"  {line}")

    def bar(self, label: str, total: int) -> Bar:
        """A progress bar that is told absolute positions."""
        return Bar(label, total, self.console)


class Bar:
    """`with Bar(...) as advance: advance(position)`."""

    def __init__(self, label: str, total: int, console: Console) -> None:
        self._progress = Progress(TextColumn("  {task.description:16}"), BarColumn(), MofNCompleteColumn(),
                                  TimeElapsedColumn(), console=console)
        self._task = self._progress.add_task(label, total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda position: self._progress.update(self._task, completed=position)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def tour() -> int:
    """Run the demo in `var/demo`. Returns the exit status: 0 when nobody was lost or told twice."""
    began = time.monotonic()
    console = Console(width=100, soft_wrap=True)
    folder = embedded.VAR / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    console.rule("Mouachir: from a registry extract to a text, a letter and a call")
    with embedded.house(folder, **HASTE) as house:
        runtime = Runtime.open(Settings.from_env(house.environment))
        steps = Tour(house, runtime, folder, console)
        for provider, faults in FAULTS.items():
            steps.operator("/sandbox/behaviour", {"provider": provider, **faults})
        steps.import_extract()
        steps.deliver()
        steps.post_letters()
        for provider in FAULTS:
            steps.operator("/sandbox/behaviour", {"provider": provider, "reset": True})
        steps.call()
        # The tour does not wait until the post takes letters again: it looks in when it does.
        posted_on = runtime.post.takes_on(runtime.clock())
        for run in runtime.tray.runs():
            paper.post(runtime.at(lambda: end_of_office(posted_on)), run.name)
        steps.again()
        figures = steps.count()
        well = steps.story()
        figures.seconds = round(time.monotonic() - began, 1)
        _show(console, figures, house)
        runtime.close()
    print("demo:", json.dumps(asdict(figures)))  # noqa: T201
    return 0 if well and figures.lost == figures.duplicates == 0 else 1


def _show(console: Console, figures: Figures, house: House) -> None:
    table = Table(show_header=False)
    for name, value in asdict(figures).items():
        table.add_row(name.replace("_", " "), str(value))
    table.add_row("processes restarted", str(house.restarts))
    console.print(table)


def _number(session: Any, model: Any, *where: Any) -> int:
    return int(session.scalar(sa.select(sa.func.count()).select_from(model).where(*where)) or 0)
