"""`python -m scorebench` is `scorebench`."""

from scorebench.cli.main import main

main()
