"""What is rendered is the same on every developer's system, whatever its locale and encoding."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from ado_infra.render.rendering import render
from tests.support.recording import ROOT

_RENDER = """
import hashlib, locale, sys, warnings
from pathlib import Path
# Also one such as cp1252, that decodes every file and some of them wrongly, is nobody's choice.
warnings.filterwarnings("error", category=EncodingWarning, module="ado_infra[.]")
from ado_infra.render.rendering import render
print(locale.getpreferredencoding(), file=sys.stderr)
for path, text in render(Path("."), "prod").files.items():
    print(path, hashlib.sha256(text.encode()).hexdigest())
"""


def test_a_rendering_is_the_same_under_any_locale() -> None:
    emulated = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = subprocess.run(
        [sys.executable, "-X", "warn_default_encoding", "-c", _RENDER],
        cwd=ROOT,
        env={**os.environ, **emulated},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "UTF" not in ran.stderr.splitlines()[0]
    assert ran.stdout.splitlines() == [
        f"{path} {hashlib.sha256(text.encode()).hexdigest()}"
        for path, text in render(ROOT, "prod").files.items()
    ]
