"""The protocols of predictions: each decodes requests, encodes responses, and lists its routes."""
