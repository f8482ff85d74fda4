"""The OpenAPI description of everything that is served: imported with the first request for it."""
