"""The Content-Security-Policy of the settings, and what the editor may do beyond it."""

import re
from dataclasses import replace

from csp.constants import WASM_UNSAFE_EVAL
from csp.middleware import CSPMiddleware, PolicyParts
from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The editor writes WebP with libwebp in WebAssembly. JavaScript's own eval() stays forbidden.
WEBASSEMBLY = {"script-src": [WASM_UNSAFE_EVAL]}
_EDITOR_WORKER = re.compile(r"/imaging/engine/worker(\.[0-9a-f]{12})?\.js$")


class ContentPolicyMiddleware(CSPMiddleware):
    """django-csp's middleware, which lets the editor's worker run WebAssembly.

    A worker has the policy of its script's response, not the page's. The script is a static file: no view can be decorated.
    WhiteNoise can add headers, but not to "304 Not Modified", whose policy browsers take over.
    """

    def get_policy_parts(self, request: HttpRequest, response: HttpResponseBase, report_only: bool = False) -> PolicyParts:
        parts = super().get_policy_parts(request, response, report_only)
        return replace(parts, update=WEBASSEMBLY) if _EDITOR_WORKER.search(request.path) else parts
