"""The console as a part of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.console.routes import (
    destinations,
    live,
    models,
    queue,
    rules,
    send,
    sign_in,
    studies,
    study,
    study_files,
    unknown_page,
)
from gateway.console.sessions import Sessions

if TYPE_CHECKING:
    from fastapi import FastAPI

    from gateway.settings import ConsoleSettings


def add_console(app: FastAPI, settings: ConsoleSettings) -> None:
    """Add the console's routes to an application, and the keys of its sessions."""
    app.state.console_sessions = Sessions([key.get_secret_value() for key in settings.session_keys])
    for router in (
        *(
            sign_in.router,
            studies.router,
            study.router,
            study_files.pictures,
            study_files.router,
            queue.router,
            destinations.router,
            rules.explanations,
            rules.router,
        ),
        *(models.router, send.uploads, send.router, live.numbers, live.router),
        unknown_page.router,
    ):
        app.include_router(router)
