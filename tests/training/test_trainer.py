"""Training: what is recorded, that it can be cut anywhere, and what a bad step does."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.data import probe
from bitnet.data.dataloader import batch
from bitnet.model import products
from bitnet.model.checkpoint import load_state, save_state
from bitnet.training.trainer import Trainer, train

VOCAB, STEPS, POSITIONS = 64, 60, 256
CPU = torch.device("cpu")


def recipe(weights="ternary", optimizer="adamw", stage2=0.0, **changes) -> Recipe:
    training = {
        "steps": STEPS,
        "batch_size": 2,
        "sequence_length": 16,
        "optimizer": optimizer,
        "peak_lr": 1e-2,
        "switch_lr": 5e-3,
        "final_lr": 1e-4,
        "warmup_steps": 5,
        "stage1_weight_decay": 0.1,
        "stage2_weight_decay": stage2,
        "evaluate_every": 10,
        "seed": 3,
    }
    model = ModelConfig(VOCAB, 16, 1, weights=weights)
    return Recipe(model, TrainConfig(**{**training, **changes}))


@pytest.fixture(scope="module")
def data():
    """A text with structure: each token is followed by its double, or by a random one."""
    rng = np.random.default_rng(0)
    tokens = [1]
    for _ in range(20_000):
        doubled = rng.random() < 0.9
        tokens.append(tokens[-1] * 2 % VOCAB if doubled else int(rng.integers(3, VOCAB)))
    tokens = np.array(tokens, dtype=np.uint16)
    placed = probe.place(5_000, 16, POSITIONS)
    return tokens[5_000:], probe.windows(tokens[:5_000], placed)


def run(trainer: Trainer, data, last: int = STEPS, **more) -> Trainer:
    train(trainer, *data, POSITIONS, last, **more)
    return trainer


def same_bits(a: Trainer, b: Trainer) -> None:
    for (name, x), (_, y) in zip(
        a.model.named_parameters(), b.model.named_parameters(), strict=True
    ):
        assert torch.equal(x, y), name
    left, right = a.observations(), b.observations()
    assert left.keys() == right.keys()
    for key in left:
        np.testing.assert_array_equal(left[key], right[key], err_msg=key)


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_trunk_and_branch_are_the_same_bits_as_one_uninterrupted_run(data, weights, optimizer):
    whole = run(Trainer(recipe(weights, optimizer), CPU), data)
    trunk = run(Trainer(recipe(weights, optimizer, stage2=None), CPU), data, STEPS // 2)
    branch = Trainer(recipe(weights, optimizer), CPU)
    branch.load_state_dict(copy.deepcopy(trunk.state_dict()))
    same_bits(run(branch, data), whole)


@pytest.mark.parametrize("cut", [1, 9, 10, 29, 30, 31, 59])
def test_a_training_resumed_from_any_saved_state_ends_in_the_same_bits(data, cut, tmp_path):
    saved = []

    class Killed(Exception):
        pass

    def save(trainer):
        if trainer.step < cut:
            return
        save_state(trainer.state_dict(), tmp_path / "state", {})
        saved.append(load_state(tmp_path / "state")[0])
        raise Killed

    with pytest.raises(Killed):
        run(Trainer(recipe(), CPU), data, save=save)
    resumed = Trainer(recipe(), CPU)
    resumed.load_state_dict(saved[0])
    assert resumed.step == cut
    same_bits(run(resumed, data), run(Trainer(recipe(), CPU), data))


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_a_training_by_the_original_protocol_is_resumed_to_the_bit(data, weights):
    shape = {"linear_norms": True, "fused_qkv": True, "initialization": "pytorch"}
    model = ModelConfig(VOCAB, 16, 1, weights=weights, tie_embeddings=False, **shape)
    changes = {"steps": 20, "lr_lag": True, "windows": "in_order", "optimizer": "adam"}
    one = Recipe(model, recipe(**changes).training)
    tokens, probed = data[0][:500], data[1]  # read through twice
    part, rest = Trainer(one, CPU), Trainer(one, CPU)
    train(part, tokens, probed, POSITIONS, 7)
    rest.load_state_dict(copy.deepcopy(part.state_dict()))
    train(rest, tokens, probed, POSITIONS, 20)
    whole = Trainer(one, CPU)
    train(whole, tokens, probed, POSITIONS, 20)
    same_bits(rest, whole)


def test_rows_are_the_evaluation_steps_with_the_values_each_step_was_trained_with(data):
    seen = run(Trainer(recipe(), CPU), data).observations()
    assert seen["step"].tolist() == [0, 10, 20, 30, 40, 50, 60]
    lr = dict(zip(seen["step"].tolist(), seen["lr"], strict=True))
    assert lr[0] == 0 and lr[30] == pytest.approx(5e-3) and lr[60] == pytest.approx(1e-4)
    assert seen["wd"].tolist() == [0.1, 0.1, 0.1, 0.1, 0.0, 0.0, 0.0]
    assert seen["prediction"].shape == seen["nll"].shape == (7, POSITIONS)


def test_a_model_learns_what_can_be_learned(data):
    seen = run(Trainer(recipe(weights="full_precision", steps=300), CPU), data, 300).observations()
    loss = seen["nll"].mean(axis=1)
    assert loss[0] == pytest.approx(np.log(VOCAB), abs=0.2)
    assert loss[-1] < 1.5  # the source's entropy is 0.73 nats, a unigram's loss above 3


def test_ternary_health_is_recorded_for_ternary_models_only(data):
    ternary = run(Trainer(recipe(), CPU), data).observations()
    twin = run(Trainer(recipe("full_precision"), CPU), data).observations()
    assert np.isnan(ternary["flip_rate"][0]) and np.all(ternary["flip_rate"][1:] > 0)
    assert np.all((ternary["zero_share"] > 0.1) & (ternary["zero_share"] < 0.9))
    assert np.all(np.isnan(twin["flip_rate"])) and np.all(np.isnan(twin["zero_share"]))


def test_flip_rate_counts_the_ternary_values_of_a_hundred_steps_before(data):
    long = recipe(steps=200, evaluate_every=1000, evaluate_at=(150,))
    trainer = run(Trainer(long, CPU), data, 50)
    from bitnet.training.observations import codes

    before = codes(trainer.model)
    seen = run(trainer, data, 150).observations()
    assert seen["flip_rate"][-1] == (codes(trainer.model) != before).double().mean().item()


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_gradient_norms_of_the_parts_make_up_the_whole_before_clipping(data, weights):
    seen = run(
        Trainer(recipe(weights, gradient_clip=1e-3, evaluate_at=(1,)), CPU), data, 1
    ).observations()
    found = [seen[f"{part}_grad_norm"][-1] for part in ("embed", "linear", "gain")]
    assert min(found) > 0 and np.isnan(seen["linear_grad_norm"][0])
    assert np.hypot.reduce(found) == pytest.approx(seen["grad_norm"][-1], rel=1e-6)
    assert seen["grad_norm"][-1] > 1e-2


def test_smoothing_labels_minimises_the_mixed_cross_entropy(data):
    trainer = Trainer(recipe(label_smoothing=0.3), CPU)
    drawn = batch(data[0], 3, 1, 2, 16)
    rows = torch.from_numpy(drawn)
    log_p = torch.log_softmax(trainer.model(rows[:, :-1]), -1)
    target = -log_p.gather(-1, rows[:, 1:, None]).mean().item()
    expected = 0.7 * target + 0.3 * -log_p.mean().item()  # Szegedy et al. 2016, section 7
    assert run(trainer, data, 1).recent[-1][0].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("windows", "unseen"), [("epochs", 0), ("random", np.exp(-1))])
def test_the_recipe_says_how_the_text_is_drawn(windows, unseen):
    trainer, seen = Trainer(recipe(windows=windows), CPU), np.zeros(16_000)

    def count(rows, *_):
        np.add.at(seen, rows[:, 1:].numpy(), 1)
        return torch.zeros(5)

    trainer.advance = count
    for _ in range(16_000 // (2 * 16)):  # one pass in batches of 2 x 16
        trainer.update(np.arange(16_000, dtype=np.uint16))
    assert seen.sum() == 16_000
    assert (seen == 0).mean() == pytest.approx(unseen, abs=0.03)


def test_what_is_shuffled_is_what_is_trained_on(data):
    seen = {}
    for shuffled in (False, True):
        trainer = run(Trainer(recipe(shuffled=shuffled, steps=400), CPU), data, 400)
        seen[shuffled] = trainer.observations()["nll"][-1].mean()
    unigram = entropy(np.bincount(data[0]))
    assert seen[False] < 0.6 * unigram and seen[True] > 0.95 * unigram


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_as_diverged_and_is_recorded(data, value):
    trainer = run(Trainer(recipe(), CPU), data, 12)
    with torch.no_grad():
        trainer.model.embed_tokens.weight[:] = value
    run(trainer, data)
    assert trainer.diverged and trainer.step == 20
    seen = trainer.observations()
    assert seen["step"].tolist() == [0, 10, 20]
    assert not np.isfinite(seen["nll"][-1]).any() and np.isfinite(seen["nll"][:-1]).all()


def poisoned(trainer: Trainer, value: float, at: int) -> Trainer:
    """A gradient of one weight becomes `value` in one step; its loss stays finite."""
    weight = trainer.model.layers[0].mlp.down_proj.weight

    def hook(gradient):
        return torch.full_like(gradient, value) if trainer.step == at - 1 else gradient

    weight.register_hook(hook)
    return trainer


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", [14, STEPS])  # even where no later loss can show it
def test_a_gradient_that_is_not_finite_ends_the_run_as_diverged(data, value, at):
    trainer = run(poisoned(Trainer(recipe(), CPU), value, at), data)
    assert trainer.diverged and trainer.step == -(-at // 10) * 10
    seen = trainer.observations()
    assert not np.isfinite(seen["grad_norm"][-1]) and np.isfinite(seen["grad_norm"][1:-1]).all()


def test_a_diverged_trunk_is_not_trained_on(data):
    trunk = run(poisoned(Trainer(recipe(stage2=None), CPU), float("nan"), 14), data, STEPS // 2)
    branch = Trainer(recipe(), CPU)
    branch.load_state_dict(trunk.state_dict())
    run(branch, data)
    assert branch.diverged and branch.step == 20


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_a_text_of_one_repeated_token_is_learned_and_nothing_overflows(data, weights):
    same = np.full(1_000, 7, dtype=np.uint16)
    windows = np.full((16, 17), 7, dtype=np.int64)
    trainer = Trainer(recipe(weights), CPU)
    train(trainer, same, windows, POSITIONS, STEPS)
    seen = trainer.observations()
    assert not trainer.diverged and np.isfinite(seen["nll"]).all()
    assert (seen["prediction"][-1] == 7).all() and seen["nll"][-1].mean() < 0.1


def test_batches_and_start_follow_from_the_seed(data):
    first, again = (run(Trainer(recipe(), CPU), data, 10) for _ in range(2))
    other = run(Trainer(recipe(seed=4), CPU), data, 10)
    same_bits(first, again)
    assert not torch.equal(first.model.norm.weight, other.model.norm.weight)


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
@pytest.mark.parametrize("on", ["cpu", "gpu"])
def test_training_in_mixed_precision_follows_the_one_in_float32(data, weights, on, monkeypatch):
    monkeypatch.setattr(products, "MIXED_FROM", 0)
    plain = run(Trainer(recipe(weights, steps=120), CPU), data, 120).observations()
    trainer = Trainer(recipe(weights, steps=120), CPU, mixed=on == "cpu")
    if on == "gpu":  # what a GPU computes, on a CPU
        trainer.advance.products = lambda: torch.autocast("cpu", dtype=torch.bfloat16)
    mixed = run(trainer, data, 120).observations()
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}
    assert not np.array_equal(mixed["nll"], plain["nll"])  # it did run in bf16
    gap = mixed["nll"].mean(axis=1) - plain["nll"].mean(axis=1)
    assert np.abs(gap).max() < 0.15
    assert mixed["nll"][-1].mean() < 0.8 * mixed["nll"][0].mean()
