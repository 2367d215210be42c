"""Endpoints in the shape of other services' APIs: remove.bg's v1.0. Everything but that shape is shared with `/rmbg`."""
