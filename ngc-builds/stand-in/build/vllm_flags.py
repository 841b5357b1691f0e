#!/usr/bin/env python3
"""Write the flag table of the vLLM stub from vLLM's own source. Needs no vLLM: it reads, it does not import.

    curl -sSL https://files.pythonhosted.org/packages/source/v/vllm/vllm-0.11.0.tar.gz | tar xz
    vllm_flags.py vllm-0.11.0 > ../stubs/vllm/engine/flags.tsv

Columns, tab separated: flags (first one gives the attribute), kind, default as JSON, choices as JSON.
Kinds: bool (also --no-...), store_true, int, human_int (1k, 2M), float, str, json, and list:KIND.
What vLLM works out at run time (a default that is an expression, choices from a registry) is left empty.
"""

import ast
import json
import sys
from pathlib import Path
from typing import Any

# As in vllm.engine.arg_utils._compute_kwargs of 0.11.0.
HUMAN_INTS = {"max_model_len", "max_num_batched_tokens", "kv_cache_memory_bytes"}


def literal(node: ast.expr | None) -> Any:
    """The value of a constant expression; None where it is not constant."""
    try:
        return ast.literal_eval(node) if node else None
    except ValueError:
        return None


class Source:
    """Config classes and type aliases of one vLLM source tree."""

    def __init__(self, root: Path) -> None:
        self.aliases: dict[str, ast.expr] = {}
        self.classes: dict[str, dict[str, tuple[ast.expr, ast.expr | None]]] = {}
        for file in [*sorted((root / "vllm" / "config").glob("*.py")), root / "vllm/engine/arg_utils.py"]:
            for node in ast.parse(file.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                    self.aliases[node.targets[0].id] = node.value
                elif isinstance(node, ast.ClassDef):
                    self.classes[node.name] = {
                        field.target.id: (field.annotation, field.value)
                        for field in node.body
                        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                    }

    def parts(self, hint: ast.expr) -> list[ast.expr]:
        """The members of a (nested) Optional or Union, aliases followed."""
        if isinstance(hint, ast.Name) and isinstance(self.aliases.get(hint.id), ast.Subscript):
            return self.parts(self.aliases[hint.id])
        if isinstance(hint, ast.Constant) and isinstance(hint.value, str):
            return self.parts(ast.parse(hint.value, mode="eval").body)
        if isinstance(hint, ast.Subscript):
            outer = ast.unparse(hint.value)
            inner = hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]
            if outer == "Optional":
                return [*self.parts(inner[0]), ast.Constant(None)]
            if outer == "Union":
                return [part for item in inner for part in self.parts(item)]
            if outer in ("SkipValidation", "Annotated"):
                return self.parts(inner[0])
        return [hint]

    def kind(self, name: str, hint: ast.expr) -> tuple[str, list[Any] | None]:
        """Kind and choices of a field, in the order in which vLLM decides."""
        parts = self.parts(hint)
        names = [ast.unparse(part) for part in parts]
        heads = [text.split("[")[0] for text in names]
        if any(head in self.classes for head in heads):
            return "json", None
        if "bool" in heads:
            return "bool", None
        if "Literal" in heads and "str" not in heads:
            slice_ = parts[heads.index("Literal")].slice
            values = [literal(item) for item in (slice_.elts if isinstance(slice_, ast.Tuple) else [slice_])]
            options = sorted(value for value in values if value is not None)
            optional = "None" in names or None in values
            return type(options[0]).__name__, options + (["None"] if optional else [])
        for head in ("tuple", "list", "List"):
            if head in heads:
                inner = parts[heads.index(head)].slice
                inner = inner.elts[0] if isinstance(inner, ast.Tuple) else inner
                kind = self.kind("", inner)
                return f"list:{kind[0]}", kind[1]
        if "int" in heads:
            return ("human_int" if name in HUMAN_INTS else "int"), None
        if "float" in heads:
            return "float", None
        if any(head in ("dict", "Dict") for head in heads):
            return "json", None
        return "str", None

    def default(self, node: ast.expr | None) -> Any:
        """A constant default, also of field(default=...) and get_field(...)."""
        if isinstance(node, ast.Call):
            node = next((word.value for word in node.keywords if word.arg == "default"), None)
        return literal(node)


def rows(root: Path) -> list[tuple[str, str, Any, Any]]:
    """One row per add_argument call of EngineArgs and AsyncEngineArgs."""
    source = Source(root)
    tree = ast.parse((root / "vllm/engine/arg_utils.py").read_text(encoding="utf-8"))
    owners: dict[str, str] = {}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("get_kwargs("):
            owners[ast.unparse(node.targets[0])] = ast.unparse(node.value.args[0])
    for node in ast.walk(tree):
        if not (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument"
        ):
            continue
        flags = [flag for flag in map(literal, node.args) if flag]
        if not flags:  # the deprecated --guided-decoding-*, whose names are put together in a loop
            continue
        words = {word.arg: word.value for word in node.keywords}
        if None in words:
            table, key = words[None].value, literal(words[None].slice)
            hint, default = source.classes[owners[ast.unparse(table)]][key]
            kind, choices = source.kind(key, hint)
            value = source.default(default)
        else:
            action = ast.unparse(words["action"]) if "action" in words else ""
            kind = literal(words.get("action")) or ast.unparse(words.get("type", ast.Name("str")))
            kind = "bool" if "Boolean" in action else kind
            choices, value = None, source.default(words.get("default"))
        found.append((node.lineno, " ".join(sorted(flags, key=len, reverse=True)), kind, value, choices))
    return [row[1:] for row in sorted(found)]


def main() -> None:
    """Print the table."""
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} VLLM_SOURCE")
    print(f"# flags of {Path(sys.argv[1]).name}, made by build/vllm_flags.py; do not edit")
    for flags, kind, default, choices in rows(Path(sys.argv[1])):
        print(flags, kind, json.dumps(default), json.dumps(choices), sep="\t")


if __name__ == "__main__":
    main()
