"""Print the recipe of a run (or trunk) of a study, as the pipeline passes it to `train`.

python -m workflow.scripts.recipe quick h64_wd0.05_adamw
"""

from pathlib import Path

import yaml

from bitnet.config.load import read_config
from bitnet.config.study import Study
from workflow.scripts._cli import flags, run

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str] | None = None) -> None:
    """Print canonical JSON."""
    parser = flags(__doc__)
    parser.add_argument("study", help="a block of studies in config.yaml")
    parser.add_argument("run", help="name of a run, or of a trunk")
    parser.add_argument("--config", default=str(ROOT / "config.yaml"), help="config file")
    args = parser.parse_args(argv)
    schema = (ROOT / "workflow/schemas/config.schema.yaml").read_text()
    config = read_config(args.config, yaml.safe_load(schema))
    print(Study.of(config, args.study).recipe(args.run).to_json())


if __name__ == "__main__":
    run(main)
