"""Weights of this project from a latent folder, after somebody has trained it in transformers.

    python -m workflow.scripts.read_latent --folder tuned --output tuned.safetensors

`tuned` is what `save_pretrained` or the Trainer wrote of a model that was exported as latent. The
result goes wherever weights of a run go by hand: `generate`, and `export` to any other form.
"""

from pathlib import Path

from bitnet.common.errors import refuse
from bitnet.model.checkpoint import save_weights
from workflow.helpers.cli import flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write the weights file."""
    parser = flags(__doc__)
    parser.add_argument("--folder", required=True, help="latent folder, trained or as exported")
    parser.add_argument("--output", required=True, help=".safetensors to write")
    args = parsed(parser, argv)
    if Path(args.output).exists():  # which may be a run's own weights
        raise refuse("--output", args.output, "a new file (this one exists)")
    try:
        from bitnet.export.from_latent import read_latent
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; reading needs: pip install -e '.[export]'") from None
    model, metadata = read_latent(args.folder)
    save_weights(model, args.output, metadata)
    log.info("%s as weights: %s", args.folder, args.output)


if __name__ == "__main__":
    run(main)
