"""The accuracy that the progress shows is the accuracy that the tables show."""

from __future__ import annotations

from scorebench.evaluation.runner import Tally
from scorebench.statistics import metrics
from tests.made_episodes import episode, run_of


def test_the_running_accuracy_is_that_of_the_metrics_and_errors_are_told() -> None:
    episodes = [*run_of(40, 21, 5, 3), episode("broken", "1e")]
    tally = Tally(2)
    for one in episodes:
        tally.add(one)
    run = metrics.outcomes(episodes)
    first, second = (100 * metrics.accuracy(run, turn).value for turn in (1, 2))
    assert str(tally) == f"Acc@t1 {first:.1f}, Acc@t2 {second:.1f} %, errors: 1"


def test_nothing_yet_is_no_division_by_zero() -> None:
    assert str(Tally(1)) == "Acc@t1 0.0 %"
