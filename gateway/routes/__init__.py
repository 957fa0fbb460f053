"""Routes: by which provider a text goes, and who is left alone.

    record      what is kept: weights, stops, and the history of both
    choice      one round's draw, by network, language, weight and who is stopped
    measuring   how a provider served in the last quarter of an hour
    weighing    weight moves away from who is slow or failing, and back
    stopping    who refuses our account is stopped for all processes, and tried again by one text
"""

from gateway.routes.choice import Routes
from gateway.routes.measuring import WINDOW, Measured, measure
from gateway.routes.record import RouteChange, RouteStop, RouteWeight
from gateway.routes.stopping import lift, may_try, resume, stop, stop_by_hand, stops
from gateway.routes.weighing import set_weight, standing, weigh

__all__ = [
    "WINDOW", "Measured", "RouteChange", "RouteStop", "RouteWeight", "Routes", "lift", "may_try", "measure",
    "resume", "set_weight", "standing", "stop", "stop_by_hand", "stops", "weigh",
]
