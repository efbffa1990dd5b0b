"""Tokenise and shard text: MB/s a core and peak memory, beside `datasets.map` in turns with it.

    python -m benchmarks.data                              # 20 MB, ours against datasets
    python -m benchmarks.data --megabytes 10 100 1000 --ours    # does memory grow with the text?

Text of the built-in corpus, its documents repeated under a running number. Each way runs in a
process of its own, which says its CPU seconds and how much memory it took beside its imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks.measure import peak_memory
from bitnet.corpora import documents
from bitnet.files import sha256, write_json
from bitnet.shards import write_shard
from bitnet.tokenizer import Tokenizer, train_tokenizer
from workflow.scripts.cli import read_text
from workflow.scripts.text import write

SOURCE = {"source": "stories", "seed": 0}
ROUNDS = 3


def text(megabytes: float):
    """Documents of the built-in corpus up to a size; after 4 MB of it the same again, numbered."""
    some, size = [], 0
    for story in documents(SOURCE, "train"):
        some.append(story)
        if (size := size + len(story)) > 4e6:
            break
    size = 0
    for n in count():
        for story in some:
            yield (numbered := f"{n} {story}")
            if (size := size + len(numbered.encode())) >= megabytes * 1e6:
                return


def ours(folder: Path, tokenizer: Tokenizer) -> None:
    """Parquet to one shard."""
    write_shard(read_text(folder / "text.parquet"), tokenizer, folder / "shard.bin")


def others(folder: Path, tokenizer: Tokenizer) -> None:
    """The same ids by `datasets`, in one process, into its own cache."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    cache = tempfile.mkdtemp(dir=folder)
    files = str(folder / "text.parquet")
    loaded = load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    loaded.map(
        lambda rows: {"ids": tokenizer.encode_documents(rows["text"])},
        batched=True,
        remove_columns="text",
    )


WAYS = {"ours": ours, "datasets.map": others}


def child(way: str, folder: Path) -> None:
    """Print CPU seconds and MiB of one way."""
    tokenizer = Tokenizer(folder / "tokenizer.model")
    if way == "datasets.map":
        import datasets  # noqa: F401 (its import is not what is measured)
    began = time.process_time()
    mib = peak_memory(lambda: WAYS[way](folder, tokenizer))
    print(json.dumps({"seconds": time.process_time() - began, "mib": mib}))


def measured(way: str, folder: Path) -> dict[str, float]:
    """What `child` prints."""
    command = [sys.executable, "-m", "benchmarks.data", "--child", way, str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(run.stdout.splitlines()[-1])


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[20.0])
    parser.add_argument("--ours", action="store_true", help="without datasets.map")
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        return child(args.child[0], Path(args.child[1]))
    print(f"{'MB':>7}  {'way':<14}{'MB/s a core':>12}{'ratio':>8}{'MiB':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train_tokenizer(text(4), args.vocab, folder / "tokenizer.model")
        for size in args.megabytes:
            write(source := folder / "text.parquet", text(size))
            write_json(f"{source}.json", {"sha256": sha256(source)})
            rounds = 1 if args.ours else ROUNDS
            ways = ["ours"] if args.ours else list(WAYS)
            found = {way: [] for way in ways}
            for _ in range(rounds):
                for way in ways:
                    found[way].append(measured(way, folder))
            base = min(f["seconds"] for f in found["ours"])
            for way, runs in found.items():
                took = min(f["seconds"] for f in runs)
                memory = max(f["mib"] for f in runs)
                speed = f"{size / took:>12.2f}{took / base:>8.2f}{memory:>7.0f}"
                print(f"{size:>7g}  {way:<14}{speed}", flush=True)


if __name__ == "__main__":
    main()
