"""Encode text into token shards and describe them.

    python -m workflow.scripts.shards --train train.parquet --validation validation.parquet \\
        --tokenizer tokenizer.model --output shards.json

writes train.bin and validation.bin beside the output.
"""

import argparse
from pathlib import Path

from tqdm import tqdm

from bitnet.files import sha256, write_json
from bitnet.shards import write_shard
from bitnet.tokenizer import Tokenizer
from workflow.scripts.cli import log, log_to, read_text, run


def main(argv: list[str] | None = None) -> None:
    """Write both shards, then their description."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--train", required=True, help="parquet file of training text")
    parser.add_argument("--validation", required=True, help="parquet file of held-out text")
    parser.add_argument("--tokenizer", required=True, help="SentencePiece .model")
    parser.add_argument("--corpus", default="", help="name of the corpus, for the record")
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--log", help="log file")
    args = parser.parse_args(argv)
    log_to(args.log)
    tokenizer = Tokenizer(args.tokenizer)
    described = {
        "corpus": args.corpus,
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_sha256": sha256(args.tokenizer),
    }
    for split in ("train", "validation"):
        texts = tqdm(
            read_text(getattr(args, split)), desc=f"{split} shard", unit="doc", disable=None
        )
        path = Path(args.output).with_name(f"{split}.bin")
        described[split] = write_shard(texts, tokenizer, path)
        log.info("%s: %s", split, described[split])
    write_json(args.output, described)


if __name__ == "__main__":
    run(main)
