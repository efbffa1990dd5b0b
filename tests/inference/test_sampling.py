"""Text token by token: greedy is the full model's argmax, draws follow the distribution."""

import math
import subprocess
import sys

import pytest
import torch

from bitnet.common.files import sha256, write_json
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, choose, complete, generate, probabilities
from bitnet.model.checkpoint import save_weights
from bitnet.model.transformer import Transformer
from tests.helpers.project import ENVIRONMENT, ROOT
from tests.inference.test_engine import CONTEXT, KINDS, ids, trained
from workflow.scripts import generate as script

FOUR = torch.tensor([[0.5, 0.3, 0.15, 0.05]])  # probabilities to choose from


@pytest.mark.parametrize("weights", KINDS)
def test_greedy_text_is_the_argmax_of_the_full_model(weights):
    model, prompt = trained(weights), ids(2, 4)
    written = complete(Inference(model), prompt, Sampling(), CONTEXT - 4, end=[])
    read = prompt
    for _ in range(CONTEXT - 4):
        with torch.no_grad():
            read = torch.cat([read, model(read)[:, -1].argmax(-1, keepdim=True)], dim=1)
    assert torch.equal(torch.tensor(written), read[:, 4:])


def test_beyond_the_context_it_goes_on_from_the_latter_half():
    model = trained()
    (written,) = complete(Inference(model), ids(1, 4), Sampling(), 2 * CONTEXT, end=[])
    everything = [*ids(1, 4)[0].tolist(), *written]
    # CONTEXT tokens have been read when the next is written: that one is read behind half of them.
    for position, start in ((CONTEXT, 0), (CONTEXT + 1, CONTEXT + 1 - CONTEXT // 2)):
        with torch.no_grad():
            window = torch.tensor([everything[start:position]])
            assert model(window)[0, -1].argmax() == everything[position]


def test_a_prompt_longer_than_the_context_is_read_from_its_end():
    model, prompt = trained(), ids(1, 3 * CONTEXT)
    tokens = generate(Inference(model), prompt, Sampling())
    with torch.no_grad():
        assert next(tokens)[0] == model(prompt[:, -CONTEXT:])[0, -1].argmax()


def test_a_sequence_ends_with_the_first_end_token():
    model = Inference(trained())
    (free,) = complete(model, ids(1, 4), Sampling(), 10, end=[])
    (cut,) = complete(model, ids(1, 4), Sampling(), 10, end=[free[4]])
    assert cut == free[: free.index(free[4]) + 1]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=1), [0.5, 0.3, 0.15, 0.05]),
        (Sampling(), [1, 0, 0, 0]),
        (Sampling(temperature=1, top_k=2), [5 / 8, 3 / 8, 0, 0]),
        (Sampling(temperature=1, top_p=0.8), [5 / 8, 3 / 8, 0, 0]),
        (Sampling(temperature=1, top_p=0.81), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0]),
        (Sampling(temperature=1, top_p=0.01), [1, 0, 0, 0]),
        # of the three likeliest, 0.5 / 0.95 + 0.3 / 0.95 = 0.842
        (Sampling(temperature=1, top_k=3, top_p=0.84), [5 / 8, 3 / 8, 0, 0]),
        # p^2, divided by 0.25 + 0.09 + 0.0225 + 0.0025
        (Sampling(temperature=0.5), [v / 0.365 for v in (0.25, 0.09, 0.0225, 0.0025)]),
        (Sampling(temperature=1e-300), [1, 0, 0, 0]),
    ],
)
def test_the_distribution_is_that_of_arithmetic_by_hand(sampling, expected):
    order = torch.tensor([2, 0, 3, 1])  # so that no answer comes from the order of the tokens
    found = probabilities(FOUR.log()[:, order], sampling)
    torch.testing.assert_close(found, torch.tensor([expected], dtype=torch.float64)[:, order])


