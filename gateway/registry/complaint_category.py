"""Complaint category: what a complaint may be about, who owns it, how long it may take, and which are sensitive.

The keys are those of this register; `vocabulary` says the same in public words (publicschema.org, grievance type).
No text of law sets these limits: they are promises of this service, in working days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

Owner = Literal["here", "population_register", "aid_agency", "cnss"]
Vocabulary = Literal["exclusion_error", "inclusion_error", "payment_complaint", "data_correction", "appeal",
                     "service_quality", "misconduct", "other"]

FIRST_ACTION_DAYS = 2
STANDARD_DAYS = 15
# A sensitive one is not left over a feast: these are hours of the clock.
FOCAL_POINT_WITHIN = timedelta(hours=24)
# After so much of its time limit, a complaint that is not resolved is at risk.
AT_RISK_AFTER_PERCENT = 80


@dataclass(frozen=True)
class Category:
    """`days` is the time limit in working days. A sensitive one is seen by focal points alone."""

    vocabulary: Vocabulary
    owner: Owner = "here"
    days: int = STANDARD_DAYS
    sensitive: bool = False

    @property
    def days_left_at_risk(self) -> int:
        """So many working days before the end of its time limit a complaint is at risk."""
        return self.days - self.days * AT_RISK_AFTER_PERCENT // 100


# The first eleven are keys 1 to 11 of the telephone's menu, which leaflets print: they stay in this order.
CATEGORIES: Mapping[str, Category] = {
    "notice_not_received": Category("service_quality"),
    "index_wrong": Category("exclusion_error"),
    "data_wrong": Category("data_correction"),
    "composition_wrong": Category("data_correction", "population_register"),
    "phone_problem": Category("data_correction"),
    "payment_not_received": Category("payment_complaint", "aid_agency"),
    "amo_rights": Category("exclusion_error", "cnss"),
    "staff_conduct": Category("misconduct", sensitive=True),
    "fraud_message": Category("other"),
    "request_late": Category("service_quality"),
    "other": Category("other"),
    # Taken at a desk or by letter only.
    "address_wrong": Category("data_correction"),
    "schooling": Category("data_correction", "aid_agency"),
    "disability": Category("data_correction", "aid_agency"),
    "wrongly_included": Category("inclusion_error"),
    "review_unfair": Category("appeal"),
    "abuse": Category("misconduct", sensitive=True),
    "data_breach": Category("misconduct", sensitive=True),
}
BY_TELEPHONE = tuple(CATEGORIES)[:11]
