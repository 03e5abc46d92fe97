"""`python -m posturewatch.config FOLDER` writes the sample configuration and its schema into FOLDER."""

import sys
from pathlib import Path

from posturewatch.config.generation import write_samples

if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004  the program and its one argument
        sys.exit("usage: python -m posturewatch.config FOLDER")
    for written in write_samples(Path(sys.argv[1])):
        sys.stdout.write(f"{written}\n")
