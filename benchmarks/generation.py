"""Tokens a CPU second that each runtime writes, greedily, one sequence on one thread, in turns.

    python -m benchmarks.generation --tokenizer data/stories/bpe2048/tokenizer.model \\
        --json docs/generation.json

compares generation here (`Stepwise`) with the engine below it, the training layers without a cache,
and, where they are installed, transformers and llama.cpp with the same model exported. Models are
drawn, not trained. It prints the table that docs/speed.md has; a test holds page and file together.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import islice
from pathlib import Path

import torch

from benchmarks.measure import machine, summary
from bitnet.common.files import write_json
from bitnet.common.markdown import table
from bitnet.config.recipe import WEIGHTS, ModelConfig, Recipe, TrainConfig
from bitnet.data.tokenizer import Tokenizer
from bitnet.export.runtimes import LlamaCpp
from bitnet.export.torch_runtimes import Transformers
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, generate
from bitnet.inference.stepwise import Stepwise
from bitnet.model.checkpoint import save_weights
from bitnet.model.transformer import Transformer

SHAPES = ((256, 2), (512, 4))  # width, layers
CONTEXT = 64
HERE, ENGINE = "here", "the engine below it"
UNCACHED, EACH = "training layers, no cache", 8  # of which it writes each eighth token
Way = Callable[[], list[int]]


def drawn(width: int, layers: int, vocabulary: int, weights: str) -> Transformer:
    """A model whose weights are far enough from the start for a text that is not one token."""
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocabulary, width, layers, weights=weights), CONTEXT)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p) * p.std().nan_to_num(0.1))
    return model


def ways_here(model: Transformer) -> dict[str, Way]:
    """Ways to write in this project: each returns the tokens after bos that fill a context."""
    start = torch.tensor([[1]])

    def with_cache(inference: Inference) -> Way:
        return lambda: [
            token.item() for token in islice(generate(inference, start, Sampling()), CONTEXT - 1)
        ]

    @torch.no_grad()
    def uncached() -> list[int]:
        text = torch.ones(1, CONTEXT, dtype=torch.long)
        return [model(text[:, :i])[0, -1].argmax().item() for i in range(EACH, CONTEXT, EACH)]

    found = {HERE: with_cache(Stepwise(model)), ENGINE: with_cache(Inference(model))}
    return {**found, UNCACHED: uncached}


def ways_elsewhere(model: Transformer, tokenizer: str, folder: Path) -> dict[str, Way]:
    """The same model in the runtimes that are installed, exported to `folder`."""
    if find_spec("transformers") is None or find_spec("gguf") is None:
        return {}
    from bitnet.export.gguf import write_gguf
    from bitnet.export.huggingface import write_folder
    from bitnet.export.weights import freeze

    training = TrainConfig(2, 1, CONTEXT, "adamw", 1e-3, 5e-4, 1e-5, 0, 0.0, 0.0)
    recipe = {key: vars(part) for key, part in vars(Recipe(model.config, training)).items()}
    metadata = {"kind": "weights", "recipe": recipe, "diverged": False}
    metadata |= {"data": "", "code": "", "environment": {}}
    save_weights(model, folder / "drawn.safetensors", metadata)
    frozen, found = freeze(folder / "drawn.safetensors"), {}
    ternary = model.config.weights == "ternary"
    for form in ["dense", *["bitlinear"] * ternary]:
        write_folder(frozen, form, tokenizer, "", folder / form)
        found[f"transformers, {form}"] = Transformers(folder / form)
    if find_spec("llama_cpp") is not None:
        for form in ["f16", *["tq2_0"] * ternary]:
            write_gguf(frozen, form, tokenizer, "drawn", folder / form)
            found[f"llama.cpp, {form}"] = LlamaCpp(folder / form, CONTEXT)
    return {name: lambda of=of: of.write([1], CONTEXT - 1) for name, of in found.items()}


def turns(ways: Mapping[str, Way], rounds: int) -> tuple[dict, dict]:
    """Tokens a second of this process's CPU time of each way, in turns, and what it wrote."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    texts: dict[str, list[list[int]]] = {name: [] for name in ways}
    for name in list(ways) * (rounds + 1):  # the first round warms up
        began = time.process_time()
        text = ways[name]()
        rates[name].append(len(text) / (time.process_time() - began))
        texts[name].append(text)
    return {name: each[1:] for name, each in rates.items()}, texts


def measured(tokenizer: str, rounds: int) -> list[dict]:
    """A row for each shape, kind of weights and runtime."""
    rows, vocabulary = [], Tokenizer(tokenizer).vocab_size
    for width, layers in SHAPES:
        for kind in WEIGHTS:
            model = drawn(width, layers, vocabulary, kind)
            with tempfile.TemporaryDirectory() as folder:
                ways = ways_here(model) | ways_elsewhere(model, tokenizer, Path(folder))
                found, texts = turns(ways, rounds)
            for name, each in found.items():
                pairs = [a / b for a, b in zip(each, found[ENGINE], strict=True)]
                shown = {"width": width, "layers": layers, "weights": kind, "runtime": name}
                speed = {"tokens_per_second": statistics.median(each), "ratio": summary(pairs)}
                same = None if name == UNCACHED else texts[name] == texts[ENGINE]
                rows.append({**shown, **speed, "same_text": same})
    return rows


def markdown(rows: list[Mapping]) -> str:
    """The table of `measured` in Markdown."""
    lines = []
    for row in rows:
        low, median, high = (row["ratio"][key] for key in ("low", "median", "high"))
        model = f"{row['width']} x {row['layers']}, {row['weights'].replace('_', ' ')}"
        speed = f"{row['tokens_per_second']:,.0f}"
        same = {None: "-", True: "yes", False: "no"}[row["same_text"]]
        lines.append([model, row["runtime"], speed, f"{median:.2f} [{low:.2f}, {high:.2f}]", same])
    return table(["model", "runtime", "tokens/s", "over the engine", "same text"], lines)


def main() -> None:
    """Measure, print the table and write the numbers as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokenizer", required=True, help=".model, as the models' vocabulary")
    parser.add_argument("--rounds", type=int, default=7, help="of all runtimes in turns")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(args.tokenizer, args.rounds)
    print(markdown(rows))
    if args.json:
        found = {"machine": machine(torch.device("cpu")), "context": CONTEXT}
        write_json(
            args.json, {**found, "vocabulary": Tokenizer(args.tokenizer).vocab_size, "rows": rows}
        )


if __name__ == "__main__":
    main()
