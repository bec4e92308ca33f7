"""`python -m luthier.cli`."""

from luthier.cli import main

if __name__ == "__main__":
    main()
