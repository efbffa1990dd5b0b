"""Encode text into token shards and describe them.

    python -m workflow.scripts.shards --train train.parquet --validation validation.parquet \\
        --tokenizer tokenizer.model --output shards.json

writes train.bin and validation.bin beside the output.
"""

from pathlib import Path

from tqdm import tqdm

from bitnet.files import sha256, write_json
from bitnet.shards import write_shard
from bitnet.tokenizer import open_tokenizer
from workflow.scripts.cli import flags, log, parsed, read_text, run


def main(argv: list[str] | None = None) -> None:
    """Write both shards, then their description."""
    parser = flags(__doc__)
    parser.add_argument("--train", required=True, help="parquet file of training text")
    parser.add_argument("--validation", required=True, help="parquet file of held-out text")
    parser.add_argument("--tokenizer", required=True, help="SentencePiece .model")
    parser.add_argument("--corpus", default="", help="name of the corpus, for the record")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    tokenizer = open_tokenizer(args.tokenizer)
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
