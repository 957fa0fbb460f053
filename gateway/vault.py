"""Vault: seals what is personal, finds it again without opening it, and proves a PIN. The keys live here only.

AES-256-GCM (NIST SP 800-38D) bound to the column and row, HMAC-SHA256 blind indexes, Argon2id (RFC 9106)
over a peppered PIN. All keys are derived from `SECRET_KEYS` by HKDF (RFC 5869), one for each purpose.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from uuid import UUID

from argon2 import PasswordHasher
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FORMAT = 1
NONCE = 12
# Six digits are a million guesses: the pepper and the lock-out protect them, not the cost of the hash.
PIN_HASHER = PasswordHasher(time_cost=1, memory_cost=4 * 1024, parallelism=1)


class CannotOpen(Exception):
    """A sealed value that no key opens, or that was moved from another row."""


class Vault:
    """Opens with every key it was given; seals, and makes blind indexes, with the first."""

    def __init__(self, keys: Iterable[tuple[int, bytes]]) -> None:
        keys = tuple(keys)
        if not keys:
            raise ValueError("a vault needs at least one key")
        self._primary = keys[0][0]
        self._ciphers = {number: AESGCM(_derive(key, b"seal")) for number, key in keys}
        self._index_keys = {number: _derive(key, b"blind index") for number, key in keys}
        self._peppers = {number: _derive(key, b"pin pepper") for number, key in keys}

    def seal(self, text: str, column: str, row: UUID | str) -> bytes:
        """Encrypt `text` for this column (`contact.msisdn`) of this row alone."""
        return self.seal_bytes(text.encode(), column, row)

    def seal_all(self, texts: Sequence[tuple[UUID | str, str]], column: str) -> list[bytes]:
        """The same for many rows: what is random of all of them is asked for at once."""
        encrypt, header = self._ciphers[self._primary].encrypt, bytes([FORMAT, self._primary])
        before, after = _bound(header, column, "\0").split(b"\0")
        chance = os.urandom(NONCE * len(texts))
        nonces = (chance[at : at + NONCE] for at in range(0, len(chance), NONCE))
        return [header + nonce + encrypt(nonce, text.encode(), before + str(row).encode() + after)
                for nonce, (row, text) in zip(nonces, texts, strict=True)]

    def open(self, sealed: bytes, column: str, row: UUID | str) -> str:
        """Raises `CannotOpen` when the key is gone, the bytes were changed, or the row is another."""
        return self.open_bytes(sealed, column, row).decode()

    def seal_bytes(self, content: bytes, column: str, row: UUID | str) -> bytes:
        """The same for what is no text."""
        nonce = os.urandom(NONCE)
        header = bytes([FORMAT, self._primary])
        return header + nonce + self._ciphers[self._primary].encrypt(nonce, content, _bound(header, column, row))

    def open_bytes(self, sealed: bytes, column: str, row: UUID | str) -> bytes:
        """Raises `CannotOpen`."""
        header, nonce, body = sealed[:2], sealed[2 : 2 + NONCE], sealed[2 + NONCE :]
        if len(nonce) < NONCE or header[0] != FORMAT:
            raise CannotOpen(f"{column}: not a sealed value")
        cipher = self._ciphers.get(header[1])
        if cipher is None:
            raise CannotOpen(f"{column}: sealed with a key that SECRET_KEYS no longer holds")
        try:
            return cipher.decrypt(nonce, body, _bound(header, column, row))
        except InvalidTag:
            raise CannotOpen(f"{column}: changed, or moved from another row") from None

    def blind(self, value: str, column: str) -> bytes:
        """A keyed fingerprint of a normalised value, to be stored beside the sealed one."""
        return self._blind(self._index_keys[self._primary], value, column)

    def blinds(self, value: str, column: str) -> list[bytes]:
        """The fingerprints under every key: what to look for while keys are being changed."""
        return [self._blind(key, value, column) for key in self._index_keys.values()]

    def hash_pin(self, pin: str, household: UUID) -> str:
        """`key number$argon2id hash`. A household has one salt, so its PIN gives the same each time."""
        return self._hashed(self._primary, pin, household)

    def proves_pin(self, stored: Sequence[str], pin: str, household: UUID) -> list[bool]:
        """For each that is stored of this household, whether `pin` is the one that it was made of.

        One hash is computed, be nothing stored or several; while keys are being changed, one for each key.
        """
        numbers = {one.partition("$")[0] for one in stored} & {str(number) for number in self._peppers}
        hashed = {number: self._hashed(int(number), pin, household) for number in numbers or {str(self._primary)}}
        return [number in hashed and hmac.compare_digest(one.encode(), hashed[number].encode())
                for one in stored for number in (one.partition("$")[0],)]

    def _hashed(self, number: int, pin: str, household: UUID) -> str:
        salt = self._blind(self._index_keys[number], str(household), "pin.salt")[:16]
        peppered = hmac.digest(self._peppers[number], household.bytes + pin.encode(), hashlib.sha256)
        return f"{number}${PIN_HASHER.hash(peppered, salt=salt)}"

    @staticmethod
    def _blind(key: bytes, value: str, column: str) -> bytes:
        return hmac.digest(key, column.encode() + b"\x00" + value.encode(), hashlib.sha256)


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"mouachir " + purpose).derive(key)


def _bound(header: bytes, column: str, row: UUID | str) -> bytes:
    return b"\x1f".join((column.encode(), str(row).encode(), header))
