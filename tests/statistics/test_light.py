"""What importing the statistics drags in."""

from __future__ import annotations

import subprocess
import sys


def test_numpy_alone() -> None:
    heavy = "{'torch', 'scipy', 'sklearn', 'click'}"
    code = f"import sys, cmrbias.statistics; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
