"""Campaign: one text to very many, approved, spread over a time, and stopped at a word.

    row          the campaign, and the table by which it moves
    audience     whom it is for, and by which telephone they are reached
    plan         what it will cost and how long it takes, before anything is sent
    making       its messages, held
    letting      what is due is let go, evenly; what was called off is taken back
    desk         what a clerk does: ask for one, approve, start, pause, resume, cancel
"""

from gateway.campaign.audience import Audience, BadAudience
from gateway.campaign.desk import Asked, Desk
from gateway.campaign.letting import Pacer, Progress, called_off, progress, take_back
from gateway.campaign.plan import Plan, Planner
from gateway.campaign.row import TRANSITIONS, Campaign, find

__all__ = ["TRANSITIONS", "Asked", "Audience", "BadAudience", "Campaign", "Desk", "Pacer", "Plan", "Planner",
           "Progress", "called_off", "find", "progress", "take_back"]
