"""Rule 2 a second time, from its words alone: plain Python, Stage-2 weight decay 0 against 0.05.

Nothing of bitnet is used. A study is a mapping of cells, (size, optimizer, weights), to mappings of
(seed, arm), arm "trunk", "control" or "treatment", to runs: lists of evaluations (count, PDR,
validation loss, copy share), from the trunk's first after step 0 on, or from the arm's first after
the switch. A loss that is not finite is a divergence. Vocabulary and N are never exceeded.
"""

import math
from collections import Counter

from scipy.stats import t as student

LOW, HIGH, MARGIN, WORTH, SAME_LOSS = 10, 50, 0.02, math.log(1.25), 0.02


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def diverged(run):
    return any(not math.isfinite(loss) for _, _, loss, _ in run)


def levels(run, unigram, blind):
    """Of each evaluation: its count or share of the trigram's PDR, and the two thresholds."""
    if blind:
        return [(pdr / blind, 0.1, 0.5) for _, pdr, _, _ in run]
    return [(count, LOW, HIGH) for count, _, _, _ in run]


def state(run, unigram, blind, arm=True):
    if diverged(run):
        return "diverged"
    end = run[-3:]
    loss = mean(e[2] for e in end)
    if mean(e[3] for e in end) > 0.5 and loss >= unigram:
        return "untrained"
    seen = levels(run, unigram, blind)
    collapsed = [
        x < low or e[2] >= unigram - MARGIN for (x, low, _), e in zip(seen, run, strict=True)
    ]
    diverse = [x > high and not c for (x, _, high), c in zip(seen, collapsed, strict=True)]
    if arm and any(diverse) and collapsed[-1]:
        return "temporary"
    last, (_, low, high) = mean(x for x, _, _ in seen[-3:]), seen[-1]
    if last < low or loss >= unigram - MARGIN:
        return "collapsed"
    return "diverse" if last > high else "recovering"


def effective(run, unigram, blind):
    seen = levels(run, unigram, blind)
    floored = [
        low if e[2] >= unigram - MARGIN else max(x, low)
        for (x, low, _), e in zip(seen, run, strict=True)
    ]
    return mean(floored[-3:])


def test(values):
    """Mean, interval, p against 0, and a function for TOST within a bound."""
    n = len(values)
    m = mean(values)
    spread = math.sqrt(sum((v - m) ** 2 for v in values) / (n - 1) / n)
    if max(values) - min(values) <= 1e-12:
        return m, m, m, float(abs(m) <= 1e-12), lambda bound: float(abs(m) >= bound)
    half = student.ppf(0.975, n - 1) * spread
    p = 2 * student.sf(abs(m) / spread, n - 1)
    return m, m - half, m + half, p, lambda bound: student.sf((bound - abs(m)) / spread, n - 1)


def most(states, name):
    return Counter(states)[name] * 2 > len(states)


def holm(ps):
    """Corrected p by key."""
    worst, found = 0.0, {}
    for i, key in enumerate(sorted(ps, key=ps.get)):
        worst = max(worst, min(1.0, ps[key] * (len(ps) - i)))
        found[key] = worst
    return found


def judged(study, headline, unigram, blind=0.0):
    """Outcome, CollapseTernary and EffectTernary by cell. blind: the trigram's PDR, if it is."""
    cells = {key: measured(runs, unigram, blind) for key, runs in study.items()}
    tests = {k: test(c["deltas"]) for k, c in cells.items() if len(c["deltas"]) > 1}
    beside = [
        (headline[0], optimizer, weights)
        for _, optimizer, weights in tests
        if (optimizer == headline[1]) != (weights == headline[2])
    ]
    families = [{headline}, {*beside}, {*tests} - {headline, *beside}]
    p = {}
    for family in families:
        p |= holm({key: tests[key][3] for key in family if key in tests})
    return {key: answers(key, cells, tests, p) for key in cells}


