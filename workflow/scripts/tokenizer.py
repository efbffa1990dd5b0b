"""Train a SentencePiece tokenizer (BPE or single characters), or copy an existing one.

python -m workflow.scripts.tokenizer --text text.json --vocab-size 2048 --output t.model
python -m workflow.scripts.tokenizer --characters text.json --vocab-size 32 --output t.model
python -m workflow.scripts.tokenizer --model llama2.model --vocab-size 32000 --output t.model
python -m workflow.scripts.tokenizer --mistral --vocab-size 32000 --output t.model

writes t.model.json beside it, with size and checksum.
"""

import shutil
from pathlib import Path

from bitnet.common.errors import refuse
from bitnet.common.files import sha256, whole_file, write_json
from bitnet.data.text import read_text
from bitnet.data.tokenizer import Tokenizer
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
    parser.add_argument("--vocab-size", type=int, required=True, help="pieces")
    parser.add_argument("--output", required=True, help=".model to write")
    args = parsed(parser, argv)
    code = code_of("tokenizer", args.code)
    if args.sha256 and sha256(args.model) != args.sha256:
        raise ValueError(f"{args.model!r} was edited while the pipeline ran; run snakemake again")
    if args.text:
        train_tokenizer(read_text(args.text, "train"), args.vocab_size, args.output)
    elif args.characters:
        train_characters(read_text(args.characters, "train"), args.vocab_size, args.output)
    else:
        copy(mistral_model() if args.mistral else Path(args.model), args.vocab_size, args.output)
    described = {"vocab_size": args.vocab_size, "sha256": sha256(args.output), "code": code}
    write_json(f"{args.output}.json", described)
    origins = args.text or args.characters or args.model or "mistral-common"
    log.info("%d pieces from %s", args.vocab_size, origins)


def copy(model: Path, vocab_size: int, output: str) -> None:
    """Copy an existing model; ValueError where it has another size than `vocab_size`."""
    pieces = Tokenizer(model).vocab_size
    if pieces != vocab_size:
        raise refuse("vocab_size", vocab_size, f"{pieces}, the size of {model}")
    with whole_file(output) as beside:
        shutil.copyfile(model, beside)


if __name__ == "__main__":
    run(main)
