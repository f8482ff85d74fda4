"""PyTorch: modules, exported programs, TorchScript."""
