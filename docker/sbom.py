#!/usr/bin/env python3
"""The software bill of materials of a release, SPDX 2.3 in JSON, on standard output.

    sbom.py COMMIT

Lists what building and testing take, as the repository itself names it: Debian packages (install-deps.sh), with the
versions installed here, and Python packages (pyproject.toml, requirements files). Relationships say which of them end
up inside what is built. The same commit on the same packages gives the same bytes. Standard library only.
"""

import json
import pathlib
import re
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Compiled into binaries: headers, or libraries linked statically (libstdc++ and nanobind into the Python module).
INSIDE = {"cuda-cudart", "libxxhash-dev", "libeigen3-dev", "libcli11-dev", "nlohmann-json3-dev", "libhnswlib-dev", "g++", "nanobind"}


def git(*arguments):
    return subprocess.run(["git", "-C", str(ROOT), *arguments], check=True, capture_output=True, text=True).stdout


def debian_version(package):
    found = subprocess.run(["dpkg-query", "-W", "-f=${Version}", package], check=False, capture_output=True,
                           text=True)
    return found.stdout if found.returncode == 0 else ""


def debian_packages(text):
    """(name, version, group) of the packages in install-deps.sh."""
    for group in ("build", "test"):
        names = re.search(rf"^{group}=\(([^)]*)\)", text, re.MULTILINE)
        for name in names[1].split():
            yield name, debian_version(name), group


def python_packages(files):
    """(name, version, group); names once, those of pyproject.toml first."""
    project, *requirements = files
    seen = set()
    wanted = [(entry, "build") for entry in re.search(r"^requires = \[(.*)\]", project, re.MULTILINE)[1].split('", "')]
    wanted += [(entry, "runtime") for entry in re.search(r"^dependencies = \[(.*)\]", project, re.MULTILINE)[1].split('", "')]
    pins = {}
    for text in requirements:
        for line in text.splitlines():
            if "==" in line:
                name, version = line.split("==")
                pins[name] = version
                wanted.append((name, "test"))
    for entry, group in wanted:
        name = re.match(r"[A-Za-z0-9_.-]+", entry.strip('" '))[0]
        if name not in seen:
            seen.add(name)
            yield name, pins.get(name, ""), group


def package(kind, name, version):
    identifier = "SPDXRef-" + kind.partition("/")[0] + "-" + re.sub(r"[^A-Za-z0-9.-]", "-", name.replace("+", "p"))
    purl = f"pkg:{kind}/{urllib.parse.quote(name)}" + (f"@{urllib.parse.quote(version)}" if version else "")
    made = {
        "SPDXID": identifier, "name": name, "downloadLocation": "NOASSERTION", "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION",
        "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}],
    }
    return made | ({"versionInfo": version} if version else {})


def main():
    commit = git("rev-parse", f"{sys.argv[1]}^{{commit}}").strip()
    created = git("show", "-s", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd", commit).strip()

    def text(path):
        return git("show", f"{commit}:{path}")

    version = re.search(r"project\(Concord VERSION ([0-9.]+)", text("CMakeLists.txt"))[1]
    root = package("generic", "concord", version) | {
        "SPDXID": "SPDXRef-Concord", "licenseDeclared": "MIT", "licenseConcluded": "MIT",
        "sourceInfo": f"git commit {commit}", "primaryPackagePurpose": "LIBRARY",
    }
    packages = [root]
    relationships = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                      "relatedSpdxElement": "SPDXRef-Concord"}]
    found = [("deb/debian", *one) for one in debian_packages(text("docker/install-deps.sh"))]
    files = git("ls-tree", "-r", "--name-only", commit).split()
    files = [path for path in files if re.search(r"(^|/)requirements[^/]*\.txt$", path)]
    found += [("pypi", *one) for one in python_packages([text(path) for path in ("python/pyproject.toml", *files)])]
    # Of builds with CUDA.
    cuda = re.search(r"^FROM nvidia/cuda:([0-9.]+)-devel", text("docker/Dockerfile.cuda"), re.MULTILINE)
    found.append(("generic", "cuda-cudart", cuda[1], "build"))
    kinds = {"build": "BUILD_DEPENDENCY_OF", "test": "TEST_DEPENDENCY_OF", "runtime": "RUNTIME_DEPENDENCY_OF"}
    for kind, name, of_version, group in found:
        one = package(kind, name, of_version)
        packages.append(one)
        relationships.append({"spdxElementId": one["SPDXID"], "relationshipType": kinds[group],
                              "relatedSpdxElement": "SPDXRef-Concord"})
        if name in INSIDE:
            relationships.append({"spdxElementId": "SPDXRef-Concord", "relationshipType": "STATIC_LINK",
                                  "relatedSpdxElement": one["SPDXID"]})
    document = {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"concord-{version}", "documentNamespace": f"urn:concord:{version}:{commit}",
        "creationInfo": {"created": created, "creators": ["Tool: docker/sbom.py"]},
        "packages": packages, "relationships": relationships,
    }
    print(json.dumps(document, indent=1))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main()
