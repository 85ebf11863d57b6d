"""The game: rules, coordinates, kernels, batches, single games, records, diagrams, network inputs.

Import from the modules: those that need no compiled kernel (`rules`, `vertex`, `handicap`) then load without numba.
"""
