"""The tokenizer beside a manifest, if both are those that weights were trained with."""

from pathlib import Path

from bitnet.common.files import read_json, sha256


def tokenizer_of(manifest: str, weights: str, data: str) -> Path:
    """Path of the tokenizer in a manifest's folder; ValueError unless both fit the weights.

    data: what the metadata of the weights name as the manifest's sha256.
    """
    known, path = read_json(manifest), Path(manifest).with_name("tokenizer.model")
    if known["sha256"] != data:
        raise ValueError(f"{weights} was trained on other data than {manifest}")
    if sha256(path) != known["tokenizer_sha256"]:
        raise ValueError(f"{path} is not the tokenizer of {manifest}; delete both, run again")
    return path