def measured(runs, unigram, blind):
    arms = {"trunk": {}, "control": {}, "treatment": {}}
    for (seed, arm), run in runs.items():
        arms[arm][seed] = state(run, unigram, blind, arm=arm != "trunk")
    sound = [
        s for s in arms["trunk"] if "diverged" not in (arms["control"][s], arms["treatment"][s])
    ]
    pairs = [(runs[s, "treatment"], runs[s, "control"]) for s in sound]
    deltas = {
        s: math.log(effective(a, unigram, blind)) - math.log(effective(b, unigram, blind))
        for s, (a, b) in zip(sound, pairs, strict=True)
    }
    losses = [mean(e[2] for e in a[-3:]) - mean(e[2] for e in b[-3:]) for a, b in pairs]
    states = {arm: list(found.values()) for arm, found in arms.items()}
    return {**states, "by seed": deltas, "deltas": list(deltas.values()), "losses": losses}


def answers(key, cells, tests, p):
    cell = cells[key]
    twin = cells.get((*key[:2], "full_precision")) if key[2] == "ternary" else None
    collapse = effect = "n.a."
    if twin:
        parts = [c["trunk"] for c in (cell, twin)]
        enough = min(len(part) - part.count("diverged") for part in parts) >= 3
        of = tuple(most(part, "collapsed") for part in parts)
        words = {(1, 1): "no", (1, 0): "yes", (0, 0): "no collapse", (0, 1): "undecided"}
        counts = [part.count("collapsed") for part in parts]
        if of == (1, 0) and by_chance(*counts, *map(len, parts)) > 0.05 + 1e-9:
            enough = False  # as 2 of 3 against 1 of 3
        collapse = words[of] if enough else "undecided"
        effect = "none shown"
        if key in p and p[key] < 0.05:
            sign = math.copysign(1, tests[key][0])
            both = sorted(cell["by seed"].keys() & twin["by seed"].keys())
            gaps = [sign * (twin["by seed"][s] - cell["by seed"][s] / 2) for s in both]
            effect = "undecided"
            if len(gaps) >= 3 and test(gaps)[3] < 0.05:
                effect = "no" if mean(gaps) > 0 else "yes"
    return outcome(cell, tests.get(key), p.get(key)), collapse, effect


def by_chance(x, y, n, m):
    """Probability of at least x of n in one arm, where x + y of n + m are spread over both."""
    ways = [math.comb(n, k) * math.comb(m, x + y - k) for k in range(min(n, x + y) + 1)]
    return sum(ways[x:]) / sum(ways)


def outcome(cell, tested, p):
    trunk, control, treated = (cell[part] for part in ("trunk", "control", "treatment"))
    broken = [arm.count("diverged") for arm in (treated, control)]
    sizes = [len(treated), len(control)]
    most_broken = [2 * x > n for x, n in zip(broken, sizes, strict=True)]
    if most_broken == [True, False] and by_chance(*broken, *sizes) <= 0.05 + 1e-9:
        return "diverges"
    if most_broken == [False, True] and by_chance(*broken[::-1], *sizes[::-1]) <= 0.05 + 1e-9:
        return "control diverges"
    if len(cell["deltas"]) < 3 or any(most_broken):
        return "no verdict"
    was = most(trunk, "collapsed")
    if was and most(control, "collapsed") and most(treated, "collapsed"):
        return "stays collapsed"
    if most(treated, "temporary"):
        return "temporary recovery"
    m, _, _, _, tost = tested
    _, low, high, _, tost_loss = test(cell["losses"])
    better, worse = high < -SAME_LOSS, low > SAME_LOSS
    below, above = p < 0.05 and m < -WORTH, p < 0.05 and m > WORTH
    if below and not better:
        return "harmful"
    if was and most(treated, "diverse") and not most(control, "diverse") and above and not worse:
        return "fixed"
    if was and most(treated, "diverse") and most(control, "diverse"):
        return "recovers either way"
    if tost(WORTH) < 0.05 and tost_loss(SAME_LOSS) < 0.05:
        return "no effect" if was else "no effect (nothing to fix)"
    if above and not worse:
        return "helps"
    if above or below:
        return "trade-off"
    if tost(WORTH) < 0.05 and (better or worse):
        return "lower loss" if better else "higher loss"
    return "inconclusive"
