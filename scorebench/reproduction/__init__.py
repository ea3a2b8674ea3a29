"""The whole paper in the embedded world: `scorebench reproduce`."""

from __future__ import annotations

# The rows of the paper's tables, in its order: main table, then ablations.
METHODS = ("base", "self-refine", "pair-sft", "pair-sft+", "star", "star+", "score")
ABLATIONS = ("rl-single-turn", "rl-multi-turn", "score-no-stage1", "score-no-shaping")
ABLATIONS += ("score-star-stage2", "score-offline")
# The same trainings with one setting changed, in a table of their own: D+ with as many right-right as wrong-right
# examples, and gradients that are not clipped. They are run on these tasks alone: one is enough to see what they do.
VARIED_ON = ("math",)
VARIANTS = (("star+", "plus_ratio=1"), ("pair-sft+", "plus_ratio=1"), ("score", "max_grad_norm=none"))
SEEDS = {"math": 5, "mbpp": 3, "humaneval": 3}

# The pools that sequential and parallel sampling are drawn from.
SCALED = ("base", "score")
BUDGETS = (2, 4, 8, 16, 32)  # the paper's, as its temperature is
POOL_TEMPERATURE = 0.7
POOL_PROBLEMS = 200
