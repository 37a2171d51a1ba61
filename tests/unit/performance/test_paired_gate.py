"""The procedure: launch, decide, launch again where in doubt, confirm. Noise is simulated."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mlffd.performance.paired import Launch, Round
from mlffd.performance.paired_gate import gate
from mlffd.performance_settings import PerformanceSettings, TierSettings
from mlffd.verdicts import Verdict

WORKLOADS = ("a", "b", "c")


def settings(*, fails: bool = True) -> PerformanceSettings:
    return PerformanceSettings(tiers={"gate": TierSettings(workloads=WORKLOADS, fails=fails)})


class Machine:
    """Launches whose noise is between processes, as on a busy machine."""

    def __init__(
        self,
        seed: int,
        slowdowns: Mapping[str, float],
        noise: float = 0.02,
        drift: float = 0.0,
        waits: float = 0.0,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.waits = waits
        self.slowdowns, self.noise, self.drift = slowdowns, noise, drift
        self.launched: dict[str, int] = dict.fromkeys(WORKLOADS, 0)

    def __call__(self, workloads: Sequence[str], count: int) -> dict[str, list[Launch]]:
        return {name: [self.launch(name) for _ in range(count)] for name in workloads}

    def launch(self, name: str) -> list[Round]:
        self.launched[name] += 1
        base, head, again = np.exp(self.rng.normal(0, self.noise / math.sqrt(2), 3))
        slow = 1 + self.slowdowns.get(name, 0.0)
        wall = slow * (1 + self.waits) * math.exp(self.rng.normal(0, 0.1))
        return [Round(base, head * slow, again * (1 + self.drift), wall)] * 3


def verdicts(machine: Machine) -> dict[str, Verdict]:
    return {finding.workload: finding.verdict for finding in gate(machine, settings())}


def test_only_what_got_slower_fails() -> None:
    found = verdicts(Machine(0, {"b": 0.15}))

    assert found == {"a": Verdict.PASS, "b": Verdict.FAIL, "c": Verdict.PASS}


def test_faster_passes() -> None:
    assert verdicts(Machine(0, {"a": -0.2}))["a"] is Verdict.PASS


@pytest.mark.parametrize(("slowdown", "least"), [(0.05, 0.6), (0.10, 0.95), (0.20, 0.99)])
def test_slowdowns_are_caught_as_often_as_is_promised(slowdown: float, least: float) -> None:
    caught = [verdicts(Machine(s, {"a": slowdown}))["a"] is Verdict.FAIL for s in range(300)]

    assert np.mean(caught) >= least


def test_identical_code_fails_less_than_once_in_a_hundred() -> None:
    failed = [Verdict.FAIL in verdicts(Machine(s, {})).values() for s in range(1000)]

    assert np.mean(failed) <= 0.01


def test_doubt_is_launched_again_and_what_is_clear_is_not() -> None:
    machine = Machine(3, {"a": 0.05}, noise=0.015)

    verdicts(machine)

    assert machine.launched["a"] > machine.launched["b"] >= 4


def test_what_is_surely_no_slower_is_launched_again_until_a_slowdown_would_have_been_seen() -> None:
    class Calming(Machine):
        def launch(self, name: str) -> list[Round]:
            self.noise = 0.15 if self.launched[name] < 4 else 0.01
            return super().launch(name)

    passed = []
    for seed in range(20):
        machine = Calming(seed, dict.fromkeys(WORKLOADS, -0.3))
        for finding in gate(machine, settings()):
            passed.append(finding.verdict is Verdict.PASS)
            # Nobody gives up before the last launch.
            assert passed[-1] or machine.launched[finding.workload] == 12
    assert np.mean(passed) > 0.2


def test_what_two_tiers_judge_is_measured_once() -> None:
    class Strict(Machine):
        def __call__(self, workloads: Sequence[str], count: int) -> dict[str, list[Launch]]:
            assert len(set(workloads)) == len(workloads)
            return super().__call__(workloads, count)

    tiers = {
        "gate": TierSettings(workloads=("a",)),
        "watch": TierSettings(workloads=("a", "b"), slowdown=0.5, visible=1.0, fails=False),
    }
    findings = gate(Strict(0, {"a": 0.2}), PerformanceSettings(tiers=tiers))

    assert {(f.tier, f.workload): f.verdict for f in findings} == {
        ("gate", "a"): Verdict.FAIL,
        ("watch", "a"): Verdict.PASS,
        ("watch", "b"): Verdict.PASS,
    }


def test_too_noisy_to_say_is_inconclusive_and_says_what_could_have_been_seen() -> None:
    findings = gate(Machine(0, {}, noise=0.5), settings())

    (finding,) = [f for f in findings if f.workload == "a"]
    assert finding.verdict in (Verdict.INCONCLUSIVE, Verdict.INVALID)
    assert finding.visible is not None
    assert finding.visible > 0.10


def test_a_machine_that_makes_identical_code_differ_is_at_fault_not_the_head() -> None:
    found = verdicts(Machine(0, {"b": 0.15}, drift=0.15))

    assert set(found.values()) == {Verdict.INVALID}


def test_what_waits_does_not_pass_though_the_processor_has_no_more_to_do() -> None:
    """A lock or a disk in each call, or work in another process."""
    found = [gate(Machine(seed, {}, waits=1.0), settings()) for seed in range(20)]

    assert {f.verdict for findings in found for f in findings} == {Verdict.INCONCLUSIVE}
    assert all("does it wait for something?" in f.message for findings in found for f in findings)
    assert Verdict.FAIL in verdicts(Machine(0, {"b": 0.15}, waits=1.0)).values()


def test_noise_on_the_wall_is_no_waiting() -> None:
    found = [f for seed in range(300) for f in gate(Machine(seed, {}, noise=0.005), settings())]

    assert np.mean(["wait" in f.message for f in found]) <= 0.01


def test_a_suspicion_that_new_launches_do_not_share_is_no_failure() -> None:
    class OnceSlow(Machine):
        def __call__(self, workloads: Sequence[str], count: int) -> dict[str, list[Launch]]:
            self.slowdowns = {"a": 0.08} if not self.launched["a"] else {}
            return super().__call__(workloads, count)

    found = {f.workload: f for f in gate(OnceSlow(0, {}, noise=0.002), settings())}

    assert found["a"].verdict is not Verdict.FAIL
    assert "measured anew" in found["a"].message
