"""Export of latent weights to a folder for transformers, in which its users go on training.

transformers' AutoBitLinear quantises a layer's float32 weight at each step (mode `online`), with
the gradients of training here. The folder's class is Glm: a Llama whose gate and up projection are
one matrix and so have one ternary scale, as here. In transformers' Llama they are two matrices,
whose two scales make another model. Glm's rotary pairs are neighbouring rows.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from bitnet.export.weights import Frozen, interleave

ONLINE = {
    "quant_method": "bitnet",
    "linear_class": "autobitlinear",
    "quantization_mode": "online",
    "use_rms_norm": False,  # the model's own norms stand before the layers
    "modules_to_not_convert": ["lm_head"],
}
TRAINED = "bitnet_trained"  # key of config.json; transformers keeps keys that it does not know
PAIRED = ("q_proj.weight", "k_proj.weight")  # whose rows are rotated in pairs


def latent_config(llama: Mapping[str, Any], trained: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json of a latent folder.

    llama: config.json of the same model as a Llama. trained: metadata of the weights file.
    """
    whole = {"partial_rotary_factor": 1.0}  # Glm's own is 0.5
    changed = {
        "architectures": ["GlmForCausalLM"],
        "model_type": "glm",
        "rope_parameters": {**llama["rope_parameters"], **whole},
        "quantization_config": ONLINE,
        TRAINED: dict(trained),
    }
    return {**{k: v for k, v in llama.items() if k != "mlp_bias"}, **whole, **changed}


def latent_tensors(frozen: Frozen) -> dict[str, np.ndarray]:
    """All latent weights by transformers' names, float32."""
    found, head_dim = {}, frozen.recipe.model.head_dim
    for name, weight in frozen.latent.items():
        rows = interleave(weight, head_dim) if name.endswith(PAIRED) else weight
        found[name if name.startswith("lm_head") else f"model.{name}"] = rows
    return found
