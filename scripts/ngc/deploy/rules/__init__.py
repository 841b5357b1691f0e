"""The rules of `validate`, by subject: what a config must hold, and what comes of it if not. To import them is to register them."""

from ngc.deploy.rules import fields, flags, graph, kubernetes, parallel, roles

__all__ = ["fields", "flags", "graph", "kubernetes", "parallel", "roles"]
