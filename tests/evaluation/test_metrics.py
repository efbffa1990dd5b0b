"""Metrics against arithmetic by hand."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitnet.evaluation.metrics import COLUMNS, CSV_TYPES, RECORDED, diversity_ratio, evaluate

CONSTANTS = {
    "optimizer": "adam",
    "weights": "ternary",
    "seed": 3,
    "hidden_size": 256,
    "stage2_weight_decay": 0.05,
    "peak_lr": 1.5e-3,
    "stage1_weight_decay": 0.1,
    "variant": "base",
    "switch_step": 100,
}
PER_EVALUATION = [*RECORDED.values(), "mean_entropy"]


def manifest(positions: int, vocab_size: int = 8, size: int = 6) -> dict:
    reference = {"loss": 2.0, "unique_predictions": 5, "pdr": 0.6}
    return {
        "vocab_size": vocab_size,
        "sha256": "12345e678901" + "f" * 52,
        "probe": {"positions": positions, "bytes": size},
        "references": {"unigram": reference, "bigram": reference, "trigram": reference},
        "blind": False,
    }


def observe(inputs, targets, prediction, nll=None) -> dict[str, np.ndarray]:
    """Observations of E evaluations whose other recordings count from 0."""
    prediction = np.atleast_2d(prediction)
    shape = prediction.shape
    seen = {name: np.arange(shape[0], dtype=float) for name in PER_EVALUATION}
    return seen | {
        "abs_mean": np.ones(shape[0]),
        "inputs": np.asarray(inputs),
        "targets": np.asarray(targets),
        "prediction": prediction,
        "nll": np.ones(shape, np.float32) if nll is None else np.asarray(nll, np.float32),
        "entropy": np.zeros(shape, np.float32),
        "legacy_prediction": np.zeros((shape[0], 20), int),
    }


def first(observations: dict, **kwargs) -> pd.Series:
    positions = len(observations["targets"])
    return evaluate(observations, manifest(positions, **kwargs), CONSTANTS).iloc[0]


def test_columns_are_in_the_promised_order():
    rows = evaluate(observe([1, 2], [2, 3], [2, 2]), manifest(2), CONSTANTS)
    assert tuple(rows.columns) == COLUMNS
    assert list(COLUMNS[:5]) == ["Step", "Loss", "UniquePredictions", "LR", "WD"]
    assert COLUMNS[-1] == "Blind" and len(COLUMNS) == len(set(COLUMNS)) == 46


def test_counts_shares_and_copies_of_four_positions():
    row = first(observe([1, 2, 3, 4], [2, 3, 4, 5], [1, 1, 3, 6]))
    assert row["UniquePredictions"] == 3  # 1, 3, 6
    assert row["UniqueTargets"] == 4
    assert row["Top1Share"] == 0.5  # 1, twice of four
    assert row["CopyShare"] == 0.5  # 1 and 3 repeat their input


def test_pdr_is_the_ratio_of_exponentiated_entropies():
    # Targets: four equally common ids, exp(H) = 4. Predictions: shares 1/2, 1/4, 1/4,
    # H = 1/2 ln 2 + 1/2 ln 4 = 3/2 ln 2, exp(H) = 2^1.5.
    row = first(observe([0, 0, 0, 0], [2, 3, 4, 5], [1, 1, 3, 6]))
    assert row["PDR"] == pytest.approx(2**1.5 / 4)
    assert diversity_ratio(np.array([7, 7]), np.array([1, 2])) == pytest.approx(0.5)
    assert diversity_ratio(np.array([5, 6]), np.array([1, 2])) == pytest.approx(1.0)


def test_losses_are_the_mean_in_nats_and_the_sum_in_bits_per_byte():
    ln2 = math.log(2)
    row = first(observe([0, 0, 0], [1, 2, 3], [1, 1, 1], nll=[[ln2, 2 * ln2, 3 * ln2]]), size=12)
    assert row["ValLoss"] == pytest.approx(2 * ln2)
    assert row["BitsPerByte"] == pytest.approx(6 / 12)  # 1 + 2 + 3 bits over 12 bytes


def test_mutual_information_is_what_context_takes_off_the_entropy():
    seen = observe([0, 0], [1, 2], [[1, 2], [1, 1]])
    seen["mean_entropy"] = np.array([math.log(2), 0.7])
    seen["entropy"] = np.array([[0.0, 0.0], [0.7, 0.7]])  # sure of each; context ignored
    rows = evaluate(seen, manifest(2), CONSTANTS)
    assert rows["MutualInformation"].tolist() == pytest.approx([math.log(2), 0.0])


def test_unique20_counts_what_follows_the_twenty_random_contexts_whatever_the_probe_shows():
    seen = observe([0, 0], [1, 2], [1, 2])
    seen["legacy_prediction"] = np.array([[3] * 12 + [4] * 7 + [5]])
    assert first(seen)["Unique20"] == 3


def test_the_effective_learning_rate_is_a_step_in_units_of_the_mean_weight():
    seen = observe([0], [1], [1]) | {"lr": np.array([1e-3]), "abs_mean": np.array([0.02])}
    assert first(seen)["EffectiveLR"] == pytest.approx(0.05)


def test_recorded_values_and_constants_arrive_unchanged():
    seen = observe([0, 0], [1, 2], [[1, 2], [1, 1]])
    seen["loss"] = np.array([np.nan, 5.5])
    rows = evaluate(seen, manifest(2), CONSTANTS)
    assert np.isnan(rows["Loss"][0]) and rows["Loss"][1] == 5.5
    assert rows["GradNorm"].tolist() == [0.0, 1.0]
    last = rows.iloc[1]
    assert (last["Seed"], last["HiddenSize"], last["Stage2WD"]) == (3, 256, 0.05)
    assert (last["N"], last["VocabSize"], last["TrigramPDR"]) == (2, 8, 0.6)


def test_a_trunk_has_no_stage_2_weight_decay():
    constants = CONSTANTS | {"stage2_weight_decay": None}
    rows = evaluate(observe([0], [1], [1]), manifest(1), constants)
    assert rows["Stage2WD"].isna().all()


def test_a_diverged_model_has_no_loss_but_still_a_count():
    row = first(observe([0, 0], [1, 2], [0, 3], nll=[[np.nan, 1.0]]))
    assert np.isnan(row["ValLoss"]) and np.isnan(row["BitsPerByte"])
    assert row["UniquePredictions"] == 2


def test_a_csv_read_back_equals_the_table_and_keeps_a_hash_that_looks_like_a_number():
    rows = evaluate(observe([0, 1], [1, 2], [[1, 2], [1, 1]]), manifest(2), CONSTANTS)
    back = pd.read_csv(io.StringIO(rows.to_csv(index=False)), dtype=CSV_TYPES)
    pd.testing.assert_frame_equal(back, rows, check_dtype=False)
    assert back["DataHash"][0] == "12345e678901"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("prediction", np.array([[1, 8]]), "prediction holds ids 1 to 8, allowed are 0 to 7"),
        ("targets", np.array([-1, 2]), "targets holds ids -1 to 2"),
        ("nll", np.ones((1, 3)), r"nll has shape \(1, 3\), not \(1, 2\)"),
        ("lr", np.ones(2), "lr has shape"),
    ],
)
def test_observations_that_cannot_be_right_are_refused_by_name(name, value, message):
    seen = observe([0, 1], [1, 2], [1, 2]) | {name: value}
    with pytest.raises(ValueError, match=message):
        evaluate(seen, manifest(2), CONSTANTS)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_counts_never_exceed_vocabulary_or_positions_and_shares_stay_in_0_1(data):
    vocab_size, positions = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 40))
    ids = st.lists(st.integers(0, vocab_size - 1), min_size=positions, max_size=positions)
    inputs, targets, prediction = (np.array(data.draw(ids)) for _ in range(3))
    row = first(observe(inputs, targets, prediction), vocab_size=vocab_size)
    assert 1 <= row["UniquePredictions"] <= min(vocab_size, positions)
    assert 0 <= row["CopyShare"] <= 1 and 0 < row["Top1Share"] <= 1
    assert row["PDR"] * diversity_ratio(targets, prediction) == pytest.approx(1)
    assert len(np.unique(prediction)) == len(set(prediction.tolist()))
