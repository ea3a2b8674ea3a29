"""Scorebench from Python: evaluate, compare, look at single attempts, train. Takes about half a minute on a laptop.

The same steps as a notebook: quickstart.ipynb. Everything here is described in docs/api.md.
"""

import scorebench

# Without a model it plays the embedded one on the embedded problems of the task.
results = scorebench.evaluate(method=["base", "self-refine"], task="math", limit=100)
print(results)

# One row a run, in fractions of 1. With a baseline: the paired differences from it, with a p-value.
table = results.compare(baseline="base")
print(table[["method", "n", "acc_t1", "acc_t2", "delta", "acc_t2_difference", "p_value"]])

# One row an episode. These are the answers that a correction made wrong.
episodes = results.runs[0].episodes()
broken = episodes.query("passed_t1 == True and passed_t2 == False")
print(broken[["problem", "level", "answer_t1", "answer_t2"]].head())

# One row an attempt: accuracy by method and turn, and how many tokens were sampled.
print(results.attempts().groupby(["method", "turn"])[["passed", "tokens"]].mean())

# A method that trains is trained first. These few steps show that it works, not what SCoRe is worth.
few_steps = {"stage1.steps": 4, "stage2.steps": 4, "problems": 4, "samples": 4}
trained = scorebench.evaluate(method="score", task="math", limit=100, set=few_steps)

# Everything that is in ./results, from this program and from the command line.
print(scorebench.compare(baseline="base")[["method", "acc_t1", "acc_t2", "delta_difference"]])
print(len(scorebench.load_runs()), "attempts")

# Plots are matplotlib's figures.
for name, figure in trained.figures().items():
    figure.savefig(f"{name}.png")
