"""Error responses: `{"error": …, "error_description": …}`."""

import json

from flask import Flask, jsonify
from flask.typing import ResponseReturnValue
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException


def register_errors(app: Flask) -> None:
    """Return every error of this app as JSON."""
    app.register_error_handler(ValidationError, answer_bad_input)
    app.register_error_handler(HTTPException, answer_http_error)


def answer_bad_input(error: ValidationError) -> ResponseReturnValue:
    """Return a 400 with the names of the invalid fields."""
    return jsonify(error="invalid_request", error_description=describe(error)), 400


def answer_http_error(error: HTTPException) -> ResponseReturnValue:
    """Return an error of the framework in our format, with its headers."""
    response = error.get_response()
    body = {"error": error.name.lower().replace(" ", "_"), "error_description": error.description}
    response.set_data(json.dumps(body))
    response.content_type = "application/json"
    return response


def describe(error: ValidationError) -> str:
    """Return the messages as one line, each as `field: message`."""
    return "; ".join(f"{name}: {sentence}" for name, sentences in error.messages_dict.items() for sentence in sentences)
