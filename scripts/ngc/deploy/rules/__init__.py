"""The rules of `validate`, by subject: what a config must hold, and what comes of it if not. To import them is to register them."""

from ngc.deploy.rules import discovery, engine, fields, flags, graph, kubernetes, objects, parallel, roles

__all__ = ["discovery", "engine", "fields", "flags", "graph", "kubernetes", "objects", "parallel", "roles"]
