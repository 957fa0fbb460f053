"""The tray through a printing day: laid, kept or lost in a crash, posted."""

import csv
import hashlib
import json
import stat
from collections.abc import Sequence
from datetime import date

import pytest
from pypdf import PdfReader

from channels.letter import bundle as bundling
from channels.letter.page import Letter, Unprintable
from channels.letter.tray import AlreadyKept, NoSuchLetter, NoSuchRun, Run, Tray

PRINTED = date(2026, 11, 21)
POSTED = date(2026, 11, 23)
TEXT = """
== title
L’indice de votre ménage

== body
Votre indice est 9,4871236.

== pin
Code secret
{pin}
Gardez-le.
"""
PINS = {"580000010": "428517", "580000021": "907436", "580000032": "615382"}


def some_letters(*addresses: tuple[str, ...]) -> list[Letter]:
    addresses = addresses or (("Mme Zineb ALAOUI", "Douar Aït Zineb", "45000 OUARZAZATE"),) * 3
    return [
        Letter(number, f"household-{number[-3:]}", address, ("fr-MA",), {"fr-MA": TEXT}, "*580#", pin)
        for (number, pin), address in zip(PINS.items(), addresses, strict=False)
    ]


@pytest.fixture
def tray(tmp_path):
    return Tray(tmp_path / "tray")


def a_kept_run(tray: Tray, letters: list[Letter] | None = None) -> None:
    tray.lay("r1", letters or some_letters(), PRINTED)
    tray.keep("r1")


def modes(tray: Tray) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [tray.root, *tray.root.rglob("*")]}


def test_the_tray_is_for_the_service_alone(tmp_path):
    root = tmp_path / "tray"
    root.mkdir(mode=0o755)
    tray = Tray(root)
    a_kept_run(tray)
    tray.post("r1", POSTED, ["580000010"])
    assert modes(tray) == {
        "tray": 0o700, "r1": 0o700, "letters.pdf": 0o600, "manifest.csv": 0o600, "manifest.json": 0o600,
    }


def test_a_run_is_one_file_to_print_and_a_manifest_of_it(tray):
    a_kept_run(tray)
    (run,) = tray.runs()
    assert (run.name, run.printed_on, run.state, run.pages) == ("r1", PRINTED, "printed", 3)
    assert len(PdfReader(run.path / "letters.pdf").pages) == 3
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert manifest["letters"][1] == {
        "number": "580000021", "token": "household-021", "pages": 1,
        "address": "Mme Zineb ALAOUI, Douar Aït Zineb, 45000 OUARZAZATE", "state": "printed", "posted_on": None,
    }
    with (run.path / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["number"] for row in rows] == list(PINS)
    assert rows[0]["address"] == "Mme Zineb ALAOUI, Douar Aït Zineb, 45000 OUARZAZATE"
    assert (run.path / "manifest.csv").read_bytes().count(b"\r\n") == 4


def test_a_pin_is_on_its_sheet_and_nowhere_else(tray):
    a_kept_run(tray)
    (run,) = tray.runs()
    sheets = [page.extract_text() for page in PdfReader(run.path / "letters.pdf").pages]
    assert [pin in sheet for pin, sheet in zip(PINS.values(), sheets, strict=True)] == [True, True, True]
    for file in ("manifest.json", "manifest.csv"):
        assert not any(pin in (run.path / file).read_text() for pin in PINS.values())
    assert not any(pin in repr(run) for pin in PINS.values())


