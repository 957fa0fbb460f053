from tests.conftest import a_row, register
import sqlalchemy as sa
from gateway.outbox import Message

def test_smoke(runtime):
    register(runtime, a_row())
    with runtime.database.read() as s:
        assert [m.state for m in s.scalars(sa.select(Message))] == ["created"]
