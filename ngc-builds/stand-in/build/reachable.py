#!/usr/bin/env python3
"""Print the files of a folder of libraries that nothing needs.

    reachable.py LIBRARIES ROOTS...

Starts at every ELF file in the ROOTS folders, follows DT_NEEDED by file name into LIBRARIES, prints the full path of
each other file there.
"""

import subprocess
import sys
from pathlib import Path


def needed(file: Path) -> set[str]:
    """The file names in DT_NEEDED; empty for what is no ELF file."""
    text = subprocess.run(["readelf", "-d", file], capture_output=True, text=True, check=False).stdout
    return {line.split("[")[1].rstrip("]") for line in text.splitlines() if "(NEEDED)" in line}


def main() -> None:
    """Walk and print."""
    libraries, *roots = map(Path, sys.argv[1:])
    wanted: set[str] = set()
    todo = [file for root in roots for file in root.iterdir() if file.is_file()]
    while todo:
        for name in needed(todo.pop()) - wanted:
            wanted.add(name)
            if (libraries / name).exists() and not (libraries / name).is_symlink():
                todo.append(libraries / name)
    for file in sorted(libraries.iterdir()):
        if file.is_file() and not file.is_symlink() and file.name not in wanted:
            print(file)


if __name__ == "__main__":
    main()
