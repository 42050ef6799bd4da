# The doors are in dev.py; this only lets `make test` open them, with more words in ARGS: make test ARGS=--all
.PHONY: demo test lint bench docs lock
demo test lint bench docs lock:
	python3 dev.py $@ $(ARGS)
