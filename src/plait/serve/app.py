"""The routes: what is asked, handed to the model's thread, and answered.

FastAPI; imported only when something is served.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from plait import __version__
from plait.serve.bodies import Body, read_body
from plait.serve.cells import is_blank
from plait.serve.gate import CLIENT_GONE, ClientGoneError, Gate
from plait.serve.pages import docs_page, model_page, security_of
from plait.serve.refusal import Refusal
from plait.serve.schema import ApiSchema
from plait.serve.server import Server
from plait.serve.work import ServedModel

KINDS = ("predict", "explain", "embed", "caption", "ask", "search")
SUMMARIES = {
    "predict": "Answers with probabilities", "explain": "What an answer rests on", "embed": "Vectors to search with",
    "caption": "A picture in words", "ask": "An answer to a question about a picture", "search": "Items of the index",
}  # fmt: skip
MOST_FILTER = 1000  # characters of a filter


def make_app(server: Server) -> Any:
    """The ASGI application of a server."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        warming = asyncio.ensure_future(server.warm_up())
        sharing = asyncio.ensure_future(server.keep_sharing())
        yield
        await warming
        sharing.cancel()
        await server.drain()

    served, options = server.served, server.options
    api = ApiSchema(served, options)
    app = FastAPI(
        title=f"Plait: {served.task.name}", version=__version__, docs_url=None, redoc_url=None, openapi_url=None,
        lifespan=lifespan, description="Answers of one fitted model. Media are sent, never named.",
    )  # fmt: skip
    handlers = _handlers(server)
    for kind in KINDS:
        if kind in served.run:
            app.add_api_route(
                f"/v1/{kind}", handlers[kind], methods=["POST"], summary=SUMMARIES[kind], name=kind,
                operation_id=kind, response_class=Response, responses=api.answers(kind),
                openapi_extra={"requestBody": api.body(kind)},
            )  # fmt: skip
        else:
            app.add_api_route(f"/v1/{kind}", _absent(kind, served), methods=["POST"], include_in_schema=False)
    _add_facts(app, server)
    _add_errors(app, server)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            spec = FastAPI.openapi(app)
            spec.setdefault("components", {})["schemas"] = api.components()
            if options.token is not None:
                spec["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
                spec["security"] = [{"bearer": []}]
        return app.openapi_schema or {}

    app.openapi = openapi  # type: ignore[method-assign]
    gate = Gate(app, options, server.metrics, server.log)
    server.metrics.gauges["requests"] = ("Requests held now.", lambda: float(gate.requests))
    return gate


def _add_facts(app: FastAPI, server: Server) -> None:
    """Routes that ask nothing of the model."""

    @app.get("/health", summary="Whether the process lives", operation_id="health")
    async def health() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/ready", summary="Whether requests are taken", operation_id="ready",
             responses={503: {"description": "being warmed up, or stopping"}})  # fmt: skip
    async def ready() -> Response:
        if server.takes_requests:
            return _json({"status": "ready"})
        return _json({"status": "stopping" if server.is_stopping else "warming up"}, 503, {"Retry-After": "1"})

    @app.get("/metrics", summary="Counts for Prometheus", operation_id="metrics", response_class=Response)
    async def metrics() -> Response:
        return Response(server.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/v1/model", summary="What the model reads and answers", operation_id="model", response_class=Response)
    async def model() -> Response:
        limits = ("max_rows", "max_text", "max_pixels", "max_seconds", "max_hits", "max_body_mb", "deadline")
        facts = server.served.facts() | {"limits": {name: getattr(server.options, name) for name in limits}}
        return _json({**facts, "plait": __version__})

    @app.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return _json(app.openapi())

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        text, nonce = model_page()
        return Response(text, media_type="text/html; charset=utf-8", headers=security_of(nonce))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        text, nonce = docs_page()
        return Response(text, media_type="text/html; charset=utf-8", headers=security_of(nonce))


def _handlers(server: Server) -> dict[str, Callable[..., Any]]:
    """What answers each kind of work."""
    served, options, cells = server.served, server.options, server.cells

    async def parsed(function: Callable[..., Any], *given: Any) -> Any:
        """Cells are decoded and their headers read off the loop."""
        return await asyncio.to_thread(function, *given)

    async def of_good(request: Request, kind: str, how: Any, rows: list[Any]) -> list[Any]:
        """Outcomes of the rows that could be read; the others keep why they could not."""
        good = [row for row in rows if not isinstance(row, Refusal)]
        answered = iter(await server.ask(request, kind, how, good) if good else [])
        return [row if isinstance(row, Refusal) else next(answered) for row in rows]

    caution = {} if served.standing["caution"] is None else {"caution": served.standing["caution"]}

    async def predict(request: Request) -> Response:
        body = await read_body(request, options)
        asked = Body(dict(request.query_params), True)
        if body.is_form:
            rows, given = [await parsed(cells.form_row, body.values)], [body.values]
        else:
            body.only("rows", "coverage")
            asked = body if "coverage" in body.values else asked
            given = body.values.get("rows")
            rows = await parsed(cells.rows, given)
        coverage = asked.number("coverage", 0.0, 1.0, None)
        if coverage is not None and (not served.is_calibrated or not 0 < coverage < 1):
            why = (
                "lies between 0 and 1"
                if served.is_calibrated
                else ("needs calibration rows, which this model has not: plait calibrate gives it some")
            )
            raise Refusal(422, "bad_coverage", f"coverage {why}")
        outcomes = await of_good(request, "predict", coverage, rows)
        said = [_with_blank(one, cells.blank(row)) for one, row in zip(outcomes, given, strict=True)]
        return _answered(request, {"predictions": said}, caution)

    async def explain(request: Request) -> Response:
        body = await read_body(request, options)
        if not body.is_form:
            body.only("row")
        given = body.values if body.is_form else body.values.get("row")
        row = await parsed(cells.form_row if body.is_form else cells.row, given)
        outcome = _with_blank((await server.ask(request, "explain", None, [row]))[0], cells.blank(given))
        return _single(request, {"explanation": outcome, **caution}, outcome)

    async def embed(request: Request) -> Response:
        body = await read_body(request, options)
        body.only("modality", "rows")
        names = [m.name for m in served.fitted.modalities]
        if body.values.get("modality") not in names:
            raise Refusal(422, "unknown_modality", f"modality must be one of {', '.join(names)}")
        rows = await parsed(cells.rows, body.values.get("rows"))
        return _answered(request, {"vectors": await of_good(request, "embed", body.values["modality"], rows)})

    async def write(request: Request, kind: str) -> Response:
        body = await read_body(request, options)
        names = {"image": _only(served, "image")}
        if kind == "ask":
            names["question"] = _only(served, "text")
        body.only(*names)
        absent = [n for n in names if body.values.get(n) is None or is_blank(body.values[n])]
        if absent:
            raise Refusal(422, "missing_field", f"the field {absent[0]!r} is missing; send {' and '.join(names)}")
        row = await parsed(cells.row, {column: body.values[name] for name, column in names.items()})
        outcome = (await server.ask(request, kind, None, [row]))[0]
        return _single(request, {"answer": outcome}, outcome)

    async def caption(request: Request) -> Response:
        return await write(request, "caption")

    async def ask(request: Request) -> Response:
        return await write(request, "ask")

    async def search(request: Request) -> Response:
        body = await read_body(request, options)
        body.only("text", "image", "k", "where", "weight")
        by = served.searched_by()
        asked = {name: body.values.get(name) for name in ("text", "image")}
        given = {name: value for name, value in asked.items() if value is not None and not is_blank(value)}
        if not given or not set(given) <= by:
            raise Refusal(422, "no_query", f"send {' or '.join(sorted(by))} to search by")
        k = body.number("k", 1, options.max_hits, 12)
        weight = body.number("weight", 0, 1, 0.5)
        where = body.values.get("where") or None
        if where is not None:
            where = cells.text(where, MOST_FILTER)
            if served.index is not None and served.index.manifest.backend != "exact":
                raise Refusal(422, "no_filter", "filters are taken for exact indexes only")
        row = {"text": None, "image": None}
        if "text" in given:
            row["text"] = cells.text(given["text"])
        if "image" in given:
            row["image"] = await parsed(cells.media, given["image"], "image")
        outcome = (await server.ask(request, "search", (int(k), where, weight), [row]))[0]
        return _single(request, outcome if isinstance(outcome, Refusal) else {**outcome, **caution}, outcome)

    return {"predict": predict, "explain": explain, "embed": embed, "caption": caption, "ask": ask, "search": search}


def _only(served: ServedModel, kind: str) -> str:
    """The only column of a kind.

    Raises:
        Refusal: There is none, or more than one.
    """
    names = [c.name for c in served.columns if c.kind == kind]
    if len(names) != 1:
        raise Refusal(404, "not_here", f"this model reads {len(names)} columns of kind {kind}; use /v1/predict")
    return names[0]


def _absent(kind: str, served: ServedModel) -> Callable[..., Any]:
    """What answers a route that this model has not."""

    async def absent(request: Request) -> Response:
        can = ", ".join(sorted(served.run))
        raise Refusal(
            404,
            "not_here",
            f"this server does not answer {kind}, for its model does {served.task.name}; it answers {can}",
        )

    return absent


def _paths(app: FastAPI, served: ServedModel) -> list[str]:
    """Methods and paths that this server answers, without those that its model cannot do."""
    absent = {f"/v1/{kind}" for kind in KINDS if kind not in served.run}
    routes = [one for one in app.routes if isinstance(one, APIRoute) and one.path not in absent]
    return [f"{' '.join(sorted(one.methods))} {one.path}" for one in routes]


def _add_errors(app: FastAPI, server: Server) -> None:
    """Every error in one shape."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        server.metrics.count("refused_total", reason=error.code)
        return _json(error.to_json(request.scope["plait.request_id"]), error.status, error.headers)

    async def of_routing(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers, status = dict(error.headers or {}), error.status_code
        if status == 404:
            paths = _paths(app, server.served)
            made = Refusal(404, "not_found", f"there is no such route; there are {', '.join(paths)}", paths=paths)
        elif status == 405:
            takes = headers.get("Allow", headers.get("allow", ""))
            takes = "GET, HEAD" if takes == "GET" else takes
            headers = {"Allow": takes}
            made = Refusal(405, "wrong_method", f"this route takes {takes.replace(', ', ' and ')}, no other method")
        else:
            code = {400: "bad_form", 413: "body_too_large"}.get(status, "refused")
            made = Refusal(status, code, "the form cannot be read: broken, too many fields, or a part too long")
        return _json(made.to_json(request.scope["plait.request_id"]), status, headers)

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)  # nobody reads it; the log does

    async def fault(request: Request, error: Exception) -> Response:
        made = Refusal(500, "fault", "a fault of the server; its log names this request")
        return _json(made.to_json(request.scope["plait.request_id"]), 500)  # Starlette raises it on, to the gate

    app.add_exception_handler(Refusal, refused)
    app.add_exception_handler(ClientGoneError, gone)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(HTTPException, of_routing)


def _answered(
    request: Request, named: dict[str, list[Any]], more: Mapping[str, Any] = MappingProxyType({})
) -> Response:
    """One entry a row; where no row at all could be answered, its first reason as the status."""
    (name, outcomes), *_ = named.items()
    for number, one in enumerate(outcomes):
        if isinstance(one, Refusal):
            one.row = number
    if all(isinstance(one, Refusal) for one in outcomes):
        raise outcomes[0]
    rows = [{"error": one.to_json("")["error"]} if isinstance(one, Refusal) else one for one in outcomes]
    return _json({name: rows, **more, "request_id": request.scope["plait.request_id"]})


def _with_blank(outcome: Any, names: list[str]) -> Any:
    """An answer that says which columns were sent blank, and so were left out."""
    return {**outcome, "left_out": names} if names and isinstance(outcome, dict) else outcome


def _single(request: Request, made: Any, outcome: Any) -> Response:
    if isinstance(outcome, Refusal):
        raise outcome
    return _json({**made, "request_id": request.scope["plait.request_id"]})


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    data = text.encode("utf-8", "replace")
    return Response(data, status_code=status, headers=headers, media_type="application/json")
