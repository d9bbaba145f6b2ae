"""Joint training on Flower: plans, features, models, the vertical protocol and the grids that carry it.

Flower reads these two switches when it is first imported, and every module of ours that imports it lives in this room:
no figure of a run and no version query leaves the machine.
"""

import os

os.environ["FLWR_TELEMETRY_ENABLED"] = "0"
os.environ["FLWR_DISABLE_UPDATE_CHECK"] = "1"