@pytest.mark.parametrize("name", ["=HYPERLINK(\"x\")", "+1", "-1", "@SUM(A1)"])
def test_no_name_becomes_a_formula_in_a_spreadsheet(tray, name):
    a_kept_run(tray, some_letters((name, '12, rue "des Roses"')))
    (run,) = tray.runs()
    with (run.path / "manifest.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["address"] == f'\'{name}, 12, rue "des Roses"'
    assert run.letters[0].address == f'{name}, 12, rue "des Roses"'


def test_the_manifest_holds_the_address_as_the_sheet_shows_it(tray):
    a_kept_run(tray, some_letters(("\u202eZineb\n ALAOUI", "", "45000\tOUARZAZATE")))
    assert tray.runs()[0].letters[0].address == "Zineb ALAOUI, 45000 OUARZAZATE"


def test_a_run_laid_before_a_crash_is_found_and_can_be_kept(tray):
    tray.lay("r1", some_letters(), PRINTED)
    after = Tray(tray.root)
    assert (after.unfinished(), after.runs()) == (["r1"], [])
    after.keep("r1")
    after.keep("r1")
    assert (after.unfinished(), [run.name for run in after.runs()]) == ([], ["r1"])


def test_a_run_laid_before_a_crash_can_be_discarded_and_its_pins_are_gone(tray):
    tray.lay("r1", some_letters(), PRINTED)
    tray.discard("r1")
    tray.discard("r1")
    assert list(tray.root.iterdir()) == []
    with pytest.raises(NoSuchRun):
        tray.keep("r1")


def test_a_run_laid_again_after_a_crash_takes_the_place_of_the_first(tray):
    tray.lay("r1", some_letters(), PRINTED)
    (tray.root / "r1.part" / "manifest.json").unlink()
    tray.lay("r1", some_letters()[:1], PRINTED)
    tray.keep("r1")
    assert [entry.number for entry in tray.runs()[0].letters] == ["580000010"]


def test_a_kept_run_is_neither_printed_over_nor_discarded(tray):
    a_kept_run(tray)
    with pytest.raises(AlreadyKept):
        tray.lay("r1", some_letters()[:1], PRINTED)
    tray.discard("r1")
    assert len(tray.runs()[0].letters) == 3


def test_a_run_that_cannot_be_printed_leaves_nothing_behind(tray):
    with pytest.raises(Unprintable, match="580000021"):
        tray.lay("r1", some_letters(("Mme Zineb ALAOUI",), (" ",)), PRINTED)
    with pytest.raises(ValueError, match="two letters have the same number"):
        tray.lay("r1", some_letters()[:1] * 2, PRINTED)
    assert list(tray.root.iterdir()) == []


def test_the_sheets_are_removed_once_all_letters_are_posted_and_not_before(tray):
    a_kept_run(tray)
    some = tray.post("r1", POSTED, ["580000010", "580000032"])
    assert [entry.state for entry in some.letters] == ["posted", "printed", "posted"]
    assert (some.state, (some.path / "letters.pdf").exists()) == ("printed", True)
    every = tray.post("r1", date(2026, 11, 24))
    assert [entry.posted_on for entry in every.letters] == [POSTED, date(2026, 11, 24), POSTED]
    assert (every.state, (every.path / "letters.pdf").exists()) == ("posted", False)
    assert tray.runs() == [every]
    assert not any(pin.encode() in file.read_bytes() for file in every.path.iterdir() for pin in PINS.values())


def test_the_address_of_a_letter_goes_from_the_manifest_when_the_letter_goes_to_the_post(tray):
    a_kept_run(tray)
    run = tray.post("r1", POSTED, ["580000010"])
    assert [bool(entry.address) for entry in run.letters] == [False, True, True]
    tray.post("r1", POSTED)
    for file in run.path.iterdir():
        assert "ALAOUI" not in file.read_text(encoding="utf-8")


def test_posting_twice_changes_nothing(tray):
    a_kept_run(tray)
    first = tray.post("r1", POSTED)
    files = {file.name: file.read_bytes() for file in first.path.iterdir()}
    assert tray.post("r1", date(2026, 12, 1)) == first
    assert {file.name: file.read_bytes() for file in first.path.iterdir()} == files
    with (first.path / "manifest.csv").open(newline="") as file:
        assert {(row["state"], row["posted_on"]) for row in csv.DictReader(file)} == {("posted", "2026-11-23")}


def test_posting_after_a_crash_ends_what_the_first_began(tray):
    a_kept_run(tray)
    run = tray.runs()[0]
    sheets, table = (run.path / "letters.pdf").read_bytes(), (run.path / "manifest.csv").read_bytes()
    tray.post("r1", POSTED)
    # As it stands when the power goes between the record and the rest.
    (run.path / "letters.pdf").write_bytes(sheets)
    (run.path / "manifest.csv").write_bytes(table)
    tray.post("r1", POSTED)
    assert not (run.path / "letters.pdf").exists()
    assert b"posted,2026-11-23" in (run.path / "manifest.csv").read_bytes()


def test_posting_what_is_not_there_records_nothing(tray):
    a_kept_run(tray)
    with pytest.raises(NoSuchLetter, match="580000099"):
        tray.post("r1", POSTED, ["580000010", "580000099"])
    assert {entry.state for entry in tray.runs()[0].letters} == {"printed"}
    with pytest.raises(NoSuchRun):
        tray.post("r2", POSTED)
    tray.lay("r2", some_letters(), PRINTED)
    with pytest.raises(NoSuchRun):
        tray.post("r2", POSTED)


@pytest.mark.parametrize("name", ["../r1", "", "r1.part", "/etc", "a/b", ".."])
def test_the_name_of_a_run_never_leads_out_of_the_tray(tray, name):
    for step in (lambda: tray.lay(name, some_letters(), PRINTED), lambda: tray.keep(name),
                 lambda: tray.discard(name), lambda: tray.post(name, POSTED)):
        with pytest.raises(ValueError, match="a run's name is"):
            step()


# Bundles

MANY = [f"{581_000_000 + number}" for number in range(150)]
CODES = ["45000"] * 90 + ["46000"] * 59 + [""]


def a_large_run(tray: Tray, numbers: Sequence[str] = MANY, **longer: str) -> None:
    """150 letters, or fewer: ninety of one postal code, then those of another, and one without."""
    tray.lay("r1", [
        Letter(number, number, ("Mme Zineb ALAOUI", f"{code} OUARZAZATE".strip()), ("fr-MA",),
               {"fr-MA": longer.get("text", TEXT)}, "*580#", f"{428_517 + place}")
        for place, (number, code) in enumerate(zip(numbers, CODES, strict=False))], PRINTED)
    tray.keep("r1")


def pages_of(run: Run, file: str) -> list[str]:
    return [page.extract_text() for page in PdfReader(run.path / file).pages]


def test_a_large_run_is_several_files_that_end_where_the_postal_code_changes(tray):
    a_large_run(tray)
    (run,) = tray.runs()
    assert [(one.file, one.letters, one.pages, one.first_code, one.last_code) for one in run.bundles] == [
        ("letters-001.pdf", 90, 91, "45000", "45000"), ("letters-002.pdf", 60, 61, "46000", "")]
    assert [entry.number for entry in run.letters] == MANY
    assert {stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()} == {0o600}


def test_the_manifest_has_the_checksum_of_each_file(tray):
    a_large_run(tray)
    (run,) = tray.runs()
    manifest = json.loads((run.path / "manifest.json").read_text())
    for bundle in manifest["bundles"]:
        assert hashlib.sha256((run.path / bundle["file"]).read_bytes()).hexdigest() == bundle["sha256"]
    assert len({bundle["sha256"] for bundle in manifest["bundles"]}) == 2


def test_on_top_of_each_bundle_lies_a_cover_that_names_nobody(tray):
    a_large_run(tray)
    (run,) = tray.runs()
    covers = [pages_of(run, bundle.file)[0] for bundle in run.bundles]
    for cover, told in zip(covers, (["1 / 2", "45000", "90", "91"], ["2 / 2", "46000", "sans code", "60", "61"]),
                           strict=True):
        assert all(one in cover for one in ("r1", *told))
        assert not any(personal in cover for personal in ("ALAOUI", "OUARZAZATE", "428", MANY[0]))


def test_every_letter_is_found_on_its_page_of_its_file(tray):
    a_large_run(tray)
    (run,) = tray.runs()
    texts = {bundle.file: pages_of(run, bundle.file) for bundle in run.bundles}
    for place, number in enumerate(MANY):
        file, page = run.page_of(number)
        assert f"{428_517 + place}" in texts[file.name][page], number
    with pytest.raises(NoSuchLetter):
        run.page_of("580000010")


def test_in_a_run_with_a_slip_every_letter_begins_on_a_front(tray):
    a_large_run(tray, text=f"{TEXT}\n\n== form\nRéponse\n[ ] Révision\n___ Date")
    (run,) = tray.runs()
    texts = {bundle.file: pages_of(run, bundle.file) for bundle in run.bundles}
    assert {bundle.file: bundle.pages for bundle in run.bundles} == {file: len(pages) for file, pages in texts.items()}
    for place, number in enumerate(MANY):
        file, page = run.page_of(number)
        assert page % 2 == 0
        assert f"{428_517 + place}" in texts[file.name][page], number


def test_letters_that_turn_out_to_be_longer_are_cut_anew(tray, monkeypatch):
    monkeypatch.setattr(bundling, "MOST_PAGES", 12)
    a_large_run(tray, MANY[:12], text=f"{TEXT}\n\n== steps\n" + "Composez le *580#.\n" * 60)
    (run,) = tray.runs()
    assert {entry.pages for entry in run.letters} == {2}
    assert [(one.letters, one.pages) for one in run.bundles] == [(5, 11), (5, 11), (2, 5)]
    assert sorted(path.name for path in run.path.glob("*.pdf")) == [one.file for one in run.bundles]


def test_the_files_of_a_large_run_are_removed_once_all_its_letters_are_posted(tray):
    a_large_run(tray)
    tray.post("r1", POSTED, MANY[1:])
    assert len(list(tray.runs()[0].path.glob("*.pdf"))) == 2
    tray.post("r1", POSTED)
    assert {path.name for path in tray.runs()[0].path.iterdir()} == {"manifest.csv", "manifest.json"}


def test_a_run_that_was_printed_before_there_were_bundles_is_read_and_posted(tray):
    a_kept_run(tray)
    manifest = tray.root / "r1" / "manifest.json"
    manifest.write_text(json.dumps({key: value for key, value in json.loads(manifest.read_text()).items()
                                    if key != "bundles"}))
    assert tray.post("r1", POSTED).state == "posted"
    assert not (tray.root / "r1" / "letters.pdf").exists()


# Spoilt sheets


def test_a_spoilt_sheet_is_not_posted_with_its_run_and_does_not_hold_it_back(tray):
    a_kept_run(tray)
    for _ in range(2):
        run = tray.spoil("r1", "580000021")
    assert [(entry.state, bool(entry.address)) for entry in run.letters] == [
        ("printed", True), ("spoilt", False), ("printed", True)]
    run = tray.post("r1", POSTED)
    assert [entry.posted_on for entry in run.letters] == [POSTED, None, POSTED]
    assert (run.state, (run.path / "letters.pdf").exists()) == ("posted", False)


def test_the_sheets_go_when_the_last_one_is_spoilt_and_what_was_posted_is_not_spoilt(tray):
    a_kept_run(tray)
    tray.post("r1", POSTED, ["580000010", "580000021"])
    run = tray.spoil("r1", "580000032")
    assert (run.state, (run.path / "letters.pdf").exists()) == ("posted", False)
    assert tray.spoil("r1", "580000010") == run
    with pytest.raises(NoSuchLetter):
        tray.spoil("r1", "580000099")
    with pytest.raises(NoSuchRun):
        tray.spoil("r2", "580000010")
