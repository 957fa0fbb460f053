"""What is played is what was read and approved; a change shows in the diff of a text file."""

from __future__ import annotations

import pytest

from gateway.words import LOCALES, Words
from tests.dialogue.transcripts import FOLDER, SCENES, play_scene, transcripts


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", SCENES)
def test_a_conversation_goes_as_it_was_approved(words, name, locale):
    approved = (FOLDER / locale / f"{name}.txt").read_text(encoding="utf-8")
    assert play_scene(SCENES[name], locale, words) == approved, "python -m tests.dialogue.transcripts"


def test_no_approved_conversation_is_left_unplayed(words):
    assert {file for file, _ in transcripts(words)} == set(FOLDER.rglob("*.txt"))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("name", SCENES)
def test_every_conversation_comes_to_its_end(words, name, locale):
    text = play_scene(SCENES[name], locale, words)
    assert text.endswith("the call ends)\n")
