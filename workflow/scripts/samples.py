"""Sample stories from a model before training, at the switch and at the end; measure their quality.

    python -m workflow.scripts.samples --trunk models/tinystories/h512.safetensors \\
        --weights models/tinystories/h512_wd0.safetensors \\
        --observations models/tinystories/h512_wd0.observations.safetensors \\
        --manifest manifest128.json --references references128.json --tokenizer tokenizer.model \\
        --text text.json --output h512_wd0.samples.json

If --source is the built-in stories, sentences are also checked by their grammar.
"""

import argparse
import json
from itertools import islice

import torch

from bitnet.common.files import read_json, write_json
from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import Recipe
from bitnet.data.stories.grammar import default_grammar
from bitnet.data.stories.parser import Parser
from bitnet.data.text import read_text
from bitnet.data.tokenizer import open_tokenizer
from bitnet.evaluation.weight_histograms import latent_weights
from bitnet.experiments.rules import END, HELD_OUT
from bitnet.experiments.runs import TRAINED, Samples
from bitnet.experiments.sample_quality import measured
from bitnet.inference.completions import texts
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling
from bitnet.model.checkpoint import load_trained
from bitnet.model.transformer import Transformer
from bitnet.training.device import claim
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.weights import TYPED, check_trunk, check_weights

PROMPTS = ("Once upon a time", "One", "")  # "": the start of a document
STORIES, MOST_TOKENS = 100, 400  # sampled per model, and the most tokens per story
SHOWN = 5  # stories whose text is kept
PARTS = {"untrained": None, "at the switch": "trunk", END: "weights"}


def main(argv: list[str] | None = None) -> None:
    """Write texts and their measured quality as JSON."""
    args = parse(argv)
    manifest, known = read_json(args.manifest), read_json(args.references)
    tokenizer = open_tokenizer(args.tokenizer)
    arrays, trained = load_tensors(args.weights)
    seen, observed = load_tensors(args.observations)
    trunk = load_tensors(args.trunk)[1]
    files = {args.trunk: trunk, args.weights: trained, args.observations: observed}
    for path, metadata in files.items():
        if metadata["data"] != manifest["sha256"]:
            raise ValueError(f"{path} is of other data than {args.manifest}; delete it, run again")
    check_weights(args.weights, trained, args.recipe)
    check_weights(args.observations, observed, json.dumps(trained["recipe"]))
    check_trunk(args.trunk, trunk, trained)
    source = json.loads(args.source)
    parser = Parser(default_grammar()) if source.get("source") == "stories" else None
    held_out = list(islice(read_text(args.text, "validation"), STORIES))
    told: dict[str, list[dict]] = {HELD_OUT: [{"text": t, "ended": True} for t in held_out]}
    greedy: dict[str, list[str]] = {}
    chance = Sampling(temperature=1.0, seed=trained["recipe"]["training"]["seed"])
    prompts = [PROMPTS[0]] * (STORIES // 2) + [""] * (STORIES - STORIES // 2)
    with claim(args.device, 1) as device:
        for name, part in PARTS.items():
            model = model_of(getattr(args, part) if part else None, trained)
            if model is None:
                continue
            frozen = Inference(model.to(device))
            likeliest = texts(frozen, tokenizer, PROMPTS, Sampling(), MOST_TOKENS)
            greedy[name] = [one["text"] for one in likeliest]
            told[name] = texts(frozen, tokenizer, prompts, chance, MOST_TOKENS)
            log.info("%s: %s", name, told[name][0])
    sampled = Samples(
        recipe=Recipe.from_json(json.dumps(trained["recipe"])),
        trained={key: trained[key] for key in TRAINED},
        code=code_of("samples", args.code, source.get("source")),
        losses={
            "step": seen["step"].tolist(),
            "nats": seen["nll"].mean(axis=1, dtype=float).tolist(),
            "positions": manifest["probe"]["positions"],
            "bytes": manifest["probe"]["bytes"],
        },
        references=known["references"],
        prompts=PROMPTS,
        greedy=greedy,
        drawn={name: [one["text"] for one in drawn[:SHOWN]] for name, drawn in told.items()},
        quality=measured(told, read_text(args.text, "train"), parser),
        best_possible=known["best_possible"],
        weights=latent_weights(arrays) if not trained["diverged"] else {},
    )
    write_json(args.output, sampled.to_dict())


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parsed command line."""
    parser = flags(__doc__)
    parser.add_argument("--trunk", required=True, help="weights at the switch")
    parser.add_argument("--weights", required=True, help="weights of the run at its end")
    parser.add_argument("--recipe", help=TYPED)
    parser.add_argument("--observations", required=True, help="what its training recorded")
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--references", required=True, help="what count models reach there")
    parser.add_argument("--tokenizer", required=True, help="its tokenizer")
    parser.add_argument("--text", required=True, help="JSON file that describes the text")
    parser.add_argument("--source", default="{}", help="its block of corpora, as JSON")
    parser.add_argument("--device", default="auto", help="where to write them")
    parser.add_argument("--output", required=True, help="JSON file to write")
    return parsed(parser, argv)


def model_of(path: str | None, trained: dict) -> Transformer | None:
    """The saved model of a path, the untrained one for None, or None if it diverged."""
    if path:
        return None if load_tensors(path)[1]["diverged"] else load_trained(path)[0]
    recipe = Recipe.from_json(json.dumps(trained["recipe"]))
    torch.manual_seed(recipe.training.seed)  # as training does
    return Transformer(recipe.model, recipe.training.sequence_length)


if __name__ == "__main__":
    run(main)
