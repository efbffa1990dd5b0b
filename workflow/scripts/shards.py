"""Encode the text of a corpus into token shards, one for each text file.

    python -m workflow.scripts.shards --text text.json --tokenizer tokenizer.model \\
        --processes 8 --output shards.json

writes train-00000.bin, ..., validation-00000.bin, ... beside the output. After an
interruption the same command keeps finished shards. They do not depend on --processes.
"""

import time
from pathlib import Path

from tqdm import tqdm

from bitnet.common.files import read_json, sha256, write_json
from bitnet.common.processes import in_processes
from bitnet.data.parts import settle
from bitnet.data.shards import Encode, as_split
from bitnet.data.tokenizer import open_tokenizer
from workflow.helpers.cli import code_of, flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write the shards and their description."""
    parser = flags(__doc__)
    parser.add_argument("--text", required=True, help="JSON file that describes the text")
    parser.add_argument("--tokenizer", required=True, help="SentencePiece .model")
    parser.add_argument("--corpus", default="", help="name of the corpus, for the record")
    parser.add_argument("--processes", type=int, default=1, help="files encoded at once")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    text, output = read_json(args.text), Path(args.output)
    tokenizer = open_tokenizer(args.tokenizer)
    described = {
        "corpus": args.corpus,
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_sha256": sha256(args.tokenizer),
    }
    making = {"tokenizer": described["tokenizer_sha256"], "code": code_of("shards", args.code)}
    files = []
    for split in ("train", "validation"):
        began, parts = time.perf_counter(), text[split]["parts"]
        work = Encode(Path(args.text).parent, output.parent, split, args.tokenizer, making)
        found = in_processes(work, enumerate(parts), args.processes)
        progress = tqdm(found, f"{split} shards", len(parts), unit="file", disable=None)
        described[split] = made = as_split(list(progress))
        files += [shard["file"] for shard in made["shards"]]
        seconds, size = time.perf_counter() - began, made["bytes"] / 1e6
        log.info("%s: %d tokens of %.1f MB in %.1f s", split, made["tokens"], size, seconds)
    write_json(output, described)
    settle(output.parent, ".bin", files)


if __name__ == "__main__":
    run(main)
