"""Networks of PyTorch, each with one thing that conversion has to cope with."""

from typing import Any

import torch
from torch import Tensor, nn


class Words(nn.Module):
    """Classifies texts of any length, from their last word on, in logits."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 4)
        self.read = nn.LSTM(4, 6, batch_first=True)
        self.drop = nn.Dropout(0.5)
        self.score = nn.Linear(6, 3)

    def forward(self, words: Tensor) -> Tensor:
        states, _ = self.read(self.embed(words))
        return self.score(self.drop(states[:, -1]))


class Bag(nn.Module):
    """Classifies texts by the mean of their words, in probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 4)
        self.score = nn.Linear(4, 3)

    def forward(self, words: Tensor) -> Tensor:
        return torch.softmax(self.score(self.embed(words).mean(1)), 1)


class Two(nn.Module):
    """Adds two inputs, and a third one where it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 2)
        self.second = nn.Linear(2, 2)

    def forward(self, height: Tensor, weight: Tensor, scale: Tensor | None = None) -> Tensor:
        answer = self.first(height) + self.second(weight)
        if scale is not None:
            answer = answer * scale
        return answer


class Answers(nn.Module):
    """Answers by name, one of them with the name of the input, one in a tuple, one whose rows come second."""

    def __init__(self) -> None:
        super().__init__()
        self.kind = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> dict[str, Any]:
        return {"kind": self.kind(x).softmax(-1), "x": x * 2, "parts": (x + 1, torch.stack([x, x]))}


class Named(nn.Module):
    """Answers by name, for TorchScript, which needs one type for all values."""

    def forward(self, x: Tensor, factor: float = 2.0) -> dict[str, Tensor]:
        return {"double": x * factor, "sum": x.sum(1)}


class Branch(nn.Module):
    """Takes another way for rows below zero."""

    def forward(self, x: Tensor) -> Tensor:
        if x.sum() > 0:
            return x * 2
        return x * 3


class Noise(nn.Module):
    """Draws random numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn_like(x)


class TwoRows(nn.Module):
    """Has a number of rows built in."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(2, 3) * 2


class Bessel(nn.Module):
    """Uses an operator that ONNX does not have."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x)


class Unused(nn.Module):
    """Takes an input that does not matter."""

    def forward(self, x: Tensor, ignored: Tensor) -> Tensor:
        return x * 2


class Length(nn.Module):
    """Answers with a Python number."""

    def forward(self, x: Tensor) -> int:
        return len(x)


class Sound(nn.Module):
    """Requires a number that is not a tensor."""

    def forward(self, x: Tensor, rate: int) -> Tensor:
        return x * rate
