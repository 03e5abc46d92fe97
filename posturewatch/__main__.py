"""`python -m posturewatch` is `posturewatch`."""

from posturewatch.cli import main

if __name__ == "__main__":
    main()
