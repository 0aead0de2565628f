"""Run the command line as ``python -m mlops_lab``."""

from mlops_lab.cli import main

if __name__ == "__main__":
    main()
