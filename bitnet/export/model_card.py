"""Model card of an exported model: description, usage, metrics, terms, provenance, recipe."""

import json
from collections.abc import Mapping
from typing import Any

from bitnet.common.markdown import bullets, fill, table
from bitnet.config.recipe import Recipe
from bitnet.data.hub import HUB
from bitnet.evaluation.record import RunRecord

# Licences of training texts, as the data sets' own pages state them.
TERMS = {
    "stories": "Text that this project's own grammar makes: nobody else's work.",
    "tinystories": "TinyStories, written by GPT-3.5 and GPT-4, under CDLA-Sharing-1.0.",
    "fineweb_edu": "FineWeb-Edu under ODC-By 1.0, and Common Crawl's terms of use.",
    "wikitext2": "WikiText-2, from Wikipedia, under CC BY-SA 3.0 and GFDL.",
    "files": "Files of whoever trained it, whose terms are not known here.",
}
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
METRICS = ("BitsPerByte", "ValLoss", "UniquePredictions", "UniqueTargets", "PDR")
LOAD = """```python
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
) -> str:
    """The model card as Markdown with the front matter of the Hugging Face hub.

    kind: one of FOLDERS. trained: metadata of the weights file. evaluated: last row of the
    run's table and its record, or None.
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
            _front_matter(source, ternary),
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
                    "The weights come without terms of their own: whoever publishes them states "
                    "some.",
                ]
            ),
            "## How it was made",
            _origin(trained, text),
            f"```json\n{json.dumps(json.loads(recipe.to_json()), indent=1)}\n```\n",
        ]
    )


def _front_matter(source: str | None, ternary: bool) -> str:
    lines = ["---", "library_name: transformers", "pipeline_tag: text-generation"]
    if ternary:
        lines += ["tags:", "- bitnet"]
    if source in HUB:
        lines += ["datasets:", f"- {HUB[source].path}"]
    return "\n".join([*lines, "---"])


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
