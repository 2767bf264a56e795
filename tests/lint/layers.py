#!/usr/bin/env python3
"""Checks every #include against the project's layers (docs/architecture.md).

Usage: layers.py SOURCE_DIR. Prints "file:line: ..." for each include that breaks a rule.
"""

import pathlib
import re
import sys

# What the files of a folder may include, beside their own folder's. The longest prefix wins.
CORE = {"core/base", "core/schema", "core/record", "core/net", "core/cli"}
LAYERS = {
    "core/base": set(),
    "core/schema": {"core/base"},
    "core/record": {"core/base", "core/schema"},
    "core/net": {"core/base"},
    "core/cli": {"core/base"},
    "discovery": CORE,
    "fetch": CORE,
    "trust": CORE,
    "cas/layout": {"core/base", "core/schema"},
    "cas": CORE | {"trust", "cas/layout"},
    "p2p": CORE | {"cas/layout"},
    "p2p/mirror": CORE | {"cas/layout"},
    "run/native": CORE | {"run"},
    "run/metadata": CORE | {"run"},
    "run/machined": CORE | {"run"},
    "run/executor": CORE | {"run", "run/native"},
    "run/fly": CORE | {"run", "run/native", "run/executor"},
    "run/oci": CORE | {"run", "run/native", "run/executor"},
    "run/nspawn": CORE | {"run", "run/native", "run/executor"},
    "run/vm": CORE | {"run", "run/native", "run/executor", "cas/layout"},
    "run": CORE | {"cas/layout"},
    "tests": CORE | {"discovery", "fetch", "trust", "cas", "cas/layout", "p2p", "p2p/mirror", "run", "run/native", "run/vm",
                     "run/metadata"},
}
# Heavy libraries and the only folders whose files may include their headers.
HEAVY = {
    r"curl/": {"core/net"},
    r"rocksdb/": {"cas"},
    r"archive(_entry)?\.h": {"cas", "run/vm", "tests"},
    r"gpgme\.h": {"trust", "tests"},
    r"isa-l(/|\.h)|igzip_lib\.h": {"cas"},
    r"gumbo\.h": {"discovery"},
    r"libtorrent/": {"p2p", "tests"},
    r"openssl/": {"core/base", "cas", "p2p", "run/metadata", "tests"},
    r"microhttpd\.h": {"p2p", "run/metadata"},
    r"systemd/": {"p2p", "run/machined"},
    r"sys/capability\.h": {"run/native"},
    r"seccomp\.h": {"p2p", "run/native"},
    r"netlink/|libmnl/|libnftnl/": {"run/native"},
    r"CLI/": {"core/cli", "run", "main"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')
TREES = ("core", "discovery", "fetch", "trust", "cas", "p2p", "run", "tests")


def layer_of(path):
    """The layer of a file or included path: "cas/layout.h" -> "cas/layout"."""
    stem = str(pathlib.PurePosixPath(path).with_suffix(""))
    best = None
    for layer in LAYERS:
        if stem == layer or stem.startswith(layer + "/"):
            if best is None or len(layer) > len(best):
                best = layer
    return best


def check_include(path, quoted, angled):
    """The complaint about one include of the file `path`, or None."""
    own = layer_of(path)
    if quoted is not None:
        target = layer_of(quoted)
        if target is None:
            return f'"{quoted}" is not a path from the root of the tree'
        if target != own and target not in LAYERS[own]:
            return f"{own} may not include {target} (\"{quoted}\")"
        return None
    for pattern, folders in HEAVY.items():
        if not re.match(pattern, angled):
            continue
        if own in folders or ("main" in folders and own != "core/base"):
            return None
        return f"<{angled}> is only for {', '.join(sorted(folders - {'main'}))}"
    return None


def check_text(path, text):
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            problem = check_include(path, match.group(1), match.group(2))
            if problem:
                problems.append(f"{path}:{number}: {problem}")
    return problems


def self_check():
    """The checker itself must see what it is for."""
    bad = [("core/schema/a.h", '#include "core/record/record.h"'),
           ("discovery/a.cc", '#include "trust/keystore.h"'),
           ("cas/layout.h", '#include "cas/index.h"'),
           ("run/a.cc", '#include "cas/store.h"'),
           ("run/a.cc", "#include <rocksdb/db.h>"),
           ("fetch/a.cc", "#include <curl/curl.h>"),
           ("cas/a.cc", '#include "layout.h"')]
    good = [("cas/store.cc", '#include "cas/layout.h"'),
            ("run/a.cc", '#include "cas/layout.h"'),
            ("core/net/curl_http.cc", "#include <curl/curl.h>"),
            ("trust/a.cc", '#include "core/cli/tool.h"')]
    for path, line in bad:
        assert check_text(path, line), f"not seen: {path}: {line}"
    for path, line in good:
        assert not check_text(path, line), f"wrongly refused: {path}: {line}"


def main():
    self_check()
    root = pathlib.Path(sys.argv[1])
    problems, count = [], 0
    for tree in TREES:
        for file in sorted((root / tree).rglob("*")):
            if file.suffix in (".h", ".cc"):
                count += 1
                problems += check_text(file.relative_to(root).as_posix(), file.read_text())
    print("\n".join(problems))
    print(f"{count} files, {len(problems)} includes across the layers' borders")
    sys.exit(1 if problems or count == 0 else 0)


if __name__ == "__main__":
    main()
