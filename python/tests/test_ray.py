"""What must hold where there is no Ray; `tests/ray.sh` runs `ray_tests`, with it."""

from __future__ import annotations

import subprocess
import sys


def run(program: str) -> str:
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_package_loads_no_ray() -> None:
    """Also where it is installed: an index does not need it."""
    shown = run("import sys, concord; print({name.split('.')[0] for name in sys.modules})")
    assert "'concord'" in shown and "'ray'" not in shown
    assert "concord.ray" not in run("import sys, concord; print(*sys.modules)").split()


def test_without_ray_the_extra_is_named() -> None:
    program = """
import sys
sys.modules["ray"] = None
try:
    import concord.ray
except ModuleNotFoundError as error:
    print(error)
"""
    assert run(program) == "concord.ray needs ray: pip install 'concord-ann[ray]'\n"
