"""Run EleutherAI's lm-evaluation-harness on an exported folder, and the same measures here.

    here=models/export/portable/h256_wd0
    python -m workflow.scripts.lm_eval --folder $here/bitlinear --tasks $here/lm_eval \\
        --weights models/portable/h256_wd0.safetensors --text data/stories/text.json \\
        --source '{"source": "stories", "seed": 0}' \\
        --manifest data/stories/bpe2048/manifest64.json --output lm_eval-h256_wd0.json

Bits per byte of held-out documents and, where the text is that of the built-in stories, the share
of right answers to questions about stories that its grammar draws anew.
"""

import json
from importlib.metadata import PackageNotFoundError, version
from itertools import islice

import numpy as np

from bitnet.common.files import write_json
from bitnet.data.stories.questions import CHOICES, Question, questions
from bitnet.data.text import read_text
from bitnet.data.tokenizer import Tokenizer
from bitnet.export.harness import HELD_OUT, RECALL, run_harness, write_tasks
from bitnet.inference.documents import bits_per_byte, likeliest
from bitnet.model.checkpoint import open_trained
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.manifests import tokenizer_of
from workflow.helpers.weights import TYPED, check_weights
from workflow.provenance.environment import environment

INSTALL = "pip install -e '.[export,lm-eval]'"
TEXT_BYTES = 100_000  # of held-out documents, about
QUESTIONS, STORIES = 200, 4000  # asked at most, and stories drawn for them at most


def main(argv: list[str] | None = None) -> None:
    """Write the tasks' folder, and the figures as JSON."""
    parser = flags(__doc__)
    parser.add_argument("--folder", required=True, help="exported for transformers")
    parser.add_argument("--weights", required=True, help=".safetensors of the same run")
    parser.add_argument("--recipe", help=TYPED)
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--text", required=True, help="JSON file that describes the text")
    parser.add_argument("--source", default="{}", help="its block of corpora, as JSON")
    parser.add_argument("--tasks", required=True, help="folder to write the harness's tasks to")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    source = json.loads(args.source)
    code = code_of("lm_eval", args.code, source.get("source"))
    try:
        release = version("lm-eval")
    except PackageNotFoundError:
        raise ValueError(f"lm-eval is not installed ({INSTALL})") from None
    model, trained = open_trained(args.weights)
    check_weights(args.weights, trained, args.recipe)
    tokenizer = Tokenizer(tokenizer_of(args.manifest, args.weights, trained["data"]))
    documents = held_out(args.text)
    asked = questions_of(source, tokenizer, len(model.cos))
    bos = tokenizer.model.id_to_piece(tokenizer.model.bos_id())
    names = write_tasks(args.tasks, documents, asked, bos)
    theirs = run_harness(args.folder, args.tasks, names)
    found = {
        "folder": args.folder,
        "lm_eval": release,
        "transformers": version("transformers"),
        "documents": len(documents),
        "bytes": sum(len(text.encode()) for text in documents),
        "bits_per_byte": theirs[HELD_OUT]["bits_per_byte"],
        "bits_per_byte_here": bits_per_byte(model, tokenizer, documents),
    }
    if asked:
        right = [likeliest(model, tokenizer, q.context, q.choices) == q.answer for q in asked]
        found |= {"questions": len(asked), "chance": 1 / CHOICES, "accuracy": theirs[RECALL]["acc"]}
        found |= {"accuracy_stderr": theirs[RECALL]["acc_stderr"]}
        found |= {"accuracy_here": float(np.mean(right))}
    log.info("%s", found)
    made = {key: trained[key] for key in ("recipe", "data")}
    write_json(args.output, {**found, **made, "code": code, "environment": environment()})


def held_out(text: str) -> list[str]:
    """Held-out documents, of about TEXT_BYTES together; one at least."""
    found, size = [], 0
    for document in read_text(text, "validation"):
        found.append(document)
        size += len(document.encode())
        if size >= TEXT_BYTES:
            break
    return found


def questions_of(source: dict, tokenizer: Tokenizer, context: int) -> list[Question]:
    """Questions that a context of so many tokens holds; none where the text is not the stories."""
    if source.get("source") != "stories":
        return []

    def fits(text: str) -> bool:
        return len(tokenizer.model.encode(text)) <= context  # the last one is not read, bos is

    return list(islice(questions(source["seed"], STORIES, fits), QUESTIONS))


if __name__ == "__main__":
    run(main)
