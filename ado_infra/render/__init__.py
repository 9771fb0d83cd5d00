"""What a stack is made of, as YAML files: without cluster, engine, secrets or network.

The stack's own program runs against a monitor that keeps what is registered (`program.py`). From
that come objects (`objects.py`), the order in which they may be made (`waves.py`), files
(`text.py`, `directory.py`), and a list of images. The command is `ado_infra/ops/render.py`.
"""
