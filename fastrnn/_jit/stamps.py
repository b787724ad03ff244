"""Stamps of the sources that compiled kernels are made of: an edit of one of these makes a kernel stale.

Regular expressions find the imports, which takes less time than a parser: each process pays it at its first kernel.
They find an import that begins a line and names a module of this package absolutely; a test holds the package to that.
"""

import functools
import hashlib
import os
import pathlib
import re

# They begin with literals, for a quick search; that an import begins its line is checked afterwards.
_FROM = re.compile(r"from (fastrnn(?:\.\w+)*) import (\((?:[^)#]|#[^\n]*)*\)|[^\n]*)")
_IMPORT = re.compile(r"import (fastrnn(?:\.\w+)*)")
_TABLE = re.compile(r"""["'](\w+)["']: *["']([\w.]+)["']""")  # of a package that imports names when they are first used
_COMMENT = re.compile(r"#[^\n]*")


class Sources:
    """The source files of a package folder, each of which is read once.

    Parameters
    ----------
    package : pathlib.Path
        The folder ``fastrnn``.
    """

    def __init__(self, package):
        self.package = package
        self._stamps, self._texts, self._imports, self._leads, self._resolved = {}, {}, {}, {}, {}

    def stamp(self, path):
        """Return a digest of all files of the package that code in the file `path` can be made of.

        These are the file itself and the files that its imports lead to, directly or through other files. A
        name that a package's ``__init__.py`` exports leads to that file and to the file that defines the name, not to
        everything else that is exported there. Code that reaches ``cells/_cell.py`` can call any cell, and reaches all.
        The ``__init__.py`` of ``fastrnn`` always counts, because it holds the version.

        Parameters
        ----------
        path : pathlib.Path
            It need not be in the package.

        Returns
        -------
        str

        Raises
        ------
        OSError
            The file cannot be read.
        """
        if path not in self._stamps:
            files = self._reached([path])
            if self.package / "cells/_cell.py" in files or path.parent == self.package / "cells":
                files = self._reached([path, *(self.package / "cells").rglob("*.py")])
            digest = hashlib.sha256()
            for file in sorted(files | {self.package / "__init__.py"}):
                digest.update(os.path.relpath(file, self.package).encode())
                digest.update(self._text(file).encode())
            self._stamps[path] = digest.hexdigest()[:16]
        return self._stamps[path]

    def _reached(self, begin):
        """Return the set of files that the imports of some files lead to, these included."""
        files, followed, waiting = set(begin), set(), list(begin)
        while waiting:
            file = waiting.pop()
            if file not in followed:
                followed.add(file)
                passed, made = self._lead(file)
                files |= passed | made
                waiting += made
        return files

    def _lead(self, file):
        """Return the files that the imports of one file lead to, as `_resolve` does for one name."""
        if file not in self._leads:
            found = [self._resolve(module, name) for module, name in {found[1:] for found in self.imports(file)}]
            self._leads[file] = tuple(set().union(*part) for part in zip(*found, strict=True)) or (set(), set())
        return self._leads[file]

    def imports(self, file):
        """Return the imports of a file from the package.

        Returns
        -------
        list of (str, str, str or None)
            The name that is bound, the module, and the name in that module; None for the module itself.
        """
        if file not in self._imports:
            text, found = self._text(file), []
            for match in filter(_begins_line, _FROM.finditer(text)):
                module, names = match.groups()
                for part in _COMMENT.sub("", names).strip("()\\ ").split(","):
                    if part.strip():
                        name, *alias = part.split()  # "x as y"
                        found.append((alias[-1] if alias else name, module, name))
            found += [(match[1], match[1], None) for match in filter(_begins_line, _IMPORT.finditer(text))]
            self._imports[file] = found
        return self._imports[file]

    def _resolve(self, module, name):
        """Return the files that a name of a module comes from: those that re-export it, and those that define it."""
        if (module, name) not in self._resolved:
            self._resolved[module, name] = self._find(module, name)
        return self._resolved[module, name]

    def _find(self, module, name):
        """Resolve a name for the first time."""
        path = self.package.joinpath(*module.split(".")[1:])
        if not path.is_dir():
            file = path.with_suffix(".py")
            return set(), {file} if file.is_file() else set()
        init = path / "__init__.py"
        text = self._text(init) if init.is_file() else ""
        origins = self._origins(module, name, init) if text and name else set()
        if not origins and name and ((path / name).is_dir() or (path / f"{name}.py").is_file()):
            origins = {(f"{module}.{name}", None)}
        if origins:
            passed, made = {init} if text else set(), set()
            for origin in origins:
                further_passed, further_made = self._resolve(*origin)
                passed, made = passed | further_passed, made | further_made
            return passed, made
        if "def __getattr__" in text or not text:  # the name may come from anywhere
            return set(), set(path.rglob("*.py"))
        return set(), {init}

    def _origins(self, module, name, init):
        """Return where a package's ``__init__.py`` takes a name from: pairs of a module and the name there."""
        origins = {(source, there) for here, source, there in self.imports(init) if here == name}
        for key, lazy in _TABLE.findall(self._text(init)):
            if key == name:
                origins.add((lazy if lazy.startswith("fastrnn.") else f"{module}.{lazy}", name))
        return origins - {(module, name)}

    def _text(self, file):
        if file not in self._texts:
            self._texts[file] = file.read_text("utf-8")
        return self._texts[file]


def _begins_line(match):
    begin = match.start()
    return not match.string[match.string.rfind("\n", 0, begin) + 1 : begin].strip()


_SOURCES = Sources(pathlib.Path(__file__).parents[1])


@functools.cache
def source_stamp(path):
    """Return the digest of all files that a kernel in the file `path` can be made of (`Sources.stamp`)."""
    return _SOURCES.stamp(pathlib.Path(path))
