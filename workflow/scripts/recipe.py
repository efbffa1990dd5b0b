"""Print the recipe of a run (or trunk) of a study, as the pipeline passes it to `train`.

python -m workflow.scripts.recipe quick h64_wd0.05_adamw
"""

from pathlib import Path

from bitnet.config.load import read_project
from bitnet.config.study import Study
from workflow.helpers.cli import flags, run

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str] | None = None) -> None:
    """Print canonical JSON."""
    parser = flags(__doc__)
    parser.add_argument("study", help="a study of config.yaml or of studies/")
    parser.add_argument("run", help="name of a run, or of a trunk")
    parser.add_argument("--config", default=ROOT / "config.yaml", help="file beside studies/")
    also = "YAML file that changes it, as given to snakemake; again for more"
    parser.add_argument("--configfile", action="append", type=Path, default=[], help=also)
    args = parser.parse_args(argv)
    config = read_project(ROOT, Path(args.config), args.configfile)
    print(Study.of(config, args.study).recipe(args.run).to_json())


if __name__ == "__main__":
    run(main)
