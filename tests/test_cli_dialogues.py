"""`mouachir dialogue`: what whoever writes the screens wants to see of them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.dialogue.household import HOUSEHOLD
from gateway.dialogue.longest import SHOWN
from gateway.words import SCREENS


def run(*arguments: str):
    return CliRunner().invoke(main, ["dialogue", *arguments])


def test_every_screen_is_measured_at_its_longest_on_each_network_within_its_limit():
    done = run("lint", "--all", "--language", "ar-MA")
    measured = [line.split() for line in done.stdout.splitlines() if " pages " in line]
    assert done.exit_code == 0
    assert {row[0] for row in measured} == set(SHOWN)
    assert {row[2] for row in measured} == {"160/70", "182/80"}
    assert all(int(row[4]) <= int(row[6]) for row in measured)


def test_what_no_native_reader_has_read_is_listed():
    done = run("lint")
    assert all(f"{locale}: no native reader" in done.stdout for locale in SCREENS)
    assert "index_assigned (zgh-MA)" in done.stdout


def test_the_picture_holds_each_state_once_and_each_way():
    drawn = ElementTree.fromstring(run("graph").stdout)
    texts = [span.text for span in drawn.iter("{http://www.w3.org/2000/svg}tspan")]
    for state in HOUSEHOLD.states:
        assert len([text for text in texts if text.startswith(f"{state}  [")]) == 1
    assert "-> complaint" in texts


def test_the_picture_is_written_to_a_file(tmp_path):
    out = tmp_path / "tree.svg"
    assert run("graph", "--out", str(out)).exit_code == 0
    assert out.read_text(encoding="utf-8").startswith("<svg")


def test_a_call_is_played_as_text_and_nothing_is_done():
    done = run("transcript", "2", "482913", "--language", "fr-MA")
    assert "Votre indice:\n    10,1234567" in done.stdout
    assert "482913" in done.stdout


@pytest.mark.parametrize("keys", [("8", "5", "1", "1"), ("5", "1", "8", "1", "1")])
def test_a_key_after_the_end_of_the_call_is_said_to_be_one(keys):
    done = run("transcript", *keys, "--language", "fr-MA")
    assert (done.exit_code, "the call had ended before 1" in done.stderr) == (1, True)
