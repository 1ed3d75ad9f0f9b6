"""The API of a served model as OpenAPI: bodies and answers by the model's own columns, classes and limits."""

from __future__ import annotations

from typing import Any

from plait.serve.cells import InputColumn
from plait.serve.options import ServeOptions
from plait.serve.work import ServedModel

JSON = "application/json"
FORM = "multipart/form-data"
ENCODED = "application/x-www-form-urlencoded"
MOST_LISTED = 100  # categories that a description lists
Schema = dict[str, Any]


def column_schema(column: InputColumn, options: ServeOptions, *, in_form: bool = False) -> Schema:
    """What a request may hold for one column."""
    if column.kind in ("image", "audio", "image_set"):
        word = "sound" if column.kind == "audio" else "picture"
        limit = (
            f"at most {options.max_seconds:g} seconds" if column.kind == "audio"
            else f"at most {options.max_pixels:,} pixels"
        )  # fmt: skip
        sent = "base64 text or a data: address"
        if options.fetch_from:
            sent += f", or an https address of {', '.join(options.fetch_from)}"
        one: Schema = (
            {"type": "string", "format": "binary"} if in_form
            else {"type": "string", "contentEncoding": "base64", "description": sent}
        )  # fmt: skip
        if column.kind == "image_set":
            return {"type": "array", "items": one, "description": f"pictures, each {limit}"}
        return {**one, "description": f"a {word}, {limit}" + ("" if in_form else f"; {sent}")}
    if column.kind == "numeric":
        usual = "" if column.usual is None else f"; {column.usual:.4g} on average in training"
        return {"type": "number", "description": f"a number{usual}"}
    if column.kind == "categorical":
        kind = {"whole": "integer", "number": "number", "truth": "boolean"}.get(column.held, "string")
        listed = ", ".join(column.known[:MOST_LISTED]) + (", ..." if len(column.known) > MOST_LISTED else "")
        examples = {"examples": list(column.known[:MOST_LISTED])} if kind == "string" and column.known else {}
        return {"type": kind, "description": f"a category; known from training: {listed}", **examples}
    if column.kind == "date":
        return {"type": "string", "description": "a date or time, such as 2024-03-05 14:30"}
    if column.kind == "vector":
        if in_form:
            return {"type": "string", "description": "a JSON list of numbers"}
        number = {"type": "number"}
        items = {"anyOf": [number, {"type": "array", "items": number}]}
        told = "a list of numbers, or several of equal length"
        return {"type": "array", "items": items, "minItems": 1, "description": told}
    return {"type": "string", "maxLength": options.max_text, "description": "a text"}


