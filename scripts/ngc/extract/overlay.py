"""The tree of an image out of its layers, as overlayfs and Docker make it: each layer becomes a tree, the trees are laid on each other.

Layers give their members in order, so a later one replaces an earlier one of the same name. Whiteouts act on lower
layers only. Nothing here trusts a name: a member below a symlink is refused, as it could lead anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ngc.errors import Failed
from ngc.extract.index import Member
from ngc.extract.layers import FOLDER, HARD_LINK, SYMLINK
from ngc.extract.tape import text

_WHITEOUT, _WHITE, _META, _OPAQUE = "w", b".wh.", b".wh..wh.", b".wh..wh..opq"
_MOST_LINKS = 40  # symlinks on the way to one path, as in Linux
_NONE: dict[bytes, Node] = {}  # most nodes have no children, and a dict for each would take a third of the memory


@dataclass(eq=False, slots=True)
class Node:
    """A file, folder, symlink ... of the tree; hard links are one node under several names.

    `layer` and `offset` say where its content is. `implied`: a folder that no layer describes, only members below it do.
    `shared`: it has hard links.
    """

    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    link: bytes = b""
    layer: int = -1
    offset: int = -1
    sha256: bytes = b""
    opaque: bool = False
    implied: bool = False
    shared: bool = False
    children: dict[bytes, Node] = field(default_factory=lambda: _NONE)

    def put(self, name: bytes, child: Node) -> Node:
        """Add a child, or replace one; the only way, as nodes without children share one dict."""
        if self.children is _NONE:
            self.children = {}
        self.children[name] = child
        return child

    def described_by(self, other: Node) -> None:
        """Take over what a folder is, not what is in it."""
        self.mode, self.uid, self.gid, self.implied = other.mode, other.uid, other.gid, other.implied
        self.mtime = self.mtime if other.implied and self.mtime else other.mtime


def names_around(path: bytes) -> Iterator[bytes]:
    """Every name in a layer, not below the path, that can change what is at the path: the way to it, and whiteouts on that way."""
    parts = path.split(b"/") if path else []
    for count in range(len(parts) + 1):
        folder = b"".join(part + b"/" for part in parts[:count])
        yield folder[:-1]
        yield folder + _OPAQUE
        if count < len(parts):
            yield folder + _WHITE + parts[count]


def tree_of(layer: int, members: Iterable[Member], name: str, lost: dict[bytes, bytes]) -> Node:
    """One layer's own tree, whiteouts in it. `lost` gets hard links whose target is not among the members, by the target.

    Raises Failed for members that no honest layer has; `name` is for that.
    """
    root = Node(FOLDER, implied=True)
    folder, above = b"", root
    for member in members:
        entry = member.entry
        if not entry.name:
            if entry.kind == FOLDER:
                root.described_by(_node(layer, member))
            continue
        inside, _, last = entry.name.rpartition(b"/")
        if inside != folder:  # the member before this one can have changed nothing above a folder that both lie in
            folder, above = inside, _walk(root, inside.split(b"/") if inside else (), name, entry.name)
        if last == _OPAQUE:
            above.opaque = True
        elif last.startswith(_META):
            continue  # what aufs kept for itself
        elif last.startswith(_WHITE):
            hidden = last[len(_WHITE) :]
            if hidden in (b"", b".", b".."):
                raise Failed(f"{name} has a whiteout of no name, {text(entry.name)}; refused")
            if hidden not in above.children:
                above.put(hidden, Node(_WHITEOUT))
        elif entry.kind == HARD_LINK:
            if (target := _linked(root, member)) is None:
                lost[entry.link] = entry.name
            else:
                above.put(last, target)
        else:
            here = above.children.get(last)
            if entry.kind == FOLDER and here is not None and here.kind == FOLDER:
                here.described_by(_node(layer, member))
            else:
                above.put(last, _node(layer, member))
    return root


def _node(layer: int, member: Member) -> Node:
    entry = member.entry
    return Node(
        entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.size, entry.link, layer, entry.offset,
        member.sha256,
    )  # fmt: skip


def _walk(root: Node, parts: Sequence[bytes], name: str, member: bytes) -> Node:
    node = root
    for part in parts:
        below = node.children.get(part)
        if below is None or below.kind == _WHITEOUT:
            # A whiteout and then members of the same name: what was below is hidden all the same (OCI image layer rules).
            below = node.put(part, _implied(node, opaque=below is not None))
        elif below.kind != FOLDER:
            what = "symlink" if below.kind == SYMLINK else "file"
            raise Failed(f"{name} has a member below a {what}, {text(member)}; refused")
        node = below
    return node


def _implied(above: Node, opaque: bool) -> Node:
    """What Docker makes where members lie in a folder that their layer does not describe; group and setgid bit are inherited."""
    inherits = above.mode & 0o2000
    return Node(FOLDER, 0o755 | inherits, gid=above.gid if inherits else 0, opaque=opaque, implied=True)


def _linked(root: Node, member: Member) -> Node | None:
    """The node that a hard link shares, None without one; the link's own mode, owner and time win, as in Docker."""
    entry = member.entry
    node: Node | None = root
    for part in entry.link.split(b"/"):
        node = node.children.get(part) if node is not None else None
    if node is None or node.kind in (FOLDER, _WHITEOUT):
        return None
    node.shared = True
    if node.kind != SYMLINK:
        node.mode, node.uid, node.gid, node.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
    return node