def test_drawn_tokens_follow_the_distribution():
    draws, chance = 20_000, torch.Generator().manual_seed(5)
    logits = FOUR.log().expand(draws, -1)
    sampling = Sampling(temperature=1, top_k=3)
    share = choose(logits, sampling, chance).flatten().bincount(minlength=4) / draws
    for found, p in zip(share.tolist(), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0], strict=True):
        assert abs(found - p) <= 4 * math.sqrt(p * (1 - p) / draws)


def test_a_seed_repeats_its_text_and_another_does_not():
    model = Inference(trained())
    one, same, other = (
        complete(model, ids(2, 4), Sampling(temperature=1, seed=seed), 15, end=[])
        for seed in (1, 1, 2)
    )
    assert one == same != other


@pytest.mark.parametrize(
    ("key", "value"),
    [("temperature", -1), ("temperature", math.nan), ("top_p", 0), ("top_p", 1.5), ("top_k", -1)],
)
def test_a_way_of_choosing_that_cannot_be_is_refused(key, value):
    with pytest.raises(ValueError, match=f"{key} is {value}; allowed"):
        Sampling(**{key: value})


def test_logits_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        choose(torch.tensor([[0.0, math.nan]]), Sampling(), torch.Generator())


@pytest.fixture(scope="module")
def written(stories_data, tmp_path_factory):
    """A model of the stories' tokenizer as training leaves it, below a folder like data/."""
    data = tmp_path_factory.mktemp("data") / "stories"
    data.mkdir()
    (data / "bpe512").symlink_to(stories_data.folder)
    tokenizer = stories_data.folder / "tokenizer.model"
    write_json(f"{tokenizer}.json", {"sha256": sha256(tokenizer)})
    config = ModelConfig(512, 32, 1)
    training = TrainConfig(20, 2, 32, "adamw", 1e-3, 5e-4, 1e-5, 2, 0.1, 0.0)
    torch.manual_seed(0)
    recipe = {key: vars(part) for key, part in vars(Recipe(config, training)).items()}
    record = {"recipe": recipe, "data": stories_data.manifest["sha256"], "diverged": False}
    path = data.parent / "m.safetensors"
    save_weights(Transformer(config, 32), path, {**record, "kind": "weights"})
    return path, data.parent


def call(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "workflow.scripts.generate", *arguments]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)


def test_the_script_streams_a_prompt_and_its_continuation(written):
    path, data = written
    flags = ["--model", str(path), "--data", str(data), "--prompt", "Tim"]
    done = call(*flags, "--max-tokens", "40", "--temperature", "1", "--seed", "4")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Tim") and len(done.stdout) > 20
    assert "tokens/s" in done.stderr


def test_control_characters_are_shown_as_escapes(written):
    path, data = written
    done = call("--model", str(path), "--data", str(data), "--prompt", "a\x1b]0;x\x07\nb")
    assert done.returncode == 0 and done.stdout.startswith("a\\x1b]0;x\\x07\nb"), done.stderr


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--model", "README.md"], "model is 'README.md'; allowed: weights"),
        (["--data", "nowhere"], "no data set below 'nowhere'"),
        (["--top-p", "0"], "top_p is 0.0; allowed: above 0"),
        # Kind of fault: a byte that is not UTF-8 on the command line, and a traceback out of C++
        (["--prompt", "\udcff"], r"--prompt is '\udcff'; allowed: UTF-8 text"),
        (["--max-tokens", "0"], "--max-tokens is 0; allowed"),
        (["--tokenizer", "README.md"], "tokenizer is 'README.md'; allowed: a SentencePiece model"),
    ],
)
def test_the_script_refuses_bad_input_in_one_line(written, change, words, capsys):
    path, data = written
    with pytest.raises(ValueError) as error:
        script.main(["--model", str(path), "--data", str(data), *change])
    assert words in str(error.value) and "\n" not in str(error.value)
    assert not capsys.readouterr().out


def test_a_refusal_reaches_the_terminal_as_one_line():
    done = call("--model", "README.md")
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("error: model is 'README.md'") and done.stderr.count("\n") == 1
