"""Train a SentencePiece tokenizer (BPE or single characters), or copy an existing one.

python -m workflow.scripts.tokenizer --text text.json --vocab-size 2048 --output t.model
python -m workflow.scripts.tokenizer --characters text.json --vocab-size 32 --output t.model
python -m workflow.scripts.tokenizer --model llama2.model --sample text.json \\
    --vocab-size 32000 --output t.model
python -m workflow.scripts.tokenizer --mistral --sample text.json \\
    --vocab-size 32000 --output t.model

writes t.model.json beside it, with size and checksum. A tokenizer that does not keep the text of
its sample is refused.
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from bitnet.common.errors import refuse
from bitnet.common.files import sha256, whole_file, write_json
from bitnet.data.text import read_text
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_check import check_on, sample
from bitnet.data.tokenizer_training import mistral_model, train_characters, train_tokenizer
from workflow.helpers.cli import code_of, flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write a tokenizer of exactly the stated size."""
    parser = flags(__doc__)
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--text", help="JSON file that describes the text to train on")
    origin.add_argument("--characters", help="the same: its characters are the pieces")
    origin.add_argument("--model", help="existing .model to use instead")
    origin.add_argument("--mistral", action="store_true", help="the one of mistral-common")
    parser.add_argument("--sha256", help="digest that the existing .model must have")
    parser.add_argument("--sample", help="text that an existing one is to encode, as for --text")
    parser.add_argument("--vocab-size", type=int, required=True, help="pieces")
    parser.add_argument("--output", required=True, help=".model to write")
    args = parsed(parser, argv)
    code = code_of("tokenizer", args.code)
    if args.sha256 and sha256(args.model) != args.sha256:
        raise ValueError(f"{args.model!r} was edited while the pipeline ran; run snakemake again")
    if args.text:
        train_tokenizer(read_text(args.text, "train"), args.vocab_size, args.output)
        check(args.output, args.text)
    elif args.characters:
        train_characters(read_text(args.characters, "train"), args.vocab_size, args.output)
        check(args.output, args.characters)
    else:
        model = mistral_model() if args.mistral else Path(args.model)
        copy(model, args.vocab_size, args.output, args.sample)
    described = {"vocab_size": args.vocab_size, "sha256": sha256(args.output), "code": code}
    write_json(f"{args.output}.json", described)
    origins = args.text or args.characters or args.model or "mistral-common"
    log.info("%d pieces from %s", args.vocab_size, origins)


def copy(model: Path, vocab_size: int, output: str, text: str | None) -> None:
    """Copy an existing model; ValueError where its size is another, or as `check_on` for a text."""
    pieces = Tokenizer(model).vocab_size
    if pieces != vocab_size:
        raise refuse("vocab_size", vocab_size, f"{pieces}, the size of {model}")
    if text:
        check(model, text)
    with whole_file(output) as beside:
        shutil.copyfile(model, beside)


def check(model: str | Path, text: str) -> None:
    """Check a model on both splits of a text; print what it does to text."""

    def both() -> Iterator[str]:
        for split in ("train", "validation"):
            yield from sample(read_text(text, split))

    for line in check_on(Tokenizer(model), str(model), both()):
        log.warning(line)
        print(line, file=sys.stderr)


if __name__ == "__main__":
    run(main)
