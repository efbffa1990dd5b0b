"""Mistral's first SentencePiece model, 32,000 pieces, out of the package `mistral-common`.

The package is under Apache-2.0, so this tokenizer may be used where LLaMA-2's, which is gated and
has the same number of pieces, may not.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from bitnet.files import sha256

FILE = "mistral_common/data/tokenizer.model.v1"
SHA256 = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"
ELSE = "pip install -e '.[mistral]', or choose bpe or the path of a .model"


def mistral_model() -> Path:
    """Path of the model; ValueError where the package is missing or has another one."""
    try:
        package = distribution("mistral-common")
    except PackageNotFoundError:
        raise ValueError(f"tokenizer is mistral; mistral-common is not installed: {ELSE}") from None
    path = Path(str(package.locate_file(FILE)))
    if not path.is_file() or sha256(path) != SHA256:
        raise ValueError(
            f"tokenizer is mistral; mistral-common {package.version} has not the {FILE} "
            f"that is meant: {ELSE}"
        )
    return path
