"""What flows through the layers of a model while it is read, without keeping any of it."""

import numpy as np
import torch
from torch import nn


class Layers:
    """Watches the layers of a model inside a `with` block; nothing in it waits for the device."""

    def __init__(self, model: nn.Module):
        self.layers, device = model.layers, model.embed_tokens.weight.device
        self.largest = torch.zeros(len(self.layers), device=device)
        self.added = torch.zeros(len(self.layers), dtype=torch.float64, device=device)
        self.passed = torch.zeros_like(self.added)

    def __enter__(self) -> "Layers":
        self.handles = [layer.register_forward_hook(self._see) for layer in self.layers]
        self.places = {layer: i for i, layer in enumerate(self.layers)}
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _see(self, layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        i, x = self.places[layer], inputs[0]
        largest = torch.maximum(output.amax(), -output.amin())
        self.largest[i] = torch.maximum(self.largest[i], largest)
        self.added[i] += (output - x).square().sum(dtype=torch.float64)
        self.passed[i] += x.square().sum(dtype=torch.float64)

    def found(self) -> dict[str, np.ndarray]:
        """Of each layer (L,): activation_absmax, the largest |value| it passes on, and layer_share.

        layer_share is the root mean square of what a layer adds to the residual stream over that
        of what it was given: 0 for a layer that does nothing.
        """
        share = (self.added / self.passed).sqrt()
        return {
            "activation_absmax": self.largest.cpu().numpy(),
            "layer_share": share.cpu().numpy(),
        }
