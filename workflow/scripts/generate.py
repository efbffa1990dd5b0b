"""Generate text with a trained model and print it while it is generated.

    python -m workflow.scripts.generate --model models/quick/h64_wd0_adamw.safetensors \\
        --prompt "Once upon a time" --temperature 0.8 --top-p 0.95 --seed 1

Without --temperature the likeliest token is taken each time. The text goes to the standard output
(control characters as escapes), the number of tokens per second to the standard error.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
from tqdm import tqdm

from bitnet.common.errors import refuse
from bitnet.common.files import read_json, sha256
from bitnet.common.visible import visible
from bitnet.data.tokenizer import Tokenizer, open_tokenizer
from bitnet.inference.sampling import Sampling, generate
from bitnet.inference.stepwise import Stepwise
from bitnet.model.checkpoint import load_trained
from bitnet.training.device import claim
from workflow.helpers.cli import flags, parsed, run
from workflow.helpers.loadable import check_loadable
from workflow.helpers.weights import check_weights

UNFINISHED = "\ufffd"  # a decoder returns it for an incomplete character


def main(argv: list[str] | None = None) -> None:
    """Print the prompt and its continuation."""
    args = parse(argv)
    sampling = Sampling(args.temperature, args.top_k, args.top_p, args.seed)
    if args.max_tokens < 1:
        raise refuse("--max-tokens", args.max_tokens, "an integer of at least 1")
    if args.threads < 1:
        raise refuse("--threads", args.threads, "an integer of at least 1")
    check_loadable(args.model)
    trained, metadata = load_trained(args.model)
    check_weights(args.model, metadata)
    tokenizer = tokenizer_of(metadata, args)
    prompt = readable(args.prompt)
    ids = encode(tokenizer, prompt)
    with claim(args.device, args.threads) as device:
        model = Stepwise(trained.to(device))
        began, count = time.perf_counter(), 0
        tokens = generate(model, torch.tensor([ids], device=device), sampling)

        def counted() -> Iterator[int]:
            nonlocal count
            for token in islice(tokens, args.max_tokens):
                count += 1
                if token.item() == tokenizer.model.eos_id():
                    return
                yield token.item()

        print(visible(prompt), end="", flush=True)
        for piece in streamed(tokenizer, ids, counted()):
            print(visible(piece), end="", flush=True)
        print()
    rate = count / (time.perf_counter() - began)
    tqdm.write(f"{count} tokens, {rate:,.0f} tokens/s", file=sys.stderr)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parsed command line."""
    parser = flags(__doc__)
    parser.add_argument("--model", required=True, help="weights of a run, .safetensors")
    parser.add_argument("--prompt", default="", help="text to go on from; empty: a new document")
    parser.add_argument("--tokenizer", help=".model; default: the one it was trained with")
    parser.add_argument("--data", default="data", help="where to look for that one")
    parser.add_argument("--max-tokens", type=int, default=200, help="to write at most")
    parser.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest token")
    parser.add_argument("--top-k", type=int, default=0, help="of so many likeliest; 0: of all")
    parser.add_argument("--top-p", type=float, default=1.0, help="of the fewest with this share")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda:0")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    return parsed(parser, argv)


def tokenizer_of(metadata: dict, args: argparse.Namespace) -> Tokenizer:
    """The tokenizer that --tokenizer names, else that of the model's training data."""
    if args.tokenizer:
        tokenizer = Tokenizer(args.tokenizer)
        expected = metadata["recipe"]["model"]["vocab_size"]
        if tokenizer.vocab_size != expected:
            allowed = f"one of {expected} pieces, as {args.model} has (not {tokenizer.vocab_size})"
            raise refuse("--tokenizer", args.tokenizer, allowed)
        return tokenizer
    for path in sorted(Path(args.data).glob("*/*/manifest*.json")):
        manifest = read_json(path)
        if manifest["sha256"] == metadata["data"]:
            found = path.with_name("tokenizer.model")
            tokenizer = open_tokenizer(found)
            if sha256(found) != manifest["tokenizer_sha256"]:
                raise ValueError(f"{str(found)!r} is another than that of {path}; run again")
            return tokenizer
    raise ValueError(
        f"no data set below {args.data!r} is the one that {args.model} was trained on; allowed: "
        "--data with the folder that holds it, or --tokenizer"
    )


def readable(prompt: str) -> str:
    """A prompt whose bytes the locale could not read, read as UTF-8; ValueError for others."""
    if not any("\ud800" <= letter <= "\udfff" for letter in prompt):
        return prompt
    try:
        return os.fsencode(prompt).decode("utf-8")
    except UnicodeError:
        raise refuse("--prompt", prompt, "UTF-8 text") from None


def encode(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Token ids of bos and a prompt; ValueError for characters without a piece."""
    ids = tokenizer.model.encode(prompt, add_bos=True)
    if tokenizer.model.unk_id() in ids:
        known = tokenizer.model.encode(sorted(set(prompt)))
        odd = [c for c, i in zip(sorted(set(prompt)), known, strict=True) if 0 in i]
        raise refuse("--prompt", prompt, f"characters of the tokenizer, not {', '.join(odd)}")
    return ids


def streamed(tokenizer: Tokenizer, prompt: list[int], tokens: Iterator[int]) -> Iterator[str]:
    """The text that each token adds; an incomplete character is held back."""
    ids, shown = list(prompt), len(tokenizer.decode(prompt))
    for token in tokens:
        ids.append(token)
        text = tokenizer.decode(ids)
        if not text.endswith(UNFINISHED):
            yield text[shown:]
            shown = len(text)
    yield tokenizer.decode(ids)[shown:]


if __name__ == "__main__":
    run(main)
