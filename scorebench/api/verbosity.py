"""How much is said beside results: `-q` and `-v` of every command set it, before anything else is done."""

quiet = False  # only results, warnings and mistakes: no progress and no notes
verbose = False  # also the logs of libraries, and where in the code a mistake was found
