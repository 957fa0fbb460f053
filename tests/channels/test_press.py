"""The press: one compiler for all files of a thread, and no file leaves a trace in the next."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest

from channels.letter import press
from channels.letter.bundle import Cover
from channels.letter.page import print_letters
from channels.letter.press import SheetError
from tests.channels.test_letter import DAY, FRENCH, a_letter

A_COVER = Cover("20261121T180000000000-abcdef", 1, 2, 1, "10000", "")
FILES = {"one": ([a_letter()], None), "in a bundle": ([a_letter(number="580999999", pin="615382")], A_COVER),
         "short": ([a_letter(documents={"fr-MA": FRENCH}, order=("fr-MA",))], None)}


@pytest.fixture
def printed(tmp_path):
    def printed(name: str, day: date = DAY) -> bytes:
        letters, cover = FILES[name]
        print_letters(letters, tmp_path / "letters.pdf", day, cover)
        return (tmp_path / "letters.pdf").read_bytes()

    return printed


@pytest.fixture
def by_a_new_press(printed, monkeypatch):
    """The same file, of a press that has set nothing before."""

    def by_a_new_press(name: str) -> bytes:
        with monkeypatch.context() as patched:
            patched.setattr(press, "_press", press._Press())
            return printed(name)

    return by_a_new_press


def test_a_file_is_the_same_whatever_was_set_before_it(printed, by_a_new_press):
    new = {name: by_a_new_press(name) for name in FILES}
    assert len(set(new.values())) == len(FILES)
    for name in [*FILES, *reversed(FILES), *FILES]:
        assert printed(name) == new[name], name
    assert printed("one", date(2026, 11, 22)) != new["one"]
    assert printed("one") == new["one"]


def test_a_file_that_could_not_be_set_does_not_spoil_the_next(printed, by_a_new_press, tmp_path):
    new = by_a_new_press("one")
    for _ in range(2):
        with pytest.raises(SheetError) as failed:
            print_letters([a_letter(service_code=5)], tmp_path / "letters.pdf", DAY)
        assert "580123457" not in str(failed.value)
        assert printed("one") == new


def test_threads_set_at_once_and_each_its_own(tmp_path, by_a_new_press):
    new = {name: by_a_new_press(name) for name in FILES}

    def work(place: int) -> bool:
        name = list(FILES)[place % len(FILES)]
        letters, cover = FILES[name]
        out = tmp_path / f"{place}.pdf"
        print_letters(letters, out, DAY, cover)
        return out.read_bytes() == new[name]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(24)))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux says it here")
def test_file_after_file_takes_no_more_memory(tmp_path):
    """A page costs over a megabyte; five files of thirty would leave 150 behind."""
    def a_file(place: int) -> None:
        letters = [a_letter(number=f"{580_000_000 + 100 * place + one}") for one in range(30)]
        print_letters(letters, tmp_path / "letters.pdf", DAY)

    for place in range(3):
        a_file(place)
    before = resident_mb()
    for place in range(3, 8):
        a_file(place)
    assert resident_mb() < before + 40
