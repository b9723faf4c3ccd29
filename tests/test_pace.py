"""One thread or all: by what they have cost."""

import numpy as np
import pytest

from fastmnist.threads import Pace


def run_pace(pace, costs, n_calls):
    """The ways that a pace chooses where a unit of work costs costs[threads]."""
    chosen = []
    for _ in range(n_calls):
        chosen.append(pace.choose())
        pace.record(chosen[-1], costs[chosen[-1]])
    return chosen


@pytest.fixture
def pace():
    """A pace on four threads."""
    return Pace(4)


def test_all_threads_stay_where_they_are_faster(pace):
    assert run_pace(pace, {4: 1.0, 1: 1.02}, 2) == [4, 1]
    chosen = run_pace(pace, {4: 1.0, 1: 1.02}, 10 * Pace.RETRY)
    assert np.diff(np.flatnonzero(np.equal(chosen, 1))).tolist() == [4, 8] + 9 * [Pace.RETRY]


def test_one_thread_takes_over_where_all_are_slower(pace):
    assert run_pace(pace, {4: 1.02, 1: 1.0}, 2) == [4, 1]
    chosen = run_pace(pace, {4: 1.02, 1: 1.0}, 10 * Pace.RETRY)
    assert np.diff(np.flatnonzero(np.equal(chosen, 4))).tolist() == [4, 8] + 9 * [Pace.RETRY]


def test_a_way_that_looked_slow_at_first_is_soon_tried_again(pace):
    run_pace(pace, {4: 1.02, 1: 1.0}, 2)
    assert run_pace(pace, {4: 0.5, 1: 1.0}, 2 * Pace.RETRY)[1:] == (2 * Pace.RETRY - 1) * [4]


@pytest.mark.parametrize("excess", [0.4, 0.5, 1.0])
def test_trials_are_as_rare_as_they_are_expensive(pace, excess):
    chosen = run_pace(pace, {4: 1.0, 1: 1.0 + excess}, 1002)[2:]
    assert excess * chosen.count(1) / len(chosen) <= Pace.TRIAL_COST
    assert chosen.count(1) >= 1000 // (excess / Pace.TRIAL_COST + 1)


def test_even_a_very_slow_way_is_tried_again(pace):
    chosen = run_pace(pace, {4: 150.0, 1: 1.0}, 2 + 5 * Pace.RARELY)
    assert chosen.count(4) == 1 + 5


def test_the_slower_way_is_tried_again_and_taken_once_it_is_faster(pace):
    run_pace(pace, {4: 1.02, 1: 1.0}, 2 + 2 + 4 + 8)
    assert run_pace(pace, {4: 1.02, 1: 1.0}, Pace.RETRY)[-2:] == [1, 4]
    chosen = run_pace(pace, {4: 0.9, 1: 1.0}, 2 * Pace.RETRY)
    assert chosen[: Pace.RETRY] == [1] * (Pace.RETRY - 1) + [4]
    assert chosen[Pace.RETRY : -1] == [4] * (Pace.RETRY - 1)


def test_the_faster_way_is_left_when_it_grows_slow(pace):
    run_pace(pace, {4: 1.0, 1: 3.0}, 5)
    assert run_pace(pace, {4: 150.0, 1: 3.0}, 4) == [4, 4, 1, 1]


def test_one_slow_call_changes_nothing(pace):
    run_pace(pace, {4: 1.0, 1: 3.0}, 5)
    for _ in range(3):
        assert run_pace(pace, {4: 150.0}, 1) == [4]
        assert run_pace(pace, {4: 1.0}, 1) == [4]


def test_with_one_thread_there_is_nothing_to_choose():
    assert set(run_pace(Pace(1), {1: 1.0}, 40)) == {1}


def test_a_way_that_is_unknown_or_slower_is_a_trial(pace):
    assert pace.is_trial(4)
    pace.record(4, 1.0)
    assert pace.is_trial(1)
    pace.record(1, 3.0)
    assert pace.is_trial(1)
    assert not pace.is_trial(4)


def test_a_trial_lasts_until_it_is_recorded(pace):
    run_pace(pace, {4: 1.0, 1: 1.02}, 3)
    assert [pace.choose() for _ in range(3)] == [1, 1, 1]
    pace.record(1, 1.02)
    assert pace.choose() == 4


def test_what_is_known_of_one_without_a_trial_is_as_good_as_one(pace):
    for _ in range(3 * Pace.RARELY):
        assert pace.choose() == 4
        pace.record(4, 1.0)
        pace.record(1, 1.5)


def test_of_two_that_cost_the_same_one_is_a_trial(pace):
    chosen = run_pace(pace, {4: 1.0, 1: 1.0}, 10 * Pace.RETRY)
    assert [pace.is_trial(4), pace.is_trial(1)] == [False, True]
    assert 10 <= chosen.count(1) <= 14
