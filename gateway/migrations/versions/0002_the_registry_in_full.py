"""The registry in full."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from gateway.db import JSON, Exact, UtcDateTime
from gateway.migrations.guards import append_only

revision = "0002"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "access_lock",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("locked_until", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_lock")),
    )
    op.create_table(
        "audit_entry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("strand", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("by", sa.String(length=80), nullable=False),
        sa.Column("act", sa.String(length=40), nullable=False),
        sa.Column("household_blind", sa.LargeBinary(), nullable=True),
        sa.Column("subject", sa.String(length=80), nullable=True),
        sa.Column("why", sa.String(length=200), nullable=True),
        sa.Column("detail", JSON, nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
        sa.UniqueConstraint("strand", "position", name=op.f("uq_audit_entry_strand")),
    )
    op.create_index(op.f("ix_audit_entry_act"), "audit_entry", ["act"], unique=False)
    op.create_index(op.f("ix_audit_entry_household_blind"), "audit_entry", ["household_blind"], unique=False)
    op.create_index(op.f("ix_audit_entry_subject"), "audit_entry", ["subject"], unique=False)
    op.create_table(
        "audit_strand",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("link", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_strand")),
    )
    op.create_table(
        "current_score",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("score_id", sa.Uuid(), nullable=False),
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("value", Exact(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_current_score")),
        postgresql_with={"fillfactor": 45},
    )
    op.create_table(
        "formula_version",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("content", JSON, nullable=False),
        sa.Column("first_used_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_formula_version")),
        sa.UniqueConstraint("digest", name=op.f("uq_formula_version_digest")),
    )
    op.create_table(
        "household",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("number_blind", sa.LargeBinary(), nullable=False),
        sa.Column("number_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("address_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("area", sa.String(length=8), nullable=False),
        sa.Column("region", sa.Integer(), nullable=False),
        sa.Column("commune", sa.String(length=20), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("registered_on", sa.Date(), nullable=False),
        sa.Column("declared_on", sa.Date(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("round_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_household")),
        sa.UniqueConstraint("number_blind", name=op.f("uq_household_number_blind")),
    )
    op.create_index(op.f("ix_household_round_on"), "household", ["round_on"], unique=False)
    op.create_table(
        "index_score",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("formula", sa.String(length=40), nullable=False),
        sa.Column("contributions", sa.LargeBinary(), nullable=False),
        sa.Column("value", Exact(), nullable=True),
        sa.Column("displayed", Exact(), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.Column("cause", sa.String(length=24), nullable=False),
        sa.Column("predecessor_id", sa.Uuid(), nullable=True),
        sa.Column("computed_at", UtcDateTime(), nullable=False),
        sa.CheckConstraint("(value IS NULL) <> (failure IS NULL)", name="a_number_or_a_reason"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_index_score")),
    )
    op.create_index(op.f("ix_index_score_household_id"), "index_score", ["household_id"], unique=False)
    op.create_table(
        "measured",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("area", sa.SmallInteger(), nullable=False),
        sa.Column("region", sa.SmallInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measured")),
    )
    op.create_table(
        "pending_event",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("told_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_event")),
    )
    op.create_index(
        "ix_pending_event_untold",
        "pending_event",
        ["id"],
        unique=False,
        postgresql_where=sa.text("told_at IS NULL"),
        sqlite_where=sa.text("told_at IS NULL"),
    )
    op.create_table(
        "programme_decision",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("score_id", sa.Uuid(), nullable=False),
        sa.Column("snapshot_id", sa.Uuid(), nullable=False),
        sa.Column("programme", sa.String(length=40), nullable=False),
        sa.Column("programme_digest", sa.String(length=64), nullable=False),
        sa.Column("threshold", Exact(), nullable=True),
        sa.Column("threshold_since", sa.Date(), nullable=True),
        sa.Column("comparator", sa.String(length=16), nullable=False),
        sa.Column("below", sa.Boolean(), nullable=True),
        sa.Column("eligible", sa.Boolean(), nullable=True),
        sa.Column("reasons", JSON, nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_programme_decision")),
    )
    op.create_index(op.f("ix_programme_decision_household_id"), "programme_decision", ["household_id"], unique=False)
    op.create_table(
        "telephone",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_telephone")),
    )
    op.create_table(
        "complaint",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("number", sa.String(length=9), nullable=False),
        sa.Column("category", sa.String(length=24), nullable=False),
        sa.Column("sensitive", sa.Boolean(), nullable=False),
        sa.Column("owner", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("msisdn_blind", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("acknowledged_at", UtcDateTime(), nullable=True),
        sa.Column("first_action_by", UtcDateTime(), nullable=False),
        sa.Column("first_action_at", UtcDateTime(), nullable=True),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("look_at", UtcDateTime(), nullable=True),
        sa.Column("assigned_to", sa.String(length=80), nullable=True),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("hold_until", sa.Date(), nullable=True),
        sa.Column("hold_reason", sa.String(length=24), nullable=True),
        sa.Column("resolution", sa.String(length=24), nullable=True),
        sa.Column("answer_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("resolved_at", UtcDateTime(), nullable=True),
        sa.Column("closed_at", UtcDateTime(), nullable=True),
        sa.Column("reopened_at", UtcDateTime(), nullable=True),
        sa.Column("at_risk_at", UtcDateTime(), nullable=True),
        sa.Column("escalated_at", UtcDateTime(), nullable=True),
        sa.Column("satisfaction", sa.SmallInteger(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_complaint_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaint")),
        sa.UniqueConstraint("asked_by", name=op.f("uq_complaint_asked_by")),
        sa.UniqueConstraint("number", name=op.f("uq_complaint_number")),
    )
    op.create_index(op.f("ix_complaint_household_id"), "complaint", ["household_id"], unique=False)
    op.create_index(op.f("ix_complaint_look_at"), "complaint", ["look_at"], unique=False)
    op.create_index(op.f("ix_complaint_msisdn_blind"), "complaint", ["msisdn_blind"], unique=False)
    op.create_index(op.f("ix_complaint_state"), "complaint", ["state"], unique=False)
    op.create_table(
        "contact",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("msisdn_blind", sa.LargeBinary(), nullable=False),
        sa.Column("msisdn_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("consent", sa.Boolean(), nullable=False),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.Column("suspended_at", UtcDateTime(), nullable=True),
        sa.Column("ended_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_contact_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    op.create_index(op.f("ix_contact_household_id"), "contact", ["household_id"], unique=False)
    op.create_index(op.f("ix_contact_msisdn_blind"), "contact", ["msisdn_blind"], unique=False)
    op.create_table(
        "correction",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("item", sa.String(length=48), nullable=False),
        sa.Column("member_blind", sa.LargeBinary(), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("entered_by", sa.String(length=80), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=True),
        sa.Column("in_force_at", UtcDateTime(), nullable=True),
        sa.Column("entered_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_correction_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_correction")),
    )
    op.create_index(op.f("ix_correction_household_id"), "correction", ["household_id"], unique=False)
    op.create_index(op.f("ix_correction_review_id"), "correction", ["review_id"], unique=False)
    op.create_table(
        "credential",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("pin_hash", sa.String(length=200), nullable=False),
        sa.Column("next_hash", sa.String(length=200), nullable=True),
        sa.Column("issued_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["household.id"], name=op.f("fk_credential_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credential")),
    )
    op.create_table(
        "data_round",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("asked_on", sa.Date(), nullable=False),
        sa.Column("answer", sa.String(length=12), nullable=True),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_data_round_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_round")),
        sa.UniqueConstraint("household_id", "asked_on", name=op.f("uq_data_round_household_id")),
    )
    op.create_table(
        "data_update",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=9), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("register", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("asked_by", sa.String(length=120), nullable=False),
        sa.Column("value_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("value_blind", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("effective_at", UtcDateTime(), nullable=True),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.Column("score_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_data_update_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_update")),
        sa.UniqueConstraint("asked_by", name=op.f("uq_data_update_asked_by")),
        sa.UniqueConstraint("number", name=op.f("uq_data_update_number")),
    )
    op.create_index(op.f("ix_data_update_household_id"), "data_update", ["household_id"], unique=False)
    op.create_index(op.f("ix_data_update_state"), "data_update", ["state"], unique=False)
    op.create_index(op.f("ix_data_update_value_blind"), "data_update", ["value_blind"], unique=False)
    op.create_index(
        "ix_data_update_waiting",
        "data_update",
        ["household_id"],
        unique=True,
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.create_table(
        "finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("item", sa.String(length=48), nullable=False),
        sa.Column("member_blind", sa.LargeBinary(), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=False),
        sa.Column("value", JSON, nullable=False),
        sa.Column("answered_on", sa.Date(), nullable=False),
        sa.Column("reference", sa.String(length=80), nullable=False),
        sa.Column("said", sa.String(length=64), nullable=False),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.Column("contested_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_finding_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint(
            "household_id",
            "partner",
            "item",
            "member_blind",
            "answered_on",
            "reference",
            "said",
            name="uq_finding_answer",
        ),
    )
    op.create_index(op.f("ix_finding_household_id"), "finding", ["household_id"], unique=False)
    op.create_table(
        "inquiry",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("partner", sa.String(length=24), nullable=False),
        sa.Column("items", JSON, nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("answered_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_inquiry_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inquiry")),
    )
    op.create_index(op.f("ix_inquiry_answered_at"), "inquiry", ["answered_at"], unique=False)
    op.create_index(op.f("ix_inquiry_household_id"), "inquiry", ["household_id"], unique=False)
    op.create_index(
        "ix_inquiry_open",
        "inquiry",
        ["household_id", "partner"],
        unique=True,
        postgresql_where=sa.text("answered_at IS NULL"),
        sqlite_where=sa.text("answered_at IS NULL"),
    )
    op.create_table(
        "member",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("idcs_blind", sa.LargeBinary(), nullable=False),
        sa.Column("identity_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("declarant", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_member_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_member")),
    )
    op.create_index(op.f("ix_member_household_id"), "member", ["household_id"], unique=False)
    op.create_index(op.f("ix_member_idcs_blind"), "member", ["idcs_blind"], unique=False)
    op.create_table(
        "message",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.String(length=32), nullable=False),
        sa.Column("once", sa.String(length=180), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("notice", sa.String(length=40), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("medium", sa.String(length=8), nullable=False),
        sa.Column("locale", sa.String(length=8), nullable=False),
        sa.Column("reference", sa.String(length=9), nullable=False),
        sa.Column("to_blind", sa.LargeBinary(), nullable=False),
        sa.Column("to_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("body_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("policy", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("avoid", JSON, nullable=False),
        sa.Column("not_before", UtcDateTime(), nullable=False),
        sa.Column("alarm_until", UtcDateTime(), nullable=True),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
        sa.Column("run", sa.String(length=40), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_message_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("once", name=op.f("uq_message_once")),
        sa.UniqueConstraint("token", name=op.f("uq_message_token")),
    )
    op.create_index(
        "ix_message_due",
        "message",
        ["medium", "not_before"],
        unique=False,
        postgresql_where=sa.text("state = 'created'"),
        sqlite_where=sa.text("state = 'created'"),
    )
    op.create_index(op.f("ix_message_household_id"), "message", ["household_id"], unique=False)
    op.create_index(
        "ix_message_open",
        "message",
        ["state", "changed_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('sending', 'unknown', 'sent')"),
        sqlite_where=sa.text("state IN ('sending', 'unknown', 'sent')"),
    )
    op.create_index(op.f("ix_message_reference"), "message", ["reference"], unique=False)
    op.create_index(op.f("ix_message_run"), "message", ["run"], unique=False)
    op.create_index(op.f("ix_message_to_blind"), "message", ["to_blind"], unique=False)
    op.create_table(
        "notification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("score_id", sa.Uuid(), nullable=False),
        sa.Column("medium", sa.String(length=8), nullable=False),
        sa.Column("notified_on", sa.Date(), nullable=False),
        sa.Column("proof", sa.String(length=16), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", UtcDateTime(), nullable=False),
        sa.Column("reminded_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_notification_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("score_id", name=op.f("uq_notification_score_id")),
    )
    op.create_index(op.f("ix_notification_household_id"), "notification", ["household_id"], unique=False)
    op.create_index(
        "ix_notification_to_remind",
        "notification",
        ["notified_on"],
        unique=False,
        postgresql_where=sa.text("reminded_at IS NULL"),
        sqlite_where=sa.text("reminded_at IS NULL"),
    )
    op.create_table(
        "registration",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=True),
        sa.Column("household_blind", sa.LargeBinary(), nullable=False),
        sa.Column("number", sa.String(length=9), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("pre_registered_at", UtcDateTime(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=True),
        sa.Column("registered_on", sa.Date(), nullable=False),
        sa.Column("missing", JSON, nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("scored_at", UtcDateTime(), nullable=True),
        sa.Column("notified_on", sa.Date(), nullable=True),
        sa.Column("late_told_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_registration_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration")),
        sa.UniqueConstraint("household_blind", name=op.f("uq_registration_household_blind")),
        sa.UniqueConstraint("household_id", name=op.f("uq_registration_household_id")),
        sa.UniqueConstraint("number", name=op.f("uq_registration_number")),
    )
    op.create_index(op.f("ix_registration_registered_on"), "registration", ["registered_on"], unique=False)
    op.create_index(op.f("ix_registration_state"), "registration", ["state"], unique=False)
    op.create_table(
        "review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("score_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(length=9), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.Column("channel", sa.String(length=8), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("answer_by", sa.Date(), nullable=False),
        sa.Column("promised_by", sa.Date(), nullable=False),
        sa.Column("watch_on", sa.Date(), nullable=True),
        sa.Column("items", JSON, nullable=False),
        sa.Column("assigned_to", sa.String(length=80), nullable=True),
        sa.Column("needs", sa.String(length=24), nullable=True),
        sa.Column("needed_by", sa.Date(), nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.String(length=40), nullable=True),
        sa.Column("text_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.String(length=80), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("new_score_id", sa.Uuid(), nullable=True),
        sa.Column("notified_on", sa.Date(), nullable=True),
        sa.Column("at_risk_at", UtcDateTime(), nullable=True),
        sa.Column("late_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_review_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review")),
        sa.UniqueConstraint("number", name=op.f("uq_review_number")),
    )
    op.create_index(op.f("ix_review_household_id"), "review", ["household_id"], unique=False)
    op.create_index(
        "ix_review_open",
        "review",
        ["score_id"],
        unique=True,
        postgresql_where=sa.text("state <> 'withdrawn'"),
        sqlite_where=sa.text("state <> 'withdrawn'"),
    )
    op.create_index(op.f("ix_review_score_id"), "review", ["score_id"], unique=False)
    op.create_index(op.f("ix_review_state"), "review", ["state"], unique=False)
    op.create_index(op.f("ix_review_watch_on"), "review", ["watch_on"], unique=False)
    op.create_table(
        "snapshot",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("household_id", sa.Uuid(), nullable=False),
        sa.Column("taken_on", sa.Date(), nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("sources", JSON, nullable=False),
        sa.Column("taken_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["household_id"], ["household.id"], name=op.f("fk_snapshot_household_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot")),
    )
    op.create_index(op.f("ix_snapshot_household_id"), "snapshot", ["household_id"], unique=False)
    op.create_table(
        "attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=True),
        sa.Column("code", sa.String(length=80), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_attempt_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
        sa.UniqueConstraint("message_id", "fence", name=op.f("uq_attempt_message_id")),
    )
    op.create_index("ix_attempt_provider", "attempt", ["provider", "provider_id"], unique=False)
    op.create_table(
        "receipt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider", sa.String(length=20), nullable=False),
        sa.Column("provider_id", sa.String(length=80), nullable=False),
        sa.Column("status", sa.String(length=40), nullable=False),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("error", sa.String(length=80), nullable=True),
        sa.Column("to_blind", sa.LargeBinary(), nullable=True),
        sa.Column("message_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_receipt_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("provider", "provider_id", "status", name=op.f("uq_receipt_provider")),
    )
    op.create_index(op.f("ix_receipt_message_id"), "receipt", ["message_id"], unique=False)
    op.create_index(
        "ix_receipt_unmatched",
        "receipt",
        ["received_at"],
        unique=False,
        postgresql_where=sa.text("message_id IS NULL"),
        sqlite_where=sa.text("message_id IS NULL"),
    )
    append_only()


def downgrade() -> None:
    op.drop_index(
        "ix_receipt_unmatched",
        table_name="receipt",
        postgresql_where=sa.text("message_id IS NULL"),
        sqlite_where=sa.text("message_id IS NULL"),
    )
    op.drop_index(op.f("ix_receipt_message_id"), table_name="receipt")
    op.drop_table("receipt")
    op.drop_index("ix_attempt_provider", table_name="attempt")
    op.drop_table("attempt")
    op.drop_index(op.f("ix_snapshot_household_id"), table_name="snapshot")
    op.drop_table("snapshot")
    op.drop_index(op.f("ix_review_watch_on"), table_name="review")
    op.drop_index(op.f("ix_review_state"), table_name="review")
    op.drop_index(op.f("ix_review_score_id"), table_name="review")
    op.drop_index(
        "ix_review_open",
        table_name="review",
        postgresql_where=sa.text("state <> 'withdrawn'"),
        sqlite_where=sa.text("state <> 'withdrawn'"),
    )
    op.drop_index(op.f("ix_review_household_id"), table_name="review")
    op.drop_table("review")
    op.drop_index(op.f("ix_registration_state"), table_name="registration")
    op.drop_index(op.f("ix_registration_registered_on"), table_name="registration")
    op.drop_table("registration")
    op.drop_index(
        "ix_notification_to_remind",
        table_name="notification",
        postgresql_where=sa.text("reminded_at IS NULL"),
        sqlite_where=sa.text("reminded_at IS NULL"),
    )
    op.drop_index(op.f("ix_notification_household_id"), table_name="notification")
    op.drop_table("notification")
    op.drop_index(op.f("ix_message_to_blind"), table_name="message")
    op.drop_index(op.f("ix_message_run"), table_name="message")
    op.drop_index(op.f("ix_message_reference"), table_name="message")
    op.drop_index(
        "ix_message_open",
        table_name="message",
        postgresql_where=sa.text("state IN ('sending', 'unknown', 'sent')"),
        sqlite_where=sa.text("state IN ('sending', 'unknown', 'sent')"),
    )
    op.drop_index(op.f("ix_message_household_id"), table_name="message")
    op.drop_index(
        "ix_message_due",
        table_name="message",
        postgresql_where=sa.text("state = 'created'"),
        sqlite_where=sa.text("state = 'created'"),
    )
    op.drop_table("message")
    op.drop_index(op.f("ix_member_idcs_blind"), table_name="member")
    op.drop_index(op.f("ix_member_household_id"), table_name="member")
    op.drop_table("member")
    op.drop_index(
        "ix_inquiry_open",
        table_name="inquiry",
        postgresql_where=sa.text("answered_at IS NULL"),
        sqlite_where=sa.text("answered_at IS NULL"),
    )
    op.drop_index(op.f("ix_inquiry_household_id"), table_name="inquiry")
    op.drop_index(op.f("ix_inquiry_answered_at"), table_name="inquiry")
    op.drop_table("inquiry")
    op.drop_index(op.f("ix_finding_household_id"), table_name="finding")
    op.drop_table("finding")
    op.drop_index(
        "ix_data_update_waiting",
        table_name="data_update",
        postgresql_where=sa.text("state = 'waiting'"),
        sqlite_where=sa.text("state = 'waiting'"),
    )
    op.drop_index(op.f("ix_data_update_value_blind"), table_name="data_update")
    op.drop_index(op.f("ix_data_update_state"), table_name="data_update")
    op.drop_index(op.f("ix_data_update_household_id"), table_name="data_update")
    op.drop_table("data_update")
    op.drop_table("data_round")
    op.drop_table("credential")
    op.drop_index(op.f("ix_correction_review_id"), table_name="correction")
    op.drop_index(op.f("ix_correction_household_id"), table_name="correction")
    op.drop_table("correction")
    op.drop_index(op.f("ix_contact_msisdn_blind"), table_name="contact")
    op.drop_index(op.f("ix_contact_household_id"), table_name="contact")
    op.drop_table("contact")
    op.drop_index(op.f("ix_complaint_state"), table_name="complaint")
    op.drop_index(op.f("ix_complaint_msisdn_blind"), table_name="complaint")
    op.drop_index(op.f("ix_complaint_look_at"), table_name="complaint")
    op.drop_index(op.f("ix_complaint_household_id"), table_name="complaint")
    op.drop_table("complaint")
    op.drop_table("telephone")
    op.drop_index(op.f("ix_programme_decision_household_id"), table_name="programme_decision")
    op.drop_table("programme_decision")
    op.drop_index(
        "ix_pending_event_untold",
        table_name="pending_event",
        postgresql_where=sa.text("told_at IS NULL"),
        sqlite_where=sa.text("told_at IS NULL"),
    )
    op.drop_table("pending_event")
    op.drop_table("measured")
    op.drop_index(op.f("ix_index_score_household_id"), table_name="index_score")
    op.drop_table("index_score")
    op.drop_index(op.f("ix_household_round_on"), table_name="household")
    op.drop_table("household")
    op.drop_table("formula_version")
    op.drop_table("current_score")
    op.drop_table("audit_strand")
    op.drop_index(op.f("ix_audit_entry_subject"), table_name="audit_entry")
    op.drop_index(op.f("ix_audit_entry_household_blind"), table_name="audit_entry")
    op.drop_index(op.f("ix_audit_entry_act"), table_name="audit_entry")
    op.drop_table("audit_entry")
    op.drop_table("access_lock")
