"""The current request, without the cost of Flask's proxy on the paths of every request."""

from flask import request

from changegate.unproxied import behind

current_request = behind(request)
