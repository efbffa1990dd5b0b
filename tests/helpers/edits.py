"""Edits of a copy of the project, taken back afterwards, and the jobs that each makes run again."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.helpers.project import TINY, jobs, snakemake

OTHER = "results/h16_wd0.csv"  # of the study wd_fix: 1 trunk, 1 branch
JUDGE = {"verdict": 1, "figures": 1, "report": 1, "provenance": 1}
RUNS = {"train_trunk": 3, "train_branch": 5, "evaluate": 5, **JUDGE}
DATA = {"tokenizer": 1, "shards": 1, "manifest": 1, "references": 1}
DRAWN = {"figures": 1, "provenance": 1}
NOTHING: dict[str, int] = {}


def planned(project: Path, *targets: str) -> dict[str, int]:
    output = snakemake(project, "-n", *(targets or ("quick", OTHER)), *TINY)
    if "Nothing to be done" in output:
        return NOTHING
    return {r: n for r, n in jobs(output).items() if r not in ("total", "quick", "claims")}


@contextmanager
def edited(project: Path, name: str, change: Callable[[str], str]) -> Iterator[None]:
    path = project / name
    before = path.read_text()
    after = change(before)
    assert after != before, f"nothing to change in {name}"
    path.write_text(after)
    try:
        yield
    finally:
        path.write_text(before)


def swap(one: str, other: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert text.count(one) == 1, f"{one!r} stands there {text.count(one)} times"
        return text.replace(one, other)

    return change


def append(line: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{line}\n"


def sort_keys(text: str) -> str:
    return yaml.safe_dump(yaml.safe_load(text), sort_keys=True)


def reformat(text: str) -> str:
    return re.sub(r"^( *)return (.+[^,(\[{])$", r"\1return (  \2  )", text, flags=re.MULTILINE)


NEUTRAL = {  # all of them can be made at once, in this order
    "comment": ("bitnet/model/quantization.py", append("# a remark")),
    "docstring": (
        "bitnet/model/quantization.py",
        lambda text: text.replace('"""', '"""Namely: ', 1),
    ),
    "reformatting": ("bitnet/training/schedule.py", reformat),
    "format of the log": ("workflow/helpers/cli.py", swap("%H:%M:%S", "%H:%M")),
    "help of a flag": ("workflow/scripts/train.py", swap('help="steps;', 'help="updates;')),
    "checkpoint interval": ("tests/tiny.yaml", swap("checkpoint_every: 7", "checkpoint_every: 9")),
    "device": ("config.yaml", swap("  device: auto", "  device: cpu")),
    "slots": ("tests/tiny.yaml", swap("  gpu: 0", "  gpu: 1")),
    "key order": ("config.yaml", sort_keys),
    "key order below": ("tests/tiny.yaml", sort_keys),
}
EDITS = {
    "two imports away": ("bitnet/model/quantization.py", append("SPARE = 1"), RUNS),
    "metric": (
        "bitnet/evaluation/metrics.py",
        append("SPARE = 1"),
        {"references": 1, "evaluate": 5, **JUDGE},
    ),
    "rule of the verdict": (
        "bitnet/verdict/rule.py",
        append("SPARE = 1"),
        {"verdict": 1, "figures": 1, "report": 1, "provenance": 1},  # figures name cells as it does
    ),
    "threshold": ("config.yaml", swap("collapsed_below: 10", "collapsed_below: 9"), JUDGE),
    "swapped thresholds": (
        "config.yaml",
        lambda text: swap("below: 10 #", "below: 5 #")(swap("few_seeds: 5", "few_seeds: 10")(text)),
        JUDGE,
    ),
    "plot": ("bitnet/figures/draw.py", append("SPARE = 1"), DRAWN),
    "heat map": ("bitnet/figures/phase.py", append("SPARE = 1"), DRAWN),
    "report": ("bitnet/report/page.py", append("SPARE = 1"), {"report": 1}),
    "title": ("config.yaml", swap('title: ""', "title: new"), {"figures": 1, "provenance": 1}),
    "one more seed": (
        "tests/tiny.yaml",
        swap("quick:\n    seeds: 1", "quick:\n    seeds: 2"),
        {"train_trunk": 2, "train_branch": 4, "evaluate": 4, **JUDGE},
    ),
    "two more sizes": (  # enough for one more figure
        "tests/tiny.yaml",
        swap("hidden_size: [16], o", "hidden_size: [16, 32, 64], o"),
        {"train_trunk": 4, "train_branch": 8, "evaluate": 8, "verdict": 1, "figures-scaling": 1}
        | {"report": 1, "provenance": 1},
    ),
    "one more weight decay": (
        "tests/tiny.yaml",
        swap("[16], optimizer", "[16], stage2_weight_decay: [0.05, 0, 0.01], optimizer"),
        {"train_branch": 2, "evaluate": 2, **JUDGE},
    ),
    "learning rate of one study": (
        "tests/tiny.yaml",
        swap("evaluate_at: []}", "evaluate_at: [], switch_lr: 0.0009}"),
        {"train_trunk": 2, "train_branch": 4, "evaluate": 4, **JUDGE},
    ),
    "swapped numbers of a recipe": (
        "tests/tiny.yaml",
        swap(
            "batch_size: 2, sequence_length: 32, warmup_steps: 4, evaluate_every: 5, evaluate_at",
            "batch_size: 4, sequence_length: 32, warmup_steps: 2, evaluate_every: 5, evaluate_at",
        ),
        {"train_trunk": 2, "train_branch": 4, "evaluate": 4, **JUDGE},
    ),
    "vocabulary": ("tests/tiny.yaml", swap("vocab_size: 512", "vocab_size: 520"), {**DATA, **RUNS}),
    "words of the stories": (
        "bitnet/data/stories/lexicon.txt",
        append("noun fox"),
        {"text": 1, **DATA, **RUNS},
    ),
    "amount of text": (
        "tests/tiny.yaml",
        swap("train_bytes: 300000", "train_bytes: 310000"),
        {"text": 1, **DATA, **RUNS},
    ),
}
