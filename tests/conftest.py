"""One torch thread a process, here and in the processes that tests start: two beside each other are slower than one.

Those processes have no network to look for: what they need is here. This one talks to loopback hubs of the tests' own.
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

from huggingface_hub import constants
from hypothesis import HealthCheck, settings

constants.HF_HUB_OFFLINE = False

# Hypothesis fails an example that takes longer than 200 ms, such as one that imports scipy on a loaded machine.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
