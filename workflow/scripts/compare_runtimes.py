"""Run one trained model here, in transformers and in llama.cpp, and compare.

    here=models/export/portable/h256_wd0
    python -m workflow.scripts.compare_runtimes --weights models/portable/h256_wd0.safetensors \\
        --bitlinear $here/bitlinear --dense $here/dense --gguf $here/h256_wd0-tq2_0.gguf \\
        --manifest data/stories/bpe2048/manifest64.json --csv runtimes.csv --markdown runtimes.md

Each runs in its own process, on one thread. A runtime that is not installed is left out, with a
note; after installing it, run this again with snakemake --forcerun.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

from bitnet.common.files import read_json, write_text
from bitnet.common.tensors import load_tensors, save_tensors
from bitnet.data import probe
from bitnet.data.dataloader import open_shard
from bitnet.export.runtimes import LlamaCpp, Runtime, markdown, read, write_speed
from workflow.helpers.cli import ROOT, code_of, flags, log, parsed, run
from workflow.helpers.weights import TYPED, check_weights
from workflow.provenance.environment import environment
from workflow.provenance.records import record_of, write_record

# Flag of a form: runtime, and the package that it needs.
FORMS = {
    "weights": ("here, torch", "torch"),
    "bitlinear": ("transformers", "transformers"),
    "dense": ("transformers", "transformers"),
    "gguf": ("llama.cpp", "llama-cpp-python"),
}
EXTRAS = {"transformers": "export", "llama-cpp-python": "llamacpp"}
# One thread, transformers' quantisers uncompiled, no network.
QUIET = {"OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1", "HF_HUB_OFFLINE": "1"}


def main(argv: list[str] | None = None) -> None:
    """Write the table or, with --one, measure one form."""
    parser = flags(__doc__)
    parser.add_argument("--weights", required=True, help=".safetensors of a run")
    parser.add_argument("--recipe", help=TYPED)
    parser.add_argument("--bitlinear", help="packed folder")
    parser.add_argument("--dense", help="dense folder")
    parser.add_argument("--gguf", help="GGUF file")
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--title", help="name of the run; default: the weights' file name")
    parser.add_argument("--csv", help="CSV file to write")
    parser.add_argument("--markdown", help="Markdown file to write")
    parser.add_argument("--one", choices=FORMS, help=argparse.SUPPRESS)
    parser.add_argument("--result", help=argparse.SUPPRESS)
    args = parsed(parser, argv)
    if args.one:
        measure(args)
        return
    if not (args.csv and args.markdown):
        parser.error("the following arguments are required: --csv, --markdown")
    lineage = {"compare_runtimes": {"code": code_of("compare_runtimes", args.code)}}
    check_weights(args.weights, load_tensors(args.weights)[1], args.recipe)
    rows, notes, ours = [], [], None
    for form, (runtime, package) in FORMS.items():
        path = getattr(args, form)
        if path is None:
            notes.append(f"{runtime}, {form}: left out, this model has no such form.")
            continue
        try:
            release = version(package)
        except PackageNotFoundError:
            extra = f"pip install -e '.[{EXTRAS[package]}]'"
            notes.append(f"{runtime}, {form}: left out, {package} is not installed ({extra}).")
            continue
        seen, measured = in_a_process_of_its_own(args, form)
        ours = seen["prediction"] if ours is None else ours
        rows.append(
            {
                "Runtime": runtime,
                "Version": release,
                "Form": Path(path).name.rpartition("-")[2] if form == "gguf" else form,
                "ArgmaxAgreement": (seen["prediction"] == ours).mean(),
                "BitsPerByte": seen["nll"].sum() / np.log(2) / measured["bytes"],
                "ReadTokensPerSecond": float(seen["read_tokens_per_second"]),
                "WriteTokensPerSecond": measured["write_tokens_per_second"],
                "FileBytes": file_bytes(Path(path)),
                "PeakMemoryBytes": measured["peak"],
                "ImportMemoryBytes": measured["imported"],
                "N": len(ours),
            }
        )
        log.info("%s, %s: %s", runtime, form, rows[-1])
    table = pd.DataFrame(rows)
    csv = Path(args.csv)
    write_text(csv, table.to_csv(index=False, float_format="%.8g"))
    title = args.title or Path(args.weights).stem
    write_text(args.markdown, markdown(table, title, notes))
    data = read_json(args.manifest)["sha256"]
    written = [csv, Path(args.markdown)]
    write_record(record_of(csv), written, lineage, data=data, environment=environment())


def file_bytes(path: Path) -> int:
    """Bytes of a form's weights, without the tokenizer and card of a folder."""
    return (path / "model.safetensors" if path.is_dir() else path).stat().st_size


def in_a_process_of_its_own(args: argparse.Namespace, form: str) -> tuple[dict, dict]:
    """Arrays and metadata that `measure` writes; ValueError in one line if its process fails."""
    with tempfile.TemporaryDirectory() as folder:
        result = f"{folder}/result.safetensors"
        inputs = [f"--{key}={getattr(args, key)}" for key in ("weights", "manifest", form)]
        command = [sys.executable, "-m", "workflow.scripts.compare_runtimes", *inputs]
        paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            [*command, "--one", form, "--result", result],
            env={**os.environ, **QUIET, "PYTHONPATH": paths},
            capture_output=True,
            encoding="utf-8",
            errors="replace",
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ValueError(f"{FORMS[form][0]} does not run {getattr(args, form)}: {last}")
        return load_tensors(result)


def measure(args: argparse.Namespace) -> None:
    """Measure one form in this process and write the result to args.result."""
    known = read_json(args.manifest)
    placed = known["probe"]
    tokens = open_shard(Path(args.manifest).parent, known["validation"], known["vocab_size"])
    windows = probe.windows(tokens, placed)
    path, length = getattr(args, args.one), placed["length"]
    if args.one == "gguf":
        import llama_cpp  # noqa: F401

        imported = memory()
        runtime: Runtime = LlamaCpp(path, length)
    elif args.one == "weights":
        from bitnet.export.torch_runtimes import Ours

        imported = memory()
        runtime = Ours(path)
    else:
        from transformers import LlamaForCausalLM  # noqa: F401

        from bitnet.export.torch_runtimes import Transformers

        imported = memory()
        runtime = Transformers(path)
    seen = read(runtime, windows, placed["positions"])
    speed = write_speed(runtime, windows[0, :1].tolist(), length - 1)
    found = {"imported": imported, "peak": memory(), "bytes": placed["bytes"]}
    save_tensors(args.result, seen, {**found, "write_tokens_per_second": speed})


def memory() -> int:
    """Peak resident memory of this process so far, bytes."""
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


if __name__ == "__main__":
    run(main)
