"""Folders and broken links that stand where the pipeline has files, which no step can mend."""

import os
from collections.abc import Iterator

FILES = (".csv", ".html", ".json", ".jsonl", ".log", ".md", ".parquet", ".pdf", ".png", ".svg")
FILES += (".bin", ".gguf", ".model", ".safetensors", ".state", ".tsv")  # what is made here ends so


def strays(*folders: str) -> Iterator[str]:
    """A line for each of them below these folders; linked folders are not looked into."""
    for folder in folders:
        if os.path.islink(folder) and not os.path.exists(folder):
            yield f"{folder} is a link to nothing; allowed: a folder"
        for place, inside, files in os.walk(folder):
            for name in inside:
                if name.endswith(FILES) and not name.startswith("."):
                    yield f"{place}/{name} is a folder; allowed: a file; delete it and run again"
            for path in (f"{place}/{name}" for name in files):
                if os.path.islink(path) and not os.path.exists(path):
                    yield f"{path} is a link to nothing; allowed: a file; delete it and run again"
