"""Stories judged, both experiments together, and the whole way from a study to the decision."""

import copy
import math

import pandas as pd
import pytest

from bitnet.evaluation.text_quality import copied, distinct, seq_rep
from bitnet.evaluation.weight_histograms import EDGES
from bitnet.experiments.decision import QUICK_PASS, TABLE, decision, markdown
from bitnet.experiments.rules import outcome
from bitnet.experiments.runs import Samples
from bitnet.experiments.stories import bits_per_byte, complaints, judge, scores
from bitnet.experiments.stories import markdown as stories_markdown
from tests.helpers.project import TINY, copy_project, jobs, snakemake
from tests.helpers.recipes import recipe

FINE, BAD = [], ["h1: wrong"]


def test_distinct_2_is_different_pairs_over_all_pairs():
    # ab bc ca ab | ab: 5 pairs, 3 different
    assert distinct([list("abcab"), list("ab")]) == 3 / 5
    assert math.isnan(distinct([["a"], []]))


def test_seq_rep_4_is_the_repeated_share_of_each_text():
    # abcd bcda cdab dabc abcd: one of five repeats; a text of four different words repeats none
    assert seq_rep([list("abcdabcd")]) == pytest.approx(1 / 5)
    assert seq_rep([list("abcdabcd"), list("wxyz"), list("ab")]) == pytest.approx(1 / 10)


def test_copied_phrases_are_those_of_the_training_text():
    training = ["The cat sat on the mat.", "A dog ran."]
    texts = [["the", "cat", "sat", "on", "a"], ["a", "dog", "ran", "."], ["no", "such"]]
    shares, known = copied([*texts, ["cat", "the", "on", "sat"]], iter(training))
    assert shares[:2] == [0.5, 1.0] and math.isnan(shares[2]) and shares[3] == 0
    assert known == {"the", "cat", "sat", "on", "mat", "a", "dog", "ran", "."}


@pytest.mark.parametrize(
    ("ternary", "twin", "passed", "words"),
    [
        (FINE, FINE, True, "and their full-precision twins"),
        (FINE, BAD, True, "though something is with their full-precision twins: h1: wrong"),
        (BAD, FINE, False, "h1: wrong; the full-precision twins pass"),
        (BAD, BAD, False, "the full-precision twins fail as well"),
    ],
)
def test_an_outcome_is_that_of_the_ternary_models_and_the_twins_explain_it(
    ternary, twin, passed, words
):
    found = outcome({"ternary": ternary, "full_precision": twin})
    assert found["passed"] is passed and words in found["reason"]
    assert "no full-precision twin" in outcome({"ternary": BAD})["reason"]


def run(weights: str = "ternary", losses=(7.6, 2.0), failures=(), **change) -> Samples:
    """What the script finds of a run of stories."""
    quality = {"texts": 100, "words": 9000, "distinct_2": 0.4, "seq_rep_4": 0.01, "ended": 0.9}
    quality |= {"all_novel": 0.0, "all_copied": 0.1, "copied": 0.6, "known_words": 0.99}
    quality |= {"sentences": 900, "grammatical": 0.8, "agreeing": 0.5, "failures": []}
    end = {**quality, "failures": list(failures)}
    fields = {
        "recipe": recipe(weights),
        "trained": {"diverged": False, "data": "d"},
        "code": "c",
        "losses": {"step": [0, 9], "nats": list(losses), "positions": 4096, "bytes": 16384},
        "references": {"unigram": {"loss": 5.9}, "bigram": {"loss": 3.3}, "trigram": {"loss": 2.4}},
        "prompts": ["Once upon a time", ""],
        "greedy": {"at the end": ["Once upon a time there was.\nA cat.", "It ran."]},
        "drawn": {"held-out text": ["a"], "at the end": ["One day."]},
        "quality": {"held-out text": quality, "untrained": quality, "at the end": end},
        "best_possible": {"bits_per_byte": 0.27, "stories": 100, "bytes": 70_000},
        "weights": {},
    }
    return Samples.from_dict({**fields, **change})


def test_bits_per_byte_by_hand():
    # 4 bytes a token: ln 2 nats a token are a quarter of a bit a byte
    losses = {"nats": [math.log(2)], "positions": 4096, "bytes": 16384}
    assert bits_per_byte(losses) == pytest.approx([0.25])


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        ({}, None),
        ({"losses": (7.6, 5.2)}, "loss stuck: 5.20"),
        ({"losses": (7.6, 3.4)}, "no better than the bigram's 3.30"),
        ({"losses": (7.6, math.nan)}, "NaN"),
        ({"failures": ["repetition: 40 of 100"]}, "repetition: 40 of 100"),
    ],
)
def test_what_is_wrong_with_a_run_of_stories(change, sign):
    found = complaints(run(**change))
    assert found == [] if sign is None else sign in found[0]
    assert judge({"a": run(**change)})["passed"] is (sign is None)


