"""Export a trained model for transformers or llama.cpp.

    python -m workflow.scripts.export --format bitlinear --output h256_wd0-bitlinear \\
        --weights models/portable/h256_wd0.safetensors \\
        --manifest data/stories/bpe2048/manifest64.json

Formats: bitlinear (a transformers folder, ternary weights packed, computes what training did),
dense (a transformers folder, a plain Llama in float32), latent (a transformers folder of float32
latent weights to go on training; `read_latent` reads the result), tq2_0 (a GGUF file, ternary,
embedding in float16), tq2_0_f32 (the same, embedding in float32), f16 and f32 (GGUF files without
packing). The tokenizer is the one beside the manifest. A packed format needs widths that are
multiples of 256.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.evaluation.record import RunRecord
from bitnet.export.formats import FOLDERS, FORMATS
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.manifests import tokenizer_of
from workflow.helpers.weights import TYPED, check_weights
from workflow.provenance.records import read_record


def main(argv: list[str] | None = None) -> None:
    """Write the model in one format."""
    parser = flags(__doc__)
    parser.add_argument("--format", required=True, choices=FORMATS, help="what to write")
    parser.add_argument("--weights", required=True, help=".safetensors of a run")
    parser.add_argument("--recipe", help=TYPED)
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--table", help="CSV of the run, for the model card")
    parser.add_argument("--name", help="what to call it; default: the weights' file name")
    parser.add_argument("--license", default="", help="of the weights: mit, ...")
    parser.add_argument("--language", default="en", help="of the text")
    parser.add_argument("--output", required=True, help="folder or GGUF file to write")
    args = parsed(parser, argv)
    code_of("export", args.code)
    try:
        from bitnet.export.gguf import write_gguf
        from bitnet.export.huggingface import write_folder
        from bitnet.export.model_card import model_card
        from bitnet.export.weights import freeze
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; exporting needs: pip install -e '.[export]'") from None
    frozen = freeze(args.weights)
    check_weights(args.weights, frozen.trained, args.recipe)
    if frozen.trained["diverged"]:
        raise ValueError(f"{args.weights} cannot be exported: its training diverged")
    tokenizer = tokenizer_of(args.manifest, args.weights, frozen.trained["data"])
    name = args.name or Path(args.weights).stem
    terms = args.license, args.language
    if args.format in FOLDERS:
        seen = evaluated(args.table, frozen.trained) if args.table else None
        card = model_card(name, args.format, frozen.recipe, frozen.trained, seen, *terms)
        write_folder(frozen, args.format, tokenizer, card, args.output)
    else:
        write_gguf(frozen, args.format, tokenizer, name, args.output, *terms)
    log.info("%s as %s: %s", args.weights, args.format, args.output)


def evaluated(table: str, trained: dict) -> tuple[dict[str, Any], RunRecord]:
    """Last row and record of a run's table; ValueError where it is of another training."""
    record = RunRecord.from_dict(read_record(table))
    own = trained["data"], trained["recipe"]
    if (record.data, record.lineage["train"]["recipe"]) != own:
        raise ValueError(f"{table} is of another training than the weights; run again")
    return pd.read_csv(table, dtype=CSV_TYPES).iloc[-1].to_dict(), record


if __name__ == "__main__":
    run(main)
