"""The vault: what it seals opens in its own place alone, what it fingerprints is found, what it hashes is proven."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vault import FORMAT, NONCE, CannotOpen, Vault

OLD, NEW = (1, b"o" * 32), (2, b"n" * 32)
ROW, OTHER = UUID(int=1), UUID(int=2)
COLUMN = "contact.msisdn"
TEXT = "+212612345678"
PIN = "407193"
vault = Vault([OLD])
quick = settings(deadline=None, database=None)
hashed = vault.hash_pin(PIN, ROW)


@given(st.text(), st.uuids())
@quick
def test_what_is_sealed_opens_in_its_place(text, row):
    assert vault.open(vault.seal(text, COLUMN, row), COLUMN, row) == text


@given(st.binary(), st.uuids())
@quick
def test_what_is_no_text_opens_in_its_place_as_well(content, row):
    assert vault.open_bytes(vault.seal_bytes(content, COLUMN, row), COLUMN, row) == content


@given(st.uuids().filter(lambda row: row != ROW))
@quick
def test_a_value_moved_to_another_row_does_not_open(row):
    with pytest.raises(CannotOpen):
        vault.open(vault.seal(TEXT, COLUMN, ROW), COLUMN, row)


@pytest.mark.parametrize("column", ["member.identity", "contact.msisdnx", "contact", "", "contact.msisdn\x1f"])
def test_a_value_moved_to_another_column_does_not_open(column):
    with pytest.raises(CannotOpen):
        vault.open(vault.seal(TEXT, COLUMN, ROW), column, ROW)


@given(st.data())
@settings(quick, max_examples=300)
def test_changed_bytes_do_not_open(data):
    sealed = bytearray(vault.seal(TEXT, COLUMN, ROW))
    where = data.draw(st.integers(0, len(sealed) - 1))
    sealed[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CannotOpen):
        vault.open(bytes(sealed), COLUMN, ROW)


def test_a_value_cut_short_or_made_longer_does_not_open():
    sealed = vault.seal(TEXT, COLUMN, ROW)
    for changed in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\x00"):
        with pytest.raises(CannotOpen):
            vault.open(changed, COLUMN, ROW)


def test_a_value_under_another_format_or_key_number_does_not_open():
    both = Vault([OLD, NEW])
    sealed = both.seal(TEXT, COLUMN, ROW)
    for header in (bytes([FORMAT, NEW[0]]), bytes([FORMAT + 1, OLD[0]]), bytes([FORMAT, 9])):
        with pytest.raises(CannotOpen):
            both.open(header + sealed[2:], COLUMN, ROW)


def test_the_same_value_is_never_sealed_alike():
    sealed = {vault.seal(TEXT, COLUMN, ROW) for _ in range(100)}
    assert len(sealed) == len({one[2 : 2 + NONCE] for one in sealed}) == 100


def test_the_refusal_to_open_quotes_nothing_sealed():
    with pytest.raises(CannotOpen) as refused:
        vault.open(vault.seal(TEXT, COLUMN, ROW), COLUMN, OTHER)
    assert str(refused.value) == f"{COLUMN}: changed, or moved from another row"
    assert refused.value.__cause__ is None


def test_after_a_change_of_keys_old_values_open_and_new_ones_are_sealed_with_the_first():
    changing, after = Vault([NEW, OLD]), Vault([NEW])
    before = vault.seal(TEXT, COLUMN, ROW)
    assert changing.open(before, COLUMN, ROW) == TEXT
    assert after.open(changing.seal(TEXT, COLUMN, ROW), COLUMN, ROW) == TEXT
    with pytest.raises(CannotOpen):
        after.open(before, COLUMN, ROW)


def test_during_a_change_of_keys_a_blind_look_up_finds_both():
    changing = Vault([NEW, OLD])
    assert set(changing.blinds(TEXT, COLUMN)) == {vault.blind(TEXT, COLUMN), Vault([NEW]).blind(TEXT, COLUMN)}
    assert changing.blind(TEXT, COLUMN) == Vault([NEW]).blind(TEXT, COLUMN)


def test_a_fingerprint_tells_apart_values_and_columns_and_says_nothing_without_the_key():
    prints = [vault.blind(TEXT, COLUMN), vault.blind(TEXT, "message.to"), vault.blind(TEXT + "0", COLUMN),
              vault.blind("m" + TEXT, "contact."), Vault([(1, b"x" * 32)]).blind(TEXT, COLUMN)]
    assert len(set(prints)) == len(prints)
    assert {len(one) for one in prints} == {32}
    assert vault.blind(TEXT, COLUMN) == vault.blind(TEXT, COLUMN)


def test_a_pin_is_proven_by_itself_alone_and_for_its_own_household():
    assert vault.proves_pin([hashed], PIN, ROW) == [True]
    assert vault.proves_pin([hashed], "407194", ROW) == [False]
    assert vault.proves_pin([hashed], PIN, OTHER) == [False]
    assert Vault([(1, b"x" * 32)]).proves_pin([hashed], PIN, ROW) == [False]


def test_two_households_with_the_same_pin_have_different_hashes():
    assert hashed == vault.hash_pin(PIN, ROW) != vault.hash_pin(PIN, OTHER)


def test_a_hash_says_which_pepper_and_argon2id_made_it_and_holds_no_pin():
    number, _, rest = hashed.partition("$")
    assert number == "1"
    assert rest.startswith("$argon2id$v=19$m=4096,t=1,p=1$")
    assert PIN not in hashed
    assert Vault([NEW, OLD]).hash_pin(PIN, ROW).startswith("2$")


def test_a_pin_of_the_old_pepper_is_proven_while_that_key_is_kept():
    assert Vault([NEW, OLD]).proves_pin([hashed], PIN, ROW) == [True]
    assert Vault([NEW]).proves_pin([hashed], PIN, ROW) == [False]


@pytest.mark.parametrize("stored", ["", "1", "1$", "1$nonsense", "$", "x$y", "1$$argon2id$v=19$m=4096,t=1,p=1$AA$AA"])
def test_a_damaged_hash_proves_nothing(stored):
    assert vault.proves_pin([stored], PIN, ROW) == [False]


def test_a_vault_without_a_key_is_not_opened():
    with pytest.raises(ValueError, match="at least one key"):
        Vault([])


def test_many_values_sealed_together_open_each_in_its_own_row_and_are_never_alike():
    sealed = vault.seal_all([(ROW, TEXT), (str(OTHER), TEXT), (ROW, "")], COLUMN)
    opened = [vault.open(one, COLUMN, row) for one, row in zip(sealed, (ROW, OTHER, ROW), strict=True)]
    assert opened == [TEXT, TEXT, ""]
    assert len({one[2:2 + NONCE] for one in sealed}) == 3
    with pytest.raises(CannotOpen):
        vault.open(sealed[0], COLUMN, OTHER)
    assert vault.seal_all([], COLUMN) == []
