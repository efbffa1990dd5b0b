"""What a sanity experiment comes to: pass or fail, of ternary models beside their twins."""

from collections.abc import Callable, Mapping, Sequence

TWIN = "full_precision"


def by_weights(
    runs: Mapping[str, Mapping], complaints: Callable[[Mapping], Sequence[str]]
) -> dict[str, list[str]]:
    """What is wrong with runs, each line with the run's name, by the kind of their weights."""
    found: dict[str, list[str]] = {}
    for name, run in runs.items():
        lines = [f"{name}: {line}" for line in complaints(run)]
        found.setdefault(run["recipe"]["model"]["weights"], []).extend(lines)
    return found


def outcome(complaints: Mapping[str, Sequence[str]]) -> dict:
    """`passed` and `reason` from what is wrong with the models of each kind of weights.

    complaints: by kind, `ternary` among them; nothing wrong is an empty list. It passes if nothing
    is wrong with ternary models; their twins tell which part to look at if something is.
    """
    ternary, twin = list(complaints["ternary"]), complaints.get(TWIN)
    if not ternary:
        reason = "nothing is wrong with ternary models"
        if twin is not None:
            reason += (
                f", though something is with their full-precision twins: {'; '.join(twin)}"
                if twin
                else " and their full-precision twins"
            )
    elif twin is None:
        reason = f"{'; '.join(ternary)} (no full-precision twin was trained)"
    elif twin:
        reason = f"{'; '.join(ternary)}; it is not the ternary weights, for the twins fail as well"
    else:
        reason = f"{'; '.join(ternary)}; the full-precision twins pass"
    return {"passed": not ternary, "complaints": dict(complaints), "reason": reason}


def word(found: Mapping) -> str:
    """pass or fail."""
    return "pass" if found["passed"] else "fail"
