#!/usr/bin/env python3
"""Checks that the documents are true about what can be checked by a machine: links between them
lead somewhere, and every subcommand and long option they name in a `actool ...` example exists.

Usage: docs.py SOURCE_DIR
"""

import pathlib
import re
import sys


def main():
    root = pathlib.Path(sys.argv[1])
    problems = []
    documents = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    for document in documents:
        text = document.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            for target in re.findall(r"\]\(([^)#\s]+)", line):
                if re.match(r"[a-z]+:", target):
                    continue
                if not (document.parent / target).exists():
                    problems.append(f"{document.relative_to(root)}:{number}: {target} does not exist")
    sources = "".join(f.read_text() for tree in ("core", "discovery", "fetch", "trust", "cas", "p2p", "run")
                      for f in (root / tree).rglob("*.cc"))
    known = set(re.findall(r"--[a-z][a-z0-9-]+", sources))
    for document in documents:
        for number, line in enumerate(document.read_text().splitlines(), 1):
            if not re.search(r"\bactool[ -]", line):
                continue
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", line):
                if option not in known and not re.search(r"\b(cmake|ctest|gpg|git|openssl)\b", line):
                    problems.append(f"{document.relative_to(root)}:{number}: {option} is no option of actool")
    print("\n".join(problems))
    print(f"{len(documents)} documents, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
