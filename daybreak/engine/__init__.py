"""How anything is run: configs, runs, checkpoints, devices. Knows no system and no kind of data."""
