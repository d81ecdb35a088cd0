"""The request at work, for what every request runs."""

from flask import request

from changegate.unproxied import behind

current_request = behind(request)
