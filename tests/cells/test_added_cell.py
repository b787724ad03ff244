"""A cell is added to the package by one file and its line in the registry, and everything takes it by its name."""

import ast
import pathlib

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/custom_cell.py"
USE = """
import numpy as np
from fastrnn import RNNLanguageModel
from fastrnn.layers import Recurrent, cells, gradcheck

print(cells()["ugrnn"])
layer = Recurrent("ugrnn", 3, 4, dtype="float64", random_state=0)
gradcheck(layer, np.random.default_rng(0).standard_normal((3, 2, 3)), lengths=[3, 2])
model = RNNLanguageModel("ugrnn", 4, 4, max_iter=1, early_stopping=False, random_state=0).fit(["a b"])
print(type(model.network_.recurrent.cell).__name__)
"""


def test_a_cell_is_one_file_and_its_line_in_the_registry(package_copy):
    (cell,) = (node for node in ast.parse(EXAMPLE.read_text()).body if isinstance(node, ast.ClassDef))
    imports = "from typing import NamedTuple\nfrom fastrnn.simd import sigmoid, sigmoid_slope, tanh, tanh_slope\n"
    folder = package_copy.folder / "fastrnn/cells"
    (folder / "ugrnn.py").write_text(f"{imports}\n\n{ast.unparse(cell)}\n")
    registry = (folder / "__init__.py").read_text()
    added = registry.replace(
        "CELLS = {\n", 'from fastrnn.cells.ugrnn import UGRNN\n\nCELLS = {\n    "ugrnn": UGRNN(),\n'
    )
    assert added != registry
    (folder / "__init__.py").write_text(added)
    described, used = package_copy.run(USE, NUMBA_DISABLE_JIT="1").split("\n")
    assert described.startswith("Update gate recurrent unit")
    assert used == "UGRNN"
