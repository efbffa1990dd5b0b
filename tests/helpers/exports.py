"""A model that was really trained, its exports, and how they are judged."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from bitnet.common.tensors import load_tensors, save_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.data import probe
from bitnet.data.dataloader import open_shard
from bitnet.model.checkpoint import open_trained
from bitnet.model.quantization import ternary_codes
from bitnet.model.transformer import Transformer
from tests.conftest import DataSet
from tests.helpers.agreement import Agreement, agreement
from workflow.helpers.cli import run as call
from workflow.scripts import evaluate, export, references, train

LENGTH = 32


class Run(NamedTuple):
    """A trained run and the data it was trained on."""

    weights: Path
    data: DataSet

    @property
    def model(self) -> Transformer:
        """In float32, as training left it."""
        return open_trained(self.weights)[0]

    @property
    def windows(self) -> torch.Tensor:
        """Held-out windows (128, 33)."""
        validation = open_shard(self.data.folder, self.data.manifest["validation"])
        return torch.from_numpy(probe.windows(validation, self.data.manifest["probe"]))

    @property
    def ids(self) -> torch.Tensor:
        """Their inputs (128, 32)."""
        return self.windows[:, :-1]

    @property
    def targets(self) -> np.ndarray:
        """The true next tokens (4096,)."""
        return self.windows[:, 1:].flatten().numpy()

    def export(self, kind: str, path: Path, *more: str) -> Path:
        """One format, made by the script."""
        manifest = str(self.data.folder / "manifest.json")
        where = ["--weights", str(self.weights), "--manifest", manifest, "--output", str(path)]
        export.main(["--format", kind, *where, *more])
        return path


def train_run(folder: Path, data: DataSet, steps: int = 120, **shape) -> Run:
    """Train hidden 256 for a minute's fraction, through the script that trains everything."""
    shape = {"hidden_size": 256, "num_layers": 2, **shape}
    model = ModelConfig(data.tokenizer.vocab_size, **shape)
    rates = {"peak_lr": 2e-3, "switch_lr": 1e-3, "final_lr": 1e-4, "warmup_steps": 10}
    decay = {"stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0}
    batches = {"steps": steps, "batch_size": 8, "sequence_length": LENGTH, "evaluate_every": steps}
    training = TrainConfig(optimizer="adamw", **rates, **decay, **batches)
    recipe, stem = Recipe(model, training).to_json(), folder / "run"
    known = ["--manifest", str(data.folder / "manifest.json")]
    train.main(["--recipe", recipe, *known, "--output", str(stem), "--device", "cpu"])
    return Run(stem.with_suffix(".safetensors"), data)


def tabulate(run: Run) -> Path:
    """The run's table, made as the pipeline makes it."""
    folder, manifest = run.weights.parent, str(run.data.folder / "manifest.json")
    known, table = folder / "references.json", folder / "run.csv"
    references.main(["--manifest", manifest, "--output", str(known)])
    seen = ["--observations", str(folder / "run.observations.safetensors")]
    source = {"text": {"source": {"source": "stories", "seed": 0}}}
    made = ["--references", str(known), "--lineage", json.dumps(source)]
    evaluate.main([*seen, "--manifest", manifest, *made, "--output", str(table)])
    return table


def logits(model, ids: torch.Tensor) -> torch.Tensor:
    """Of our model or of one of transformers', (B, T, vocab_size)."""
    with torch.no_grad():
        out = model(ids)
    return getattr(out, "logits", out)


def compare(ours, theirs, run: Run) -> Agreement:
    """Two models, or one's logits, at the held-out positions."""
    pair = (x if torch.is_tensor(x) else logits(x, run.ids) for x in (ours, theirs))
    return agreement(*(x.flatten(0, 1).numpy() for x in pair), run.targets)


def with_scales(model: Transformer, scale_of) -> Transformer:
    """Our model in float64 whose ternary weights have other scales; its own code quantises them.

    scale_of: the name of a matrix and its scale to the scale wanted. A latent weight t s n / nnz
    has the mean absolute value s and the ternary values t, where t has nnz of n entries not 0.
    """
    other = Transformer(model.config, model.cos.shape[0])
    other.load_state_dict(model.state_dict())
    other = other.double().eval()
    with torch.no_grad():
        for (name, mine), (_, theirs) in zip(
            model.named_parameters(), other.named_parameters(), strict=True
        ):
            if name.endswith("_proj.weight"):
                codes, scale = ternary_codes(mine)
                codes = codes.double()
                share = codes.abs().mean()
                theirs.copy_(codes * scale_of(name, scale.item()) / share)
    return other


def load(folder: Path, dtype=torch.float32, **more):
    """A model by transformers, from files alone."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, attn_implementation="sdpa", **more
    ).eval()


def passes_float32(found) -> bool:
    """What rounding in float32 alone may change, by measurement."""
    return found.argmax >= 0.995 and found.divergence <= 1e-5 and abs(found.loss) <= 5e-4


def by_gguf(path: Path):
    """A GGUF file loaded by transformers."""
    return load(path.parent, gguf_file=path.name)


def passes_gguf(found) -> bool:
    """What sums in another order may change, where no activation is rounded."""
    return found.largest <= 1e-4 and found.argmax == 1


def refused(capsys, action) -> str:
    """The one line that a script ends in."""
    with pytest.raises(SystemExit) as ended:
        call(action)
    line = str(ended.value)
    assert line.startswith("error: ") and "\n" not in line
    return line


def rewritten(run: Run, to: Path, change) -> Run:
    """A run whose weights or record are others, sealed anew."""
    arrays, metadata = load_tensors(run.weights)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, metadata)
    save_tensors(to / "run.safetensors", arrays, metadata)
    return run._replace(weights=to / "run.safetensors")
