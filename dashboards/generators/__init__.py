"""The generators: each turns the catalogue into the files of one tool."""
