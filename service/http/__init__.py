"""What the service adds to uvicorn's HTTP/1.1 protocol."""
