"""One scheduler: independent steps side by side, dependent ones in order, a failure stops what depends on it."""

import threading

from ansible_collections.stackwright.cloud.plugins.module_utils.common import steps
from ansible_collections.stackwright.cloud.plugins.module_utils.common.steps import Step


def fail():
    raise ValueError("broken")


def test_independent_steps_run_side_by_side_and_dependent_ones_in_order():
    ran, both = [], threading.Barrier(2, timeout=30)
    first, second = Step("a", both.wait), Step("b", both.wait)
    last = Step("c", lambda: ran.append("c"), after=[first, second])
    outcome = steps.run([last, second, first], 2)
    assert (outcome.failed, outcome.circle, ran) == ([], [], ["c"])


def test_one_at_a_time_never_meets_another():
    ran = []
    todo = [Step(name, lambda name=name: ran.append(name)) for name in "abc"]
    steps.run(todo, 0)
    assert ran == ["a", "b", "c"]


def test_a_failure_stops_what_depends_on_it_through_others_and_nothing_else():
    ran = []
    bad = Step("bad", fail)
    near = Step("near", lambda: ran.append("near"), after=[bad])
    far = Step("far", lambda: ran.append("far"), after=[near])
    turn = Step("turn", lambda: ran.append("turn"), behind=[far])
    other = Step("other", lambda: ran.append("other"))
    outcome = steps.run([turn, far, near, bad, other], 1)
    assert [(step.about, str(error)) for step, error in outcome.failed] == [("bad", "broken")]
    assert (sorted(ran), outcome.circle) == (["other", "turn"], [])


def test_steps_that_wait_for_themselves_are_named_and_do_not_run():
    ran = []
    first = Step("a", lambda: ran.append("a"))
    second = Step("b", lambda: ran.append("b"), after=[first])
    first.after.append(second)
    free = Step("c", lambda: ran.append("c"))
    assert steps.circle([first, second, free]) == [first, second]
    assert steps.run([first, second, free], 2).circle == [first, second]
    assert ran == ["c"]
