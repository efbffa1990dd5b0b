"""Train a SentencePiece BPE tokenizer, make one of single characters, or take an existing one.

python -m workflow.scripts.tokenizer --text train.parquet --vocab-size 2048 --output t.model
python -m workflow.scripts.tokenizer --characters train.parquet --vocab-size 32 --output t.model
python -m workflow.scripts.tokenizer --model llama2.model --vocab-size 32000 --output t.model

writes t.model.json beside it: size and checksum.
"""

import shutil

from bitnet.characters import train_characters
from bitnet.config import refuse
from bitnet.files import sha256, whole_file, write_json
from bitnet.tokenizer import Tokenizer, train_tokenizer
from workflow.scripts.cli import flags, log, parsed, read_text, run


def main(argv: list[str] | None = None) -> None:
    """Write a tokenizer of exactly the stated size."""
    parser = flags(__doc__)
    origin = parser.add_mutually_exclusive_group(required=True)
    origin.add_argument("--text", help="parquet file to train on")
    origin.add_argument("--characters", help="parquet file whose characters are the pieces")
    origin.add_argument("--model", help="existing .model to use instead")
    parser.add_argument("--vocab-size", type=int, required=True, help="pieces")
    parser.add_argument("--output", required=True, help=".model to write")
    args = parsed(parser, argv)
    if args.text:
        train_tokenizer(read_text(args.text), args.vocab_size, args.output)
    elif args.characters:
        train_characters(read_text(args.characters), args.vocab_size, args.output)
    else:
        pieces = Tokenizer(args.model).vocab_size
        if pieces != args.vocab_size:
            raise refuse("vocab_size", args.vocab_size, f"{pieces}, the size of {args.model}")
        with whole_file(args.output) as beside:
            shutil.copyfile(args.model, beside)
    described = {"vocab_size": args.vocab_size, "sha256": sha256(args.output)}
    write_json(f"{args.output}.json", described)
    log.info("%d pieces from %s", args.vocab_size, args.text or args.characters or args.model)


if __name__ == "__main__":
    run(main)
