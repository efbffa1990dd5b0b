"""Outcome of a quick sanity experiment where the ternary layer is broken on purpose.

    snakemake arithmetic_quick                        # or tinystories_quick: its data
    python -m benchmarks.faults arithmetic_quick --json results/faults/arithmetic_quick.json

The first ternary run of the study is trained and examined by the pipeline's own scripts, once with
each fault and once with none, some minutes each. Nothing is written below models/.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

import torch

from benchmarks.measure import machine
from bitnet.common.files import read_json, write_json
from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.experiments import arithmetic, rules, stories
from bitnet.experiments.runs import Answers, Samples
from bitnet.inference import engine
from bitnet.model import bitlinear
from bitnet.model.quantization import ternary_codes
from workflow.helpers.cli import ROOT
from workflow.helpers.reports import read_runs
from workflow.provenance.fingerprint import script_fingerprint
from workflow.scripts import answers, samples, train

Codes = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


@contextmanager
def gradients(to_input: float = 1, to_weights: float = 1) -> Iterator[None]:
    """Gradients of every ternary layer, multiplied by these factors."""

    def broken(backward: Callable, first: int) -> staticmethod:
        def scaled(ctx, *grads):
            factors = [to_input if i == first else to_weights for i in range(99)]
            found = zip(backward(ctx, *grads), factors, strict=False)
            return tuple(None if grad is None else grad * factor for grad, factor in found)

        return staticmethod(scaled)

    with ExitStack() as stack:
        for kind, first in ((bitlinear._Full, 0), (bitlinear._Mixed, 1)):  # place of the input
            stack.enter_context(
                patch.object(kind, "backward", broken(kind.backward, first)),
            )
        yield


@contextmanager
def quantiser(codes: Codes) -> Iterator[None]:
    """Another quantiser of the weights, in training and in inference."""
    with (
        patch.object(bitlinear, "ternary_codes", codes),
        patch.object(engine, "ternary_codes", codes),
    ):
        yield


def no_codes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that are all 0, and the right scale."""
    codes, scale = ternary_codes(weight)
    return torch.zeros_like(codes), scale


def large_scale(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The right codes, and ten times their scale."""
    codes, scale = ternary_codes(weight)
    return codes, scale * 10


def truncated(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that are cut off towards 0 instead of rounded, and the right scale."""
    _, scale = ternary_codes(weight)
    return (weight / scale).trunc_().clamp_(-1, 1), scale


FAULTS: dict[str, Callable] = {
    "none": gradients,
    "no gradient to the weights": lambda: gradients(to_weights=0),
    "sign of the weights' gradient flipped": lambda: gradients(to_weights=-1),
    "all codes 0": lambda: quantiser(no_codes),
    "no gradient to the activations": lambda: gradients(to_input=0),
    "scale x 10": lambda: quantiser(large_scale),
    "truncated instead of rounded": lambda: quantiser(truncated),  # training learns around it
}


def examined(name: str, fault: str, folder: Path, data: Path = ROOT / "data") -> dict:
    """Outcome of the first ternary run of a study that is trained with a fault.

    Returns `outcome` (pass or fail), `reason`, `exact` (share of exact answers by operator; of
    arithmetic only) and `loss` (nats per token at the end). folder: where it is trained. data: the
    folder that the pipeline has filled.
    """
    config = read_project(ROOT)
    study = Study.of(config, name)
    run = next(run for run in study.runs() if study.recipe(run).model.weights == "ternary")
    encoded = data / study.corpus / study.tokenizer
    length, source = study.sequence_length, json.dumps(config["corpora"][study.corpus])
    kind = study.settings["experiment"]
    trunk, weights = (folder / each for each in (study.trunk(run), run))
    trained = ["--manifest", f"{encoded}/manifest{length}.json", "--device", "cpu"]
    measured = [*trained, "--references", f"{encoded}/references{length}.json"]
    measured += ["--tokenizer", f"{encoded}/tokenizer.model", "--source", source]
    measured += ["--weights", f"{weights}.safetensors", "--output", f"{weights}.{kind}.json"]
    measured += ["--observations", f"{weights}.observations.safetensors"]
    with FAULTS[fault]():
        first, rest = (["--recipe", study.recipe(each.name).to_json()] for each in (trunk, weights))
        train.main([*trained, *first, "--output", str(trunk)])
        state = f"{trunk}.trunk.safetensors"
        train.main([*trained, *rest, "--output", str(weights), "--trunk", state])
        if kind == "arithmetic":
            answers.main(measured)
        else:
            text = str(data / study.corpus / "text.json")
            samples.main([*measured, "--text", text, "--trunk", f"{trunk}.safetensors"])
    return summary(kind, f"{weights}.{kind}.json")


def summary(kind: str, path: str) -> dict:
    """What the report of an experiment says of one run."""
    if kind == "stories":
        runs = read_runs([path], Samples)
        found, [run] = stories.judge(runs), runs.values()
        return {**_said(found), "loss": run.losses["nats"][-1]}
    runs = read_runs([path], Answers)
    found, [run] = arithmetic.judge(runs), runs.values()
    exact = arithmetic.scores(runs).set_index("Operator")["Exact"].to_dict()
    return {**_said(found), "exact": exact, "loss": run.losses["all"][-1]}


def _said(found: dict) -> dict:
    return {"outcome": rules.word(found), "reason": found["reason"]}


def codes() -> dict[str, str]:
    """Fingerprints of the scripts that train and examine, and so of what the outcomes are of."""
    return {name: script_fingerprint(ROOT, name) for name in ("train", "answers", "samples")}


def main() -> None:
    """Train with each fault, print what the experiment says and write it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", help="arithmetic_quick or tinystories_quick")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), help="faults")
    parser.add_argument(
        "--json", type=Path, help="file to write; its outcomes of the same code stay"
    )
    args = parser.parse_args()
    here = {"study": args.study, "code": codes(), "machine": machine(torch.device("cpu"))}
    old = read_json(args.json) if args.json and args.json.exists() else {}
    outcomes = old["faults"] if old.get("code") == here["code"] else {}
    for fault in args.only:
        with tempfile.TemporaryDirectory() as folder:
            outcomes[fault] = found = examined(args.study, fault, Path(folder))
        print(f"{fault}: {found['outcome']}, {found.get('exact', found['loss'])}", flush=True)
        if args.json:
            write_json(args.json, {**here, "faults": outcomes})


if __name__ == "__main__":
    main()
