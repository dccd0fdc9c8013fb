#!/usr/bin/env python3
"""Tests of layering.py: a small tree of rooms that passes, and one change each that must not."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True
import layering  # noqa: E402

TABLE = """# Architecture

## Doors

Words before.

| room | may include |
|---|---|
| `base` | `include` |
| `index` | `base` `cpu` `cuda` |
| `include` | nothing |
| `cpu` | `base` |
| `cuda` | `base` |

## A search
"""
FILES = {
    "ARCHITECTURE.md": TABLE,
    "common/include/concord/index.hpp": "#include <concord/error.hpp>\n#include <vector>\n",
    "common/include/concord/error.hpp": "#include <string>\n",
    "common/include/concord/eigen.hpp": "#include <Eigen/Core>\n",
    "common/base/error.cpp": "#include <concord/error.hpp>\n\n#include <unistd.h>\n",
    "common/base/key.hpp": "#include <cstdint>\n",
    "common/index/index.cpp": '#include "common/base/key.hpp"\n#include "cpu/searcher.hpp"\n'
    '#include "cuda/backend.hpp"\n',
    "cpu/searcher.hpp": '#include "common/base/key.hpp"\n',
    "cuda/backend.hpp": '#include "common/base/key.hpp"\n',
    "cuda/kernels.cu": '#include <cuda_runtime.h>\n\n#include "cuda/backend.hpp"\n',
    "bench/tool/main.cpp": '#include <concord/index.hpp>\n#include "bench/tool/table.hpp"\n',
    "bench/tool/table.hpp": "",
    "bench/micro/distances.cpp": '#include "cpu/searcher.hpp"\n',
    "python/src/index.cpp": '#include <nanobind/nanobind.h>\n#include "index.hpp"\n',
    "python/src/index.hpp": "#include <concord/index.hpp>\n",
}


class Layering(unittest.TestCase):
    def findings(self, **changed):
        """What is found in the tree, changed: file=text, with "__" for "/" and "_0_" for "."."""
        files = FILES | {name.replace("__", "/").replace("_0_", "."): text for name, text in changed.items()}
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            return layering.check(root)

    def expect(self, *findings, **changed):
        """As many findings, in this order, each with these words in it."""
        found = self.findings(**changed)
        self.assertEqual(len(found), len(findings), found)
        for words, finding in zip(findings, found):
            self.assertIn(words, finding)

    def table(self, row, instead):
        self.assertIn(row, TABLE)
        return TABLE.replace(row, instead)

    def test_a_tree_like_its_table_passes(self):
        self.assertEqual(self.findings(), [])

    def test_a_door_that_the_table_does_not_show(self):
        self.expect("cpu/isa.cpp:2: cpu may not include include", cpu__isa_0_cpp="\n#include <concord/error.hpp>\n")

    def test_a_door_in_the_table_that_nobody_uses(self):
        self.expect("cpu: the table lets it include include",
                    ARCHITECTURE_0_md=self.table("| `cpu` | `base` |", "| `cpu` | `base` `include` |"))

    def test_a_room_without_a_row(self):
        self.expect("graph: has no row", common__graph__graph_0_hpp="")

    def test_a_row_without_a_room(self):
        self.expect("graph: has a row", ARCHITECTURE_0_md=self.table("| `cpu`", "| `graph` | nothing |\n| `cpu`"))

    def test_a_file_in_no_room(self):
        self.expect("common/key.hpp: is in no room", common__key_0_hpp="")

    def test_the_backends_do_not_see_each_other_whatever_the_table_says(self):
        self.expect("cuda/backend.hpp:2: cuda includes cpu",
                    ARCHITECTURE_0_md=self.table("| `cuda` | `base` |", "| `cuda` | `base` `cpu` |"),
                    cuda__backend_0_hpp='#include "common/base/key.hpp"\n#include "cpu/searcher.hpp"\n')

    def test_a_circle_of_rooms_whatever_the_table_says(self):
        self.expect("cpu -> index -> cpu (cpu/searcher.hpp:2, common/index/index.cpp:2)",
                    ARCHITECTURE_0_md=self.table("| `cpu` | `base` |", "| `cpu` | `base` `index` |"),
                    cpu__searcher_0_hpp='#include "common/base/key.hpp"\n#include "common/index/impl.hpp"\n',
                    common__index__impl_0_hpp="")

    def test_a_file_beside_counts_as_its_room(self):
        self.expect("index may not include include",
                    common__index__index_0_hpp='#include "../include/concord/error.hpp"\n')

    def test_a_name_in_quotes_that_is_no_file(self):
        self.expect('"common/base/kye.hpp" is no file', cpu__isa_0_cpp='#include "common/base/kye.hpp"\n')

    def test_a_file_outside_of_the_rooms(self):
        self.expect('"bench/tool/table.hpp" is no file of the library',
                    cpu__isa_0_cpp='#include "bench/tool/table.hpp"\n')

    def test_a_public_header_with_more_than_the_standard_library(self):
        self.expect("<unistd.h> is not of the standard library",
                    common__include__concord__error_0_hpp="# include <unistd.h>\n")
        self.expect("<Eigen/Core>", common__include__concord__error_0_hpp="#include <Eigen/Core>\n")

    def test_a_public_header_that_includes_a_room(self):
        self.expect("include may not include base", "base -> include -> base", common__base__kind_0_hpp="",
                    common__include__concord__error_0_hpp='#include "common/base/kind.hpp"\n')

    def test_users_see_the_public_api_alone(self):
        for place in ("bench__tool__main_0_cpp", "bench__commands__run_0_cpp", "python__src__index_0_cpp"):
            self.expect("common/base/key.hpp is not of the public API", **{place: '#include "common/base/key.hpp"\n'})
        self.expect("not of the public API", python__src__index_0_cpp='#include "../../cpu/searcher.hpp"\n')

    def test_a_table_that_cannot_be_read(self):
        for text in ("# Architecture\n", TABLE.replace("nothing", ""), "## Doors\n\n## More\n"):
            with self.assertRaises(ValueError):
                self.findings(ARCHITECTURE_0_md=text)


if __name__ == "__main__":
    unittest.main()
