"""Two-stage schedules of learning rate and weight decay, as functions of the step.

Step s is the s-th update, counted from 1; the values at a switch belong to the last step of stage
1. Source: "The Era of 1-bit LLMs: Training Tips, Code and FAQ" (Microsoft 2024), section 2.
"""

from dataclasses import dataclass

from bitnet.config.recipe import TrainConfig


@dataclass(frozen=True)
class TwoStageLRScheduler:
    """Linear from 0 to `peak` (warm-up), to `switch` at the switch step, to `final` at the end."""

    peak: float
    switch: float
    final: float
    warmup_steps: int
    switch_step: int
    steps: int
    lag: bool = False
    """Whether an update takes the rate of the one before it, and the first one `peak`: as with a
    scheduler of torch that is not asked before the first update."""

    def __call__(self, step: int) -> float:
        """Learning rate of update `step`, counted from 1."""
        if self.lag:
            step -= 1
            if step < 1:
                return self.peak
        if step < self.warmup_steps:
            return self.peak * step / self.warmup_steps
        if step <= self.switch_step:
            done = (step - self.warmup_steps) / (self.switch_step - self.warmup_steps)
            return self.peak + (self.switch - self.peak) * done
        done = min(1.0, (step - self.switch_step) / (self.steps - self.switch_step))
        return self.switch + (self.final - self.switch) * done


@dataclass(frozen=True)
class TwoStageWDScheduler:
    """Weight decay `stage1` up to and including the switch step, `stage2` after it."""

    stage1: float
    stage2: float
    switch_step: int

    def __call__(self, step: int) -> float:
        """Weight decay of update `step`, counted from 1."""
        return self.stage1 if step <= self.switch_step else self.stage2


def schedules(config: TrainConfig) -> tuple[TwoStageLRScheduler, TwoStageWDScheduler]:
    """Schedules of learning rate and weight decay of a recipe.

    A trunk ends at the switch, so its stage-2 weight decay is NaN and never used.
    """
    lr = TwoStageLRScheduler(
        config.peak_lr,
        config.switch_lr,
        config.final_lr,
        config.warmup_steps,
        config.lr_switch,
        config.steps,
        config.lr_lag,
    )
    stage2 = config.stage2_weight_decay
    wd = TwoStageWDScheduler(
        config.stage1_weight_decay, float("nan") if stage2 is None else stage2, config.wd_switch
    )
    return lr, wd
