"""Model card of an exported model: description, usage, metrics, terms, provenance, recipe."""

import json
from collections.abc import Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from bitnet.common.markdown import bullets, fill, table
from bitnet.config.recipe import Recipe
from bitnet.data.hub import HUB
from bitnet.evaluation.record import RunRecord

# Licences of training texts, as the data sets' own pages state them.
TERMS = {
    "stories": "Text that this project's own grammar makes: nobody else's work.",
    "arithmetic": "Problems that this project writes: nobody else's work.",
    "tinystories": "TinyStories, written by GPT-3.5 and GPT-4, under CDLA-Sharing-1.0.",
    "fineweb_edu": "FineWeb-Edu under ODC-By 1.0, and Common Crawl's terms of use.",
    "wikitext2": "WikiText-2, from Wikipedia, under CC BY-SA 3.0 and GFDL.",
    "files": "Files of whoever trained it, whose terms are not known here.",
}
UNLICENSED = (
    "The weights come without terms of their own. Whoever publishes them states some: `license` "
    "under `export` in config.yaml, or in the first lines of this file."
)
UNKNOWN = "The text is not recorded; its terms are not known here."
FORMS = {
    "bitlinear": "Each matrix inside the layers is -1, 0, 1 times one scale, four weights to a "
    "byte. transformers' BitLinear computes with them as training did, activations rounded to "
    "int8, a scale a token. The first call compiles for half a minute; TORCHDYNAMO_DISABLE=1 in "
    "the environment spares that.",
    "dense": "All weights are float32 of a plain Llama, which any tool reads.",
    "latent": "The float32 weights that training updates, to go on training in transformers, whose "
    "AutoBitLinear makes them ternary at each step and rounds activations to int8. Its class is "
    "Glm: a Llama whose gate and up projection are one matrix, as in training. What has been "
    "trained goes into the smaller forms through this project's workflow/scripts/read_latent.py.",
}
ROUNDED = (
    "Its layers do not round activations to int8 as training did: about one prediction in a "
    "hundred differs. The bitlinear form does."
)
INDEXED = {"BitsPerByte": "bits_per_byte", "ValLoss": "cross_entropy"}  # names for the hub
METRICS = ("BitsPerByte", "ValLoss", "UniquePredictions", "UniqueTargets", "PDR")
LOAD = """```python
# pip install transformers accelerate
from transformers import AutoModelForCausalLM, AutoTokenizer
model = AutoModelForCausalLM.from_pretrained("{folder}")
tokenizer = AutoTokenizer.from_pretrained("{folder}")
ids = tokenizer("{prompt}", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=40)[0], skip_special_tokens=True))
```"""


def model_card(
    name: str,
    kind: str,
    recipe: Recipe,
    trained: Mapping[str, Any],
    evaluated: tuple[Mapping[str, Any], RunRecord] | None,
    license: str = "",
    language: str = "en",
) -> str:
    """The model card as Markdown with the front matter of the Hugging Face hub.

    kind: one of FOLDERS. trained: metadata of the weights file. evaluated: last row of the
    run's table and its record, or None. license: of the weights, by the hub's name; may be empty.
    language: of the text, ISO 639.
    """
    row, record = evaluated or ({}, None)
    text = record.source if record else {}
    source = text.get("source")
    model = recipe.model
    ternary = model.weights == "ternary"
    kinds = "ternary (BitNet b1.58)" if ternary else "full-precision"
    size = sum(model.parameters().values())
    intro = (
        f"A {kinds} Llama of {size:,} parameters ({model.num_layers} layers, hidden "
        f"{model.hidden_size}), trained from scratch for {recipe.training.steps:,} steps on "
        f"windows of {recipe.training.sequence_length} tokens. It continues text; it was taught to "
        "follow no instructions, and longer contexts than it was trained on are new to it."
    )
    form = FORMS[kind] + (f" {ROUNDED}" if ternary and kind == "dense" else "")
    return "\n\n".join(
        [
            _front_matter(name, source, ternary, row, license, language),
            f"# {name}",
            fill(intro),
            fill(form),
            LOAD.format(folder=".", prompt="Once upon a time"),
            "## Held-out text",
            _metrics(row),
            "## Terms",
            bullets(
                [
                    TERMS.get(source, UNKNOWN),
                    f"The weights: {license}." if license else UNLICENSED,
                ]
            ),
            "## How it was made",
            _origin(trained, text),
            f"```json\n{json.dumps(json.loads(recipe.to_json()), indent=1)}\n```\n",
        ]
    )


def _front_matter(
    name: str,
    source: str | None,
    ternary: bool,
    row: Mapping[str, Any],
    license: str,
    language: str,
) -> str:
    """What the hub reads: library, task, terms, and the metrics of held-out text."""
    text = HUB[source].path if source in HUB else None
    measured = [
        EvalResult(
            task_type="text-generation",
            dataset_type=text or source or "unknown",
            dataset_name=f"held-out text of {source or 'unknown'}",
            metric_type=kind,
            metric_value=float(f"{row[column]:.6g}"),
        )
        for column, kind in INDEXED.items()
        if row
    ]
    found = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        language=language,
        license=license or None,
        tags=["bitnet"] if ternary else None,
        datasets=[text] if text else None,
        **({"model_name": name, "eval_results": measured} if measured else {}),
    )
    return f"---\n{found.to_yaml()}\n---"


def _metrics(row: Mapping[str, Any]) -> str:
    if not row:
        return "No table of this run was at hand."
    lines = [[key, f"{row[key]:.6g}"] for key in METRICS]
    told = f"At step {row['Step']}, at N = {row['N']} held-out positions (data {row['DataHash']}):"
    return f"{told}\n\n{table(['metric', 'value'], lines)}"


def _origin(trained: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    found = {f"{key} of training": trained[key] for key in ("code", "data")}
    found |= trained["environment"]
    if "continued" in trained:
        found["trained further by"] = trained["continued"]["software"]
    if text:
        found["text"] = json.dumps(text, sort_keys=True)
    return table(["what", "which"], [[key, str(value)] for key, value in found.items()])
