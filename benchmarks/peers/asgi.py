"""Snooze's application under uvicorn as it comes, without Snooze's own protocol. Settings are in the environment."""

import os

import uvicorn
from uvicorn.importer import import_from_string

if __name__ == "__main__":
    settings = import_from_string("snooze.service:Settings").from_environ(os.environ)
    uvicorn.run(
        import_from_string("snooze.service:create_app")(settings),
        host=settings.host,
        port=settings.port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
    )
