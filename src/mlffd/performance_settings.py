"""What ``mlffd.toml`` says about speed."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StringConstraints

_MODEL = ConfigDict(extra="forbid", frozen=True)

#: Relative: 0.04 is by a twenty-fifth.
Share = Annotated[float, Field(gt=0, lt=10, allow_inf_nan=False, strict=True)]
Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")]
Reason = Annotated[str, Field(min_length=1)]
Launches = Annotated[int, Field(ge=3, le=100, strict=True)]


class TierSettings(BaseModel):
    """Benchmarks that are judged by the same rules.

    Attributes:
        workloads: ``STUDENT/RUNTIME/PRECISION/DEVICE/SYSTEM``.
        slowdown: a regression is estimated to be larger than this,
        certain: and its interval lies above this.
        visible: a run that could not have seen a slowdown of this size is inconclusive.
        fails: whether a regression fails; otherwise it is reported only.
        default: whether it is measured if nothing is asked for by name; what needs a GPU is not, so
            that asking for it where there is none is an error and not a skip.
    """

    model_config = _MODEL

    workloads: Annotated[tuple[str, ...], Field(min_length=1)]
    slowdown: Share = 0.04
    certain: Share = 0.02
    visible: Share = 0.10
    fails: StrictBool = True
    default: StrictBool = True


class Acceptance(BaseModel):
    """Why a step in the history is right.

    Attributes:
        of: what it is that may be worse: ``time``, ``counter`` or ``accuracy``, a workload or a
            student, or the name of a series.
        reason: why.
    """

    model_config = _MODEL

    of: Annotated[tuple[Reason, ...], Field(min_length=1)]
    reason: Reason


class PerformanceSettings(BaseModel):
    """How the speed of commits is compared.

    Attributes:
        tiers: by name.
        reference: the commit that histories are relative to.
        launches: of processes, before anything is decided.
        most_launches: after which what is undecided stays so.
        accepted: steps in the history that are right, by the commit that made them.
        step: relative size of a step in the history that is a regression.
    """

    model_config = _MODEL

    tiers: dict[str, TierSettings] = {}
    reference: Commit | None = None
    launches: Launches = 4
    most_launches: Launches = 12
    accepted: dict[Commit, Acceptance] = {}
    step: Share = 0.04

    @property
    def workloads(self) -> tuple[str, ...]:
        """Of all tiers, in order; what several tiers name is there once."""
        names = (name for tier in self.tiers.values() for name in tier.workloads)
        return tuple(dict.fromkeys(names))
