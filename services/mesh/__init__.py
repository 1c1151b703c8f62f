"""Composes the services into processes, renders the edge and holds the command line."""
