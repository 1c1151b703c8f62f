import ast
from pathlib import Path

import pytest

BILLING = Path(__file__).resolve().parents[3] / "services" / "billing"


def faults(source: str) -> list[str]:
    """Where a float could enter: its literals, its constructor, true division."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, float | complex):
            found.append(f"line {node.lineno}: the literal {node.value}")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            found.append(f"line {node.lineno}: float()")
        elif (
            isinstance(node, ast.BinOp | ast.AugAssign)
            and isinstance(node.op, ast.Div)
            and not _joins_paths(node)
        ):
            found.append(f"line {node.lineno}: true division")
    return found


def _joins_paths(node: ast.BinOp | ast.AugAssign) -> bool:
    """`folder / "name"` divides nothing: no number is divided by a text."""
    right = node.right if isinstance(node, ast.BinOp) else node.value
    return isinstance(right, ast.JoinedStr) or (
        isinstance(right, ast.Constant) and isinstance(right.value, str)
    )


def test_billing_knows_no_floats() -> None:
    sources = sorted(BILLING.rglob("*.py"))
    assert len(sources) > 10
    assert {str(p): faults(p.read_text()) for p in sources if faults(p.read_text())} == {}


@pytest.mark.parametrize(
    "source", ["x = 0.5", "x = float(y)", "x = y / z", "x /= 2", "f(1e6)", "x = 'a' / 2"]
)
def test_the_walk_sees_each_way(source: str) -> None:
    assert len(faults(source)) == 1