def test_a_run_that_diverged_before_it_wrote_is_reported():
    lost = run(trained={"diverged": True, "data": "d"}, losses=(7.6, math.nan))
    del lost.quality["at the end"], lost.greedy["at the end"]
    assert "NaN" in judge({"a": lost})["reason"]
    lost.greedy["untrained"] = ["zzz"] * 2
    text = stories_markdown({"a": lost}, "tinystories")
    assert text.splitlines()[0] == "# Stories: tinystories: fail" and "**fail**" in text


def test_the_report_stands_beside_the_published_losses_and_the_best_possible_one():
    text = stories_markdown({"h512_wd0": run(), "h512_wd0_fp": run("full_precision")}, "x")
    for part in (
        "1.297 (260K, 512)",
        "0.760 (110M, 32,000)",
        "1.5 to 2.0",
        "4,096",
        "best possible",
    ):
        assert part in " ".join(text.split()), part
    assert text.splitlines()[0] == "# Stories: x: pass"
    assert text.count("> Once upon a time there was.\n>\n> A cat.") == 2  # one sample a model
    assert "It ran." not in text
    rows = scores({"a": run()})
    assert rows["Part"].tolist() == ["held-out text", "untrained", "at the end"]
    assert rows["Grammatical"].tolist() == [0.8] * 3


def record(passed: bool, title: str) -> dict:
    """The record of a report."""
    found = outcome({"ternary": FINE if passed else BAD, "full_precision": FINE})
    parts = {"histogram": [1] * (len(EDGES) - 1), "ternary": [0.3, 0.4, 0.3], "count": 80}
    both = {"attention": parts, "feed_forward": parts}
    return {"outcome": found, "title": title, "weights": {"h1": both}}


@pytest.mark.parametrize("size", ["full", "quick"])
@pytest.mark.parametrize("arithmetic", [True, False])
@pytest.mark.parametrize("stories", [True, False])
def test_the_decision_table_has_an_answer_for_every_outcome(arithmetic, stories, size):
    records = {"arithmetic": record(arithmetic, "a"), "stories": record(stories, "t")}
    means, then = decision(*(r["outcome"] for r in copy.deepcopy(records).values()), size)
    expected = {(True, True): "infrastructure works", (False, False): "infrastructure has bugs"}
    assert expected.get((arithmetic, stories), "") in means
    text = " ".join(markdown(records, size).split())
    # Only models of the full size say anything of a model of 95M parameters.
    assert ("95M" in text) == (arithmetic and stories and size == "full")
    assert (QUICK_PASS in text) == (arithmetic and stories and size == "quick")
    assert then.split()[0] in text and text.count("<- here") == 1
    assert ("quantisation and straight-through gradients" in text) == (not (arithmetic and stories))
    assert len(TABLE) == 4


def test_a_dry_run_of_the_sanity_experiments_trains_each_kind_of_weights_once(tmp_path):
    project = copy_project(tmp_path)
    found = jobs(snakemake(project, "-n", "sanity_quick"))
    assert found["train_trunk"] == found["train_branch"] == 4 and "verdict" not in found
    assert found["answers"] == found["samples"] == 2 and found["sanity_report"] == 1
    assert jobs(snakemake(project, "-n", "arithmetic"))["answers"] == 2
    found = jobs(snakemake(project, "-n", "tinystories", "--config", "corpus=stories"))
    assert found["samples"] == 2 and found["stories_report"] == 1


@pytest.mark.slow
def test_the_quick_experiments_go_from_text_to_a_decision(tmp_path):
    project = copy_project(tmp_path)
    script = project / "workflow/scripts/samples.py"
    many, few = "STORIES, MOST_TOKENS = 100, 400", "STORIES, MOST_TOKENS = 20, 100"
    text = script.read_text()
    assert many in text
    script.write_text(text.replace(many, few))  # of a model that has learned nothing
    said = snakemake(project, "sanity_quick", "--cores", "1", *TINY)
    results = project / "results"
    assert "# Is it broken, or is the task too hard?" in said
    answers = pd.read_csv(results / "arithmetic_quick/arithmetic.csv")
    assert answers["Problems"].max() == 2 * 146 and answers["Exact"].max() < 0.5
    stories = pd.read_csv(results / "tinystories_quick/stories.csv").set_index("Part")
    assert (stories.loc["held-out text", ["Grammatical", "Agreeing", "KnownWords"]] > 0.95).all(
        axis=None
    )
    assert (stories.loc["untrained", "Grammatical"] == 0).all()
    text = (results / "sanity/quick.md").read_text()
    assert "**The infrastructure has bugs**" in text  # 40 steps teach nothing
    for name in ("sanity/quick.svg", "arithmetic_quick/arithmetic.svg", "sanity/quick.csv"):
        assert (results / name).stat().st_size > 500 or name.endswith("csv")