def merged(layers: Iterable[Node]) -> Node:
    """The trees laid on each other, lowest first; what they are made of becomes part of the result."""
    root = Node(FOLDER, implied=True)
    for layer in layers:  # an opaque whiteout of the root itself hides nothing, as in overlayfs
        if not layer.implied:
            root.described_by(layer)
        todo = [(root, layer)]
        while todo:
            lower, upper = todo.pop()
            for name, node in list(upper.children.items()):
                under = lower.children.get(name)
                if node.kind == _WHITEOUT:
                    lower.children.pop(name, None)
                elif node.kind != FOLDER:
                    lower.put(name, node)
                elif lower is not upper and under is not None and under.kind == FOLDER and not node.opaque:
                    under.described_by(node)
                    todo.append((under, node))
                else:
                    lower.put(name, node)
                    todo.append((node, node))  # with nothing below it, only its own whiteouts go
    return root


@dataclass(frozen=True)
class Way:
    """What lies on the way to a path: every name with its node, symlinks followed; `end` None if it leads nowhere.

    `there`: the path itself exists, though it may be a symlink that leads nowhere.
    `also`: where symlinks lead, None without any: members below it are wanted as well.
    """

    steps: tuple[tuple[bytes, Node], ...]
    end: tuple[bytes, Node] | None
    there: bool
    also: bytes | None = None


def way_to(root: Node, path: bytes) -> Way:
    """Walk to a path as a process in the image would. Raises Failed for symlinks that lead in a circle."""
    steps: list[tuple[bytes, Node]] = []
    rest = [part for part in path.split(b"/") if part][::-1]
    here: list[bytes] = []
    nodes = [root]
    links, there = 0, not rest
    while rest:
        part = rest.pop()
        if part == b"..":
            here, nodes = here[:-1], nodes[: max(len(nodes) - 1, 1)]
            continue
        node = nodes[-1].children.get(part) if nodes[-1].kind == FOLDER else None
        if part == b".":
            continue
        there = there or (node is not None and not rest)
        if node is None:
            return Way(tuple(steps), None, there, _joined([*here, part, *reversed(rest)]) if links else None)
        here.append(part)
        steps.append((b"/".join(here), node))
        if node.kind != SYMLINK:
            nodes.append(node)
            continue
        links += 1
        if links > _MOST_LINKS:
            raise Failed(
                f"/{text(path)} leads through more than {_MOST_LINKS} symlinks in the image; name another path"
            )
        here = [] if node.link.startswith(b"/") else here[:-1]
        nodes = [root] if node.link.startswith(b"/") else nodes
        rest += [p for p in node.link.split(b"/") if p][::-1]
    resolved = b"/".join(here)
    return Way(tuple(steps), (resolved, nodes[-1]), True, resolved if links else None)


def _joined(parts: Iterable[bytes]) -> bytes:
    done: list[bytes] = []
    for part in parts:
        if part == b"..":
            done = done[:-1]
        elif part != b".":
            done.append(part)
    return b"/".join(done)
