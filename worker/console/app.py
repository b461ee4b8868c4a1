"""
Health and status over HTTP, on loopback by default: a page for people and its JSON twin. It only looks.
"""

from functools import cache
from typing import Any

from fastapi import FastAPI, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from config.settings import load_settings
from worker.core.instants import to_the_minute
from worker.store import views
from worker.store.migrate import newest, present
from worker.store.session import connect

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

# FastAPI's own documentation pages load scripts from elsewhere, so there are none.
app = FastAPI(title="Headwater", docs_url=None, redoc_url=None, openapi_url=None)
pages = Environment(loader=PackageLoader("worker.console", "pages"), autoescape=select_autoescape())
pages.filters["to_the_minute"] = to_the_minute


@cache
def engine() -> Engine:
    """
    This process's way to the database.
    """
    url = load_settings().database_url
    if url is None:
        raise RuntimeError("DATABASE_URL is not set; headwater up sets it")
    return connect(url.get_secret_value(), pool_size=2)


@app.get("/health")
def health() -> dict[str, str]:
    """
    The process answers; says nothing of anything else.
    """
    return {"status": "up"}


@app.get("/ready")
def ready(response: Response) -> dict[str, Any]:
    """
    Whether the database answers in the shape this version expects, and how long ago a run last ended: 503 if not ready.
    """
    try:
        found = present(engine())
        with engine().connect() as connection:
            age = connection.execute(text("SELECT extract(epoch FROM now() - max(finished_at))::int FROM run")).scalar()
    except (SQLAlchemyError, RuntimeError) as error:
        response.status_code = 503
        return {"ready": False, "reason": type(error).__name__}
    is_ready = found == newest()
    response.status_code = 200 if is_ready else 503
    return {"ready": is_ready, "database": found, "expected": newest(), "seconds_since_last_run": age}


@app.get("/status.json")
def status_json() -> dict[str, Any]:
    """
    What ``headwater status --json`` says.
    """
    with engine().connect() as connection:
        return views.status(connection)


@app.get("/", response_class=HTMLResponse)
def status_page() -> HTMLResponse:
    """
    The same as a page.
    """
    with engine().connect() as connection:
        found = views.status(connection)
    return HTMLResponse(pages.get_template("status.html").render(found=found), headers=HEADERS)
