"""Fraud: what the register knows of it, which is the end alone. Suspicions are followed elsewhere."""

from __future__ import annotations

from gateway.figures.figure import Figure
from gateway.figures.scope import Cases, Scope
from gateway.registry.registration import Registration

ELSEWHERE = "suspicions of fraud are raised and followed outside this register, and are not reported to it"


def cqd_01(scope: Scope) -> Figure:
    """Suspicions that were confirmed."""
    struck_off = Cases(Registration, Registration.household_id, (
        Registration.state == "struck_off", Registration.reason == "fraud_confirmed",
        scope.within(Registration.since)))
    return Figure("CQD-01", "Suspicions of fraud that were confirmed", "households",
                  tuple(scope.count("struck off for confirmed fraud", struck_off)), missing=ELSEWHERE)


def cqd_02(_: Scope) -> Figure:
    """Households under suspicion."""
    return Figure("CQD-02", "Households suspected of fraud", "% of active households", (), missing=ELSEWHERE)


FIGURES = (cqd_01, cqd_02)
