"""Guards: tables that the database itself keeps from being changed, whoever asks."""

from __future__ import annotations

from alembic import op

# What a decision rests on years later.
APPEND_ONLY = ("formula_version", "snapshot", "index_score", "programme_decision", "audit_entry")


def append_only() -> None:
    """Refuse every UPDATE, DELETE and TRUNCATE on these tables."""
    postgresql = op.get_context().dialect.name == "postgresql"
    if postgresql:
        op.execute("CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS "
                   "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$")
    for table in APPEND_ONLY:
        if postgresql:
            op.execute(f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
                       "FOR EACH STATEMENT EXECUTE FUNCTION append_only()")
            continue
        for act in ("UPDATE", "DELETE"):
            op.execute(f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
                       f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END")