class ApiSchema:
    """Bodies and answers of every route of one served model.

    Args:
        served: The model.
        options: The limits.
    """

    def __init__(self, served: ServedModel, options: ServeOptions) -> None:
        self._served, self._options = served, options

    def components(self) -> dict[str, Schema]:
        """The named schemas."""
        columns = self._served.columns
        cells = {c.name: _nullable(column_schema(c, self._options)) for c in columns}
        return {
            "Row": {"type": "object", "properties": cells, "additionalProperties": False, "minProperties": 1,
                    "description": "Any column may be left out; one at least must hold something. A row that cannot be "
                    "answered has an error in its place while others are answered."},
            "FormRow": {"type": "object", "additionalProperties": False,
                        "properties": {c.name: column_schema(c, self._options, in_form=True) for c in columns}},
            "Rows": {"type": "array", "items": _ref("Row"), "minItems": 1, "maxItems": self._options.max_rows},
            "Prediction": self._prediction(),
            "Explanation": _EXPLANATION,
            "Hit": _HIT,
            "Refused": {"type": "object", "required": ["error"], "properties": {"error": _ref("Error")}},
            "Error": {"type": "object", "required": ["code", "message"], "properties": {
                "code": {"type": "string"}, "message": {"type": "string"}, "row": {"type": "integer"},
                "column": {"type": "string"}, "paths": {"type": "array", "items": {"type": "string"}}}},
            "Failure": {"type": "object", "required": ["error", "request_id"], "properties": {
                "error": _ref("Error"), "request_id": {"type": "string"}}},
        }  # fmt: skip

    def _prediction(self) -> Schema:
        served, kind = self._served, self._served.task.output_kind
        classes = served.classes
        label: Schema = {"type": "string", **({"enum": classes} if classes and len(classes) <= MOST_LISTED else {})}
        number = {"type": ["number", "null"]}
        answer = {"labels": {"type": "array", "items": label}, "number": {"type": "number"}}.get(kind, label)
        if kind == "classes":  # classes may be numbers or truth values in the table
            answer = {**label, "type": ["string", "number", "boolean"]}
            answer.pop("enum", None)
        made: dict[str, Schema] = {
            "prediction": answer, "problem": {"type": ["string", "null"]},
            "left_out": {"type": "array", "items": {"type": "string"}, "description": "columns that were sent blank"},
        }  # fmt: skip
        if classes:
            made["probabilities"] = {"type": "object", "properties": dict.fromkeys(classes, number)}
            made["probability"] = number
        if served.is_calibrated and kind == "number":
            made |= {"low": number, "high": number}
        elif served.is_calibrated:
            made["set"] = {"type": ["array", "null"], "items": {"type": "string"}}
        return {"type": "object", "required": ["prediction"], "properties": made}

    def body(self, kind: str) -> Schema:
        """The requestBody of one kind of work."""
        row_or_form = {FORM: {"schema": _ref("FormRow")}}
        files = ("image", "audio", "image_set")
        plain = {
            c.name: column_schema(c, self._options, in_form=True) for c in self._served.columns if c.kind not in files
        }
        if plain:
            row_or_form[ENCODED] = {"schema": _object(plain)}
        coverage = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1,
                    "description": "adds a set or an interval that holds the truth this often"}  # fmt: skip
        picture = {"type": "string", "contentEncoding": "base64"}
        file = {"type": "string", "format": "binary"}
        question = {"type": "string", "maxLength": self._options.max_text}
        if kind == "predict":
            extra = {"coverage": coverage} if self._served.is_calibrated else {}
            content = {JSON: {"schema": _object({"rows": _ref("Rows"), **extra}, "rows")}, **row_or_form}
        elif kind == "explain":
            content = {JSON: {"schema": _object({"row": _ref("Row")}, "row")}, **row_or_form}
        elif kind == "embed":
            named = {"type": "string", "enum": [m.name for m in self._served.fitted.modalities]}
            content = {JSON: {"schema": _object({"modality": named, "rows": _ref("Rows")}, "modality", "rows")}}
        elif kind == "caption":
            content = {JSON: {"schema": _object({"image": picture}, "image")},
                       FORM: {"schema": _object({"image": file}, "image")}}  # fmt: skip
        elif kind == "ask":
            asked = ("image", "question")
            content = {JSON: {"schema": _object({"image": picture, "question": question}, *asked)},
                       FORM: {"schema": _object({"image": file, "question": question}, *asked)}}  # fmt: skip
        else:
            by = self._served.searched_by()
            how = {
                **({"text": question} if "text" in by else {}),
                "k": {"type": "integer", "minimum": 1, "maximum": self._options.max_hits, "default": 12},
                "where": {"type": "string", "maxLength": 1000, "description": "such as label = 'dog'"},
                "weight": {"type": "number", "minimum": 0, "maximum": 1, "default": 0.5,
                           "description": "with text and picture: the share of the text"},
            }  # fmt: skip
            content = {
                JSON: {"schema": _object({**how, **({"image": picture} if "image" in by else {})})},
                FORM: {"schema": _object({**how, **({"image": file} if "image" in by else {})})},
            }
        return {"required": True, "content": content}

    def answers(self, kind: str) -> dict[int, Any]:
        """The responses of one kind of work."""
        either = {"type": "array", "items": {"anyOf": [_ref("Prediction"), _ref("Refused")]}}
        text = _object({"prediction": {"type": "string"}, "probability": {"type": ["number", "null"]}})
        vectors = {"type": "array", "items": {"anyOf": [
            _object({"vector": {"type": "array", "items": {"type": "number"}}}), _ref("Refused")]}}  # fmt: skip
        found = {
            "predict": {"predictions": either}, "explain": {"explanation": _ref("Explanation")},
            "embed": {"vectors": vectors}, "caption": {"answer": text}, "ask": {"answer": text},
            "search": {"score": {"type": "string"}, "hits": {"type": "array", "items": _ref("Hit")}},
        }[kind]  # fmt: skip
        caution = {"type": "string", "description": "only where the model was not shown to beat guessing"}
        answer = _object({**found, "caution": caution, "request_id": {"type": "string"}}, *found, "request_id")
        answer["additionalProperties"] = True
        failure = {"content": {JSON: {"schema": _ref("Failure")}}}
        wait = {"headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}}
        said = {
            400: "no JSON, or no form", 401: "no token, or a wrong one", 403: "from another site",
            408: "the body came too slowly", 413: "larger than a limit", 415: "neither JSON nor a form",
            422: "no table of rows, or no row that can be answered", 429: "full; try again after Retry-After",
            503: "not ready yet, or stopping", 504: "the deadline passed",
        }  # fmt: skip
        made: dict[int, Any] = {200: {"description": "the answer", "content": {JSON: {"schema": answer}}}}
        for status, text_of in said.items():
            made[status] = {"description": text_of, **failure, **(wait if status in (429, 503) else {})}
        return made


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: dict[str, Schema], *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _nullable(schema: Schema) -> Schema:
    return {**schema, "type": [schema["type"], "null"]} if isinstance(schema.get("type"), str) else schema


_NUMBER = {"type": ["number", "null"]}
_EXPLANATION: Schema = {
    "type": "object", "required": ["prediction", "explained", "modalities"],
    "properties": {
        "prediction": {}, "explained": {"type": "string"}, "with_nothing": _NUMBER, "with_everything": _NUMBER,
        "notes": {"type": "array", "items": {"type": "string"}},
        "left_out": {"type": "array", "items": {"type": "string"}},
        "modalities": {"type": "array", "items": {
            "type": "object", "required": ["name", "kind"],
            "properties": {
                "name": {"type": "string"}, "kind": {"type": "string"}, "shapley": _NUMBER, "share": _NUMBER,
                "parts": {"type": "array", "items": {"type": "object"}}, "trusted": {"type": "boolean"},
                "skipped": {"type": "string"},
            },
        }},
    },
}  # fmt: skip
_HIT: Schema = {
    "type": "object", "required": ["rank", "score", "id"],
    "properties": {
        "rank": {"type": "integer"}, "score": {"type": "number"}, "id": {"type": "string"}, "text": {"type": "string"},
        "metadata": {"type": "object"}, "picture": {"type": ["string", "null"]},
    },
}  # fmt: skip
