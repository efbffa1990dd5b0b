"""Answers of a trained model to held-out arithmetic, and its losses on answers over training.

    python -m workflow.scripts.answers --weights models/arithmetic/h256_wd0.safetensors \\
        --observations models/arithmetic/h256_wd0.observations.safetensors \\
        --manifest manifest128.json --references references128.json \\
        --tokenizer tokenizer.model --source '{"source": "arithmetic"}' \\
        --output models/arithmetic/h256_wd0.answers.json
"""

import json
import math

import numpy as np

from bitnet.common.files import read_json, write_json
from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import Recipe
from bitnet.data.arithmetic import EQUALS, EXAMPLES, Form, answer_positions, examination
from bitnet.data.tokenizer import open_tokenizer
from bitnet.evaluation.weight_histograms import latent_weights
from bitnet.experiments.runs import TRAINED, Answers
from bitnet.inference.completions import answers
from bitnet.inference.engine import Inference
from bitnet.model.checkpoint import load_trained
from bitnet.training.device import claim
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.weights import TYPED, check_weights


def main(argv: list[str] | None = None) -> None:
    """Write questions, answers and losses as JSON."""
    parser = flags(__doc__)
    parser.add_argument("--weights", required=True, help="weights of a run")
    parser.add_argument("--recipe", help=TYPED)
    parser.add_argument("--observations", required=True, help="what its training recorded")
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--references", required=True, help="what count models reach there")
    parser.add_argument("--tokenizer", required=True, help="its tokenizer")
    parser.add_argument("--source", required=True, help="its block of corpora, as JSON")
    parser.add_argument("--problems", type=int, default=2000, help="to be solved at most")
    parser.add_argument("--device", default="auto", help="where to")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    source, manifest = json.loads(args.source), read_json(args.manifest)
    known = read_json(args.references)
    tokenizer = open_tokenizer(args.tokenizer)
    arrays, trained = load_tensors(args.weights)
    seen, observed = load_tensors(args.observations)
    for path, data in ((args.weights, trained["data"]), (args.observations, observed["data"])):
        if data != manifest["sha256"]:
            raise ValueError(f"{path} is of other data than {args.manifest}; delete it, run again")
    check_weights(args.weights, trained, args.recipe)
    check_weights(args.observations, observed, json.dumps(trained["recipe"]))
    problems = [*EXAMPLES, *examination(source, args.problems)]
    written: list[str] = []
    if not trained["diverged"]:
        with claim(args.device, 1) as device:
            model = load_trained(args.weights)[0].to(device)
            written = answers(Inference(model), tokenizer, problems, Form.of(source))
    answered = Answers(
        recipe=Recipe.from_json(json.dumps(trained["recipe"])),
        trained={key: trained[key] for key in TRAINED},
        code=code_of("answers", args.code),
        problems=[[p.a, p.op, p.b] for p in problems],
        written=written,
        losses=losses(seen, manifest, tokenizer),
        unigram=known["references"]["unigram"]["loss"],
        best_possible=(known["best_possible"] or {"loss": math.nan})["loss"],
        weights=latent_weights(arrays) if not trained["diverged"] else {},
    )
    log.info("%d answers", len(written))
    write_json(args.output, answered.to_dict())


def losses(seen: dict, manifest: dict, tokenizer) -> dict:
    """Mean losses at each evaluation, nats per token, on all tokens and on those of answers."""
    length, model = manifest["probe"]["length"], tokenizer.model
    whole = len(seen["inputs"]) // length * length  # the last window may be incomplete
    inputs, targets = (seen[key][:whole].reshape(-1, length) for key in ("inputs", "targets"))
    windows = np.concatenate([inputs, targets[:, -1:]], axis=1)
    inside = answer_positions(windows, model.piece_to_id(EQUALS), model.eos_id()).ravel()
    nll = seen["nll"][:, :whole].astype(np.float64)
    return {
        "step": seen["step"].tolist(),
        "all": nll.mean(axis=1).tolist(),
        "answer": nll[:, inside].mean(axis=1).tolist(),
        "train": seen["loss"].tolist(),
        "positions": len(inside),
        "answer_positions": int(inside.sum()),
    }


if __name__ == "__main__":
    run(main)
