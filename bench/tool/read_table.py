"""Writes a matrix of an .npz or .parquet file to its output, as .npy: for concord-bench.

Usage: read_table.py FILE [COLUMN]

COLUMN is the name of an array or of a column; without it the file has one that can be meant. A failure is
told in the output, in one line after "!", where .npy would begin.
"""

import sys


def choose(names, column, kind):
    """The name asked for, or the only one."""
    if column in names or (not column and len(names) == 1):
        return column or names[0]
    held = ", ".join(names) or "none"
    if column:
        raise ValueError(f"has no {kind} {column}; there are {held}")
    raise ValueError(f"choose a {kind} by --column; there are {held}")


def from_npz(path, column):
    import numpy

    with numpy.load(path, allow_pickle=False) as file:
        names = [name for name in file.files if column or file[name].ndim == 2]
        return file[choose(names, column, "matrix")]


def from_parquet(path, column):
    import pyarrow.compute
    import pyarrow.parquet

    def has_vectors(field):
        """Whether it has lists of numbers; tensors are stored as such."""
        types = pyarrow.types
        kind = getattr(field.type, "storage_type", field.type)
        if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
            return False
        return types.is_floating(kind.value_type) or types.is_integer(kind.value_type)

    names = [field.name for field in pyarrow.parquet.read_schema(path) if has_vectors(field)]
    name = choose(names, column, "column of lists of numbers")
    rows = pyarrow.parquet.read_table(path, columns=[name]).column(0).combine_chunks()
    rows = getattr(rows, "storage", rows)
    lengths = set(pyarrow.compute.list_value_length(rows).to_pylist())
    if rows.null_count or rows.flatten().null_count:
        raise ValueError(f"column {name} has nulls")
    if len(lengths) > 1:
        raise ValueError(
            f"column {name} has lists of {min(lengths)} to {max(lengths)} elements, which are no matrix"
        )
    return rows.flatten().to_numpy().reshape(len(rows), -1 if len(rows) else 0)


def main(path, column=""):
    try:
        import numpy

        read = from_npz if path.lower().endswith(".npz") else from_parquet
        matrix = read(path, column)
        numpy.lib.format.write_array(sys.stdout.buffer, matrix, allow_pickle=False)
        sys.stdout.flush()
    except BrokenPipeError:  # concord-bench needs no more rows
        sys.stderr.close()
    except ImportError as error:
        package = (error.name or "").split(".")[0]
        sys.stdout.write(f"!needs the Python package {package} (pip install {package})")
    except Exception as error:  # told by concord-bench, in one line
        sys.stdout.write("!" + " ".join(str(error).split()))


if __name__ == "__main__":
    main(*sys.argv[1:])
