"""Tokenise and shard text: MB/s a core and peak memory, beside `datasets.map` in turns with it.

    python -m benchmarks.data                              # 20 MB, ours against datasets
    python -m benchmarks.data --megabytes 10 100 1000 --ours    # does memory grow with the text?
    python -m benchmarks.data --files 'pages/*.parquet' --tokenizer llama2.model

Text of the built-in corpus, its documents repeated under a running number, or of files, whatever
their size. Each way runs in a process of its own, which says its CPU seconds and how much memory it
took beside its imports. Ours goes from one file of text to one shard, as each process of
`workflow.scripts.shards` does with one file after the other.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

from benchmarks.measure import peak_memory
from bitnet.common.files import write_json
from bitnet.data.corpora import Documents
from bitnet.data.shards import write_shard
from bitnet.data.text import read_text, write_text_part
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_tokenizer

SOURCE = {"source": "stories", "seed": 0}
FILES = {"source": "files", "validation": ["none"]}  # so all of it is training text
ROUNDS = 3


def text(megabytes: float):
    """Documents of the built-in corpus up to a size; after 4 MB of it the same again, numbered."""
    some, size = [], 0
    for story in Documents(SOURCE, "train"):
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
    write_shard(read_text(folder / "text.json", "train"), tokenizer, folder / "shard.bin")


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
    run = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
    return json.loads(run.stdout.splitlines()[-1])


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    style = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=style)
    parser.add_argument("--megabytes", type=float, nargs="+", default=[20.0])
    parser.add_argument("--ours", action="store_true", help="without datasets.map")
    parser.add_argument("--vocab", type=int, default=2048)
    parser.add_argument("--files", help="glob pattern of text to take instead")
    parser.add_argument("--tokenizer", help="SentencePiece .model instead of one made here")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        return child(args.child[0], Path(args.child[1]))
    print(f"{'MB':>7}  {'way':<14}{'MB/s a core':>12}{'ratio':>8}{'MiB':>7}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.tokenizer:
            shutil.copyfile(args.tokenizer, folder / "tokenizer.model")
        else:
            train_tokenizer(text(4), args.vocab, folder / "tokenizer.model")
        for size in [0.0] if args.files else args.megabytes:
            some = (
                Documents({**FILES, "train": [args.files]}, "train") if args.files else text(size)
            )
            part = write_text_part(some, folder / "text.parquet")
            write_json(folder / "text.json", {"train": {"parts": [part]}})
            size = part["bytes"] / 1e6
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
                print(f"{size:>7.4g}  {way:<14}{speed}", flush=True)


if __name__ == "__main__":
    main()
