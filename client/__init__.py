"""A client of the Open Inference (V2) protocol: it asks any server of the protocol for predictions."""
