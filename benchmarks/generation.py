"""Tokens a second of generation with a cache, against the training layers without one.

    python -m benchmarks.generation --hidden-size 512 --num-layers 4 --context 128

prints JSON: tokens a second of both, ternary and full precision, and their ratio. Seconds are those
of this process, one thread, the best of three; the text is one sequence that fills the context.
"""

import argparse
import json
import time
from collections.abc import Callable

import torch

from bitnet.config.recipe import WEIGHTS, ModelConfig
from bitnet.inference.engine import Inference
from bitnet.model.transformer import Transformer

FIRST, STRIDE = 8, 8  # positions at which the model without a cache is timed


def rate(work: Callable[[], int]) -> float:
    """Best tokens a second of three runs of `work`, which returns how many it made."""
    found = []
    for _ in range(3):
        began = time.process_time()
        found.append(work() / (time.process_time() - began))
    return max(found)


def compare(config: ModelConfig, context: int) -> dict[str, float]:
    """Tokens a second over a whole context, a batch of one."""
    model = Transformer(config, context)
    frozen, ids = Inference(model), torch.randint(config.vocab_size, (1, context))

    def cached() -> int:
        cache = frozen.cache(1)
        for i in range(context):
            frozen.next_logits(ids[:, i : i + 1], cache).argmax(-1)
        return context

    @torch.no_grad()
    def uncached() -> int:
        places = range(FIRST, context, STRIDE)
        for i in places:
            model(ids[:, :i])[:, -1].argmax(-1)
        return len(places)

    found = {"cached": rate(cached), "training_layers": rate(uncached)}
    return {**found, "ratio": found["cached"] / found["training_layers"]}


def main() -> None:
    """Print the comparison as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hidden-size", type=int, default=512, help="width of the model")
    parser.add_argument("--num-layers", type=int, default=4, help="layers")
    parser.add_argument("--vocab-size", type=int, default=2048, help="pieces of the tokenizer")
    parser.add_argument("--context", type=int, default=128, help="tokens to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    shape = args.vocab_size, args.hidden_size, args.num_layers
    kinds = {kind: compare(ModelConfig(*shape, weights=kind), args.context) for kind in WEIGHTS}
    print(json.dumps({**vars(args), **kinds, "torch": torch.__version__}, indent=1))


if __name__ == "__main__":
    main()
