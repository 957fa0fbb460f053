"""The house in which the jobs are done."""

import pytest

from tests.conftest import a_row, register


@pytest.fixture
def households():
    """`households(runtime, n)`: so many are to be told, by text or, without `phones`, by letter."""
    def register_some(runtime, number: int = 1, *, phones: bool = True) -> None:
        register(runtime, *(a_row(f"29000{place:05d}", f"06123{place:05d}" if phones else None)
                            for place in range(1, number + 1)))

    return register_some
